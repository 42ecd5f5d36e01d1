"""Datasets: collect, clean, de-identify, and look at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fourfold.application import look
from fourfold.application.permissions import action
from fourfold.application.results import Documents, SourceList, Spec
from fourfold.application.topics import Hand
from fourfold.application.topics.privacy import pseudonym_keys
from fourfold.core.nouns import Version
from fourfold.data.connections import connections_folder, known
from fourfold.data.drops import DropPage
from fourfold.data.terms import Purpose


class Datasets(Hand):
    """Datasets: collect, clean, de-identify, and look at them."""

    @action("make")
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
        from fourfold.data.collect import collect

        return collect(
            self.ledger,
            self.actor,
            name,
            source,
            max_bad_lines=max_bad_lines,
            max_bad_share=max_bad_share,
            licence=licence,
            purpose=purpose,
            progress=self.progress,
        )

    @action("read")
    def sources(self) -> SourceList:
        """The accounts and addresses that sources ask: ok, expiring, expired or blocked, until when, and what to do."""
        return SourceList(known(connections_folder(self.ledger.home)))

    @action("make")
    def extract(self, name: str, dataset: str, *, mode: str = "precise", rules: dict[str, str] | None = None) -> Version:
        """Read the raw pages of a collected dataset anew, by another extractor or other rules, into a new version."""
        from fourfold.data.extract import extract

        version = self.ledger.version(dataset)
        return extract(self.ledger, self.actor, name, version, mode=mode, rules=rules, progress=self.progress)

    @action("make")
    def clean(self, name: str, dataset: str, steps: Sequence[Spec], *, runner: str = "loop") -> Version:
        """Pass a dataset through cleaning steps, in order, into a new version; `runner`: loop, pool or ray."""
        from fourfold.data.clean import clean

        origin = self.ledger.version(dataset)
        return clean(self.ledger, self.actor, name, origin, list(steps), runner=runner, progress=self.progress)

    @action("make")
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
        from fourfold.data.deidentify import deidentify

        return deidentify(
            self.ledger,
            self.actor,
            name,
            self.ledger.version(dataset),
            detectors=list(detectors),
            actions=actions,
            keys=pseudonym_keys(self) if reversible else None,
            progress=self.progress,
        )

    @action("make")
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
        from fourfold.data.export import export

        origin = self.ledger.version(dataset)
        look.dataset_folder(self.ledger, origin)
        return export(self.ledger, self.actor, name, origin, format, split=split, progress=self.progress)

    @action("read")
    def fill(self, dataset: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows of a request with their missing values filled in as those of the dataset were, by its step `fill`."""
        from fourfold.data.steps.fill import fill_rows

        return fill_rows(look.dataset_folder(self.ledger, self.ledger.version(dataset)), rows)

    @action("read")
    def drops(
        self, dataset: str, *, reason: str | None = None, step: str | None = None, limit: int = 20, offset: int = 0
    ) -> DropPage:
        """Rows that were left out when a dataset was made: file, number, reason, and the text where it can still be found."""
        return look.drops(self.ledger, self.ledger.version(dataset), reason=reason, step=step, limit=limit, offset=offset)

    @action("read")
    def describe(self, dataset: str) -> dict[str, Any]:
        """Rows, columns, missing values, lengths, languages, labels, splits and drops of a dataset."""
        return look.describe(self.ledger, self.ledger.version(dataset))

    @action("read")
    def documents(self, dataset: str, *, doc_id: str | None = None, limit: int = 20, offset: int = 0) -> Documents:
        """Rows of a dataset, or the one of that document."""
        return look.documents(self.ledger, self.ledger.version(dataset), doc_id=doc_id, limit=limit, offset=offset)
