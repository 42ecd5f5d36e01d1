"""Personal data: how well it is found, and what pseudonyms stand for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fourfold.application.permissions import action
from fourfold.application.results import Spec
from fourfold.application.topics import Hand
from fourfold.core.nouns import Version
from fourfold.data.pseudonyms import Original


class Privacy(Hand):
    """Personal data: how well it is found, and what pseudonyms stand for."""

    @action("make")
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
        from fourfold.data.detection import detection

        return detection(
            self.ledger,
            self.actor,
            name,
            self.ledger.version(dataset),
            detectors=list(detectors),
            spans=spans,
            split=split,
            same=same,
            progress=self.progress,
        )

    @action("reidentify")
    def reidentify(self, dataset: str, pseudonyms: list[str], *, reason: str) -> list[Original]:
        """What pseudonyms of a reversible dataset stand for. Who asked for which, and why, is written to the audit first."""
        from fourfold.data.pseudonyms import reidentify

        return reidentify(
            self.ledger, self.actor, self.ledger.version(dataset), pseudonyms, reason=reason, keys=pseudonym_keys(self)
        )


def pseudonym_keys(hand: Hand) -> Path:
    """The folder of the keys of reversible pseudonyms."""
    named = hand.settings.pseudonym_keys
    return Path(named).expanduser().absolute() if named else hand.ledger.home / "pseudonyms"
