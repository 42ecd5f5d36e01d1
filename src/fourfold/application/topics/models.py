"""Models: train, evaluate, promote, and where aliases point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fourfold.application import lifecycle, look
from fourfold.application.permissions import action
from fourfold.application.results import AliasDetail, Spec
from fourfold.application.terms import check_use
from fourfold.application.topics import Hand
from fourfold.core.nouns import Version
from fourfold.storage.versions import AliasMove


class Models(Hand):
    """Models: train, evaluate, promote, and where aliases point."""

    @action("make")
    def train(self, name: str, dataset: str, family: Spec, *, dev: str | None = None) -> Version:
        """Train a model of a family, such as {"crf": {"tags": "upos"}}, on the train split of a dataset."""
        from fourfold.compute.train import train

        made_from = [self.ledger.version(ref) for ref in (dataset, *([dev] if dev else []))]
        check_use(made_from, "train", self.settings)
        return train(
            self.ledger,
            self.actor,
            name,
            self.ledger.version(dataset),
            family,
            dev=None if dev is None else self.ledger.version(dev),
            progress=self.progress,
        )

    @action("make")
    def evaluate(
        self,
        model: str,
        dataset: str,
        *,
        split: Literal["train", "dev", "test"] | None = "dev",
        name: str | None = None,
        final: bool = False,
    ) -> Version:
        """Judge a model on a split of a dataset (null: on all of it): a report with figures, intervals and plots.

        Test rows are looked at only if this is `final`; each look is recorded.
        """
        from fourfold.compute.evaluate import evaluate

        return evaluate(
            self.ledger,
            self.actor,
            self.ledger.version(model),
            self.ledger.version(dataset),
            split=split or "all",
            name=name,
            final=final,
            progress=self.progress,
        )

    @action("make")
    def compare(
        self,
        first: str,
        second: str,
        dataset: str,
        *,
        split: Literal["train", "dev", "test"] | None = "dev",
        name: str | None = None,
        final: bool = False,
    ) -> Version:
        """Judge two models on the same rows of a dataset: a report with each figure's difference, its interval and p."""
        from fourfold.compute.compare import compare

        models = self.ledger.version(first), self.ledger.version(second)
        return compare(
            self.ledger,
            self.actor,
            *models,
            self.ledger.version(dataset),
            split=split or "all",
            name=name,
            final=final,
            progress=self.progress,
        )

    @action("make")
    def predict(
        self,
        name: str,
        model: str,
        dataset: str,
        *,
        task: str | None = None,
        column: str = "text",
        split: Literal["train", "dev", "test"] | None = None,
        options: dict[str, Any] | None = None,
    ) -> Version:
        """Pass the rows of a dataset (null: of all its splits) through a model: a dataset with what it says of each."""
        from fourfold.compute.predict import predict

        return predict(
            self.ledger,
            self.actor,
            name,
            self.ledger.version(model),
            self.ledger.version(dataset),
            task=task,
            column=column,
            split=split or "all",
            options=options,
            progress=self.progress,
        )

    @action("promote")
    def promote(
        self, version: str, alias: str, *, gates: Sequence[str] = (), report: str | None = None, reason: str = ""
    ) -> AliasMove:
        """Point an alias at a version once a report passes every gate, such as "accuracy >= 0.9"; null: its newest report."""
        judged = None if report is None else self.ledger.version(report)
        found = self.ledger.version(version)
        return lifecycle.promote(self.ledger, self.actor, found, alias, gates=gates, report=judged, reason=reason)

    @action("read")
    def aliases(self, name: str | None = None) -> dict[str, str]:
        """Where each alias points: `name@alias` → `name@number`."""
        return self.ledger.aliases(name)

    @action("read")
    def alias(self, name: str, alias: str) -> AliasDetail:
        """An alias with every move it made."""
        return look.alias(self.ledger, name, alias)
