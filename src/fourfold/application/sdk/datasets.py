"""Datasets: collect, clean, de-identify, and look at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fourfold.application.results import Documents, SourceList, Spec
from fourfold.application.sdk import Line
from fourfold.core.nouns import Version
from fourfold.data.drops import DropPage
from fourfold.data.terms import Purpose


class Datasets(Line):
    """Datasets: collect, clean, de-identify, and look at them."""

    def collect(
        self,
        name: str,
        source: Spec,
        *,
        max_bad_lines: int | None = None,
        max_bad_share: float | None = None,
        licence: str | None = None,
        purpose: Purpose | None = None,
    ) -> Version:
        """Collect documents of a source, such as {"files": {"path": "tickets"}}, into a new version of a dataset.

        Every version made from it inherits its licence and purpose.
        """
        arguments = {"name": name, "source": source, "max_bad_lines": max_bad_lines, "max_bad_share": max_bad_share}
        arguments |= {"licence": licence, "purpose": purpose}
        return self._do("collect", arguments, Version)

    def sources(self) -> SourceList:
        """The accounts and addresses that sources ask: ok, expiring, expired or blocked, until when, and what to do."""
        return self._do("sources", {}, SourceList)

    def extract(self, name: str, dataset: str, *, mode: str = "precise", rules: dict[str, str] | None = None) -> Version:
        """Read the raw pages of a collected dataset anew, by another extractor or other rules, into a new version."""
        arguments = {"name": name, "dataset": dataset, "mode": mode, "rules": rules}
        return self._do("extract", arguments, Version)

    def clean(self, name: str, dataset: str, steps: Sequence[Spec], *, runner: str = "loop") -> Version:
        """Pass a dataset through cleaning steps, in order, into a new version; `runner`: loop, pool or ray."""
        return self._do("clean", {"name": name, "dataset": dataset, "steps": steps, "runner": runner}, Version)

    def deidentify(
        self,
        name: str,
        dataset: str,
        *,
        detectors: Sequence[Spec] = ("patterns",),
        actions: dict[str, str] | None = None,
        reversible: bool = False,
    ) -> Version:
        """Find personal data and mask, replace, hash, drop or keep it by entity; `actions` such as {"CREDIT_CARD": "drop"}.

        `reversible`: pseudonyms can be turned back by whoever may, with a key that lies apart from the data.
        """
        arguments = {"name": name, "dataset": dataset, "detectors": detectors, "actions": actions, "reversible": reversible}
        return self._do("deidentify", arguments, Version)

    def export(
        self,
        name: str,
        dataset: str,
        format: Spec,
        *,
        split: Literal["train", "dev", "test"] | None = None,
    ) -> Version:
        """Write a dataset, or a split of it, as one file in a format that others read; a version keeps it, its meta names
        it.
        """
        arguments = {"name": name, "dataset": dataset, "format": format, "split": split}
        return self._do("export", arguments, Version)

    def fill(self, dataset: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows of a request with their missing values filled in as those of the dataset were, by its step `fill`."""
        return self._do("fill", {"dataset": dataset, "rows": rows}, list[dict[str, Any]])

    def drops(
        self, dataset: str, *, reason: str | None = None, step: str | None = None, limit: int = 20, offset: int = 0
    ) -> DropPage:
        """Rows that were left out when a dataset was made: file, number, reason, and the text where it can still be found."""
        arguments = {"dataset": dataset, "reason": reason, "step": step, "limit": limit, "offset": offset}
        return self._do("drops", arguments, DropPage)

    def describe(self, dataset: str) -> dict[str, Any]:
        """Rows, columns, missing values, lengths, languages, labels, splits and drops of a dataset."""
        return self._do("describe", {"dataset": dataset}, dict[str, Any])

    def documents(self, dataset: str, *, doc_id: str | None = None, limit: int = 20, offset: int = 0) -> Documents:
        """Rows of a dataset, or the one of that document."""
        arguments = {"dataset": dataset, "doc_id": doc_id, "limit": limit, "offset": offset}
        return self._do("documents", arguments, Documents)
