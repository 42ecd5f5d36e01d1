"""Personal data: how well it is found, and what pseudonyms stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fourfold.application.results import Spec
from fourfold.application.sdk import Line
from fourfold.core.nouns import Version
from fourfold.data.pseudonyms import Original


class Privacy(Line):
    """Personal data: how well it is found, and what pseudonyms stand for."""

    def detection(
        self,
        name: str,
        dataset: str,
        *,
        detectors: Sequence[Spec] = ("patterns",),
        spans: str = "spans",
        split: Literal["train", "dev", "test"] | None = None,
        same: dict[str, str] | None = None,
    ) -> Version:
        """A report of what detectors find in labelled texts: precision and recall by entity, against the column `spans`.

        `same` maps entities that count as one, such as {"CN_MOBILE": "PHONE_NUMBER"}.
        """
        arguments = {"name": name, "dataset": dataset, "detectors": detectors, "spans": spans, "split": split, "same": same}
        return self._do("detection", arguments, Version)

    def reidentify(self, dataset: str, pseudonyms: list[str], *, reason: str) -> list[Original]:
        """What pseudonyms of a reversible dataset stand for. Who asked for which, and why, is written to the audit first."""
        return self._do("reidentify", {"dataset": dataset, "pseudonyms": pseudonyms, "reason": reason}, list[Original])
