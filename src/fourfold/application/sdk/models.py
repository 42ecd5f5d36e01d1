"""Models: train, evaluate, promote, and where aliases point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fourfold.application.results import AliasDetail, Spec
from fourfold.application.sdk import Line
from fourfold.core.nouns import Version
from fourfold.storage.versions import AliasMove


class Models(Line):
    """Models: train, evaluate, promote, and where aliases point."""

    def train(self, name: str, dataset: str, family: Spec, *, dev: str | None = None) -> Version:
        """Train a model of a family, such as {"crf": {"tags": "upos"}}, on the train split of a dataset."""
        return self._do("train", {"name": name, "dataset": dataset, "family": family, "dev": dev}, Version)

    def evaluate(
        self,
        model: str,
        dataset: str,
        *,
        split: Literal["train", "dev", "test"] | None = "dev",
        name: str | None = None,
        final: bool = False,
    ) -> Version:
        """Judge a model on a split of a dataset (None: on all of it): a report with figures, intervals and plots.

        Test rows are looked at only if this is `final`; each look is recorded.
        """
        given = {"model": model, "dataset": dataset, "split": split, "name": name, "final": final}
        return self._do("evaluate", given, Version)

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
        given = {"first": first, "second": second, "dataset": dataset, "split": split, "name": name, "final": final}
        return self._do("compare", given, Version)

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
        """Pass the rows of a dataset (None: of all its splits) through a model: a dataset with what it says of each."""
        given = {"name": name, "model": model, "dataset": dataset, "task": task, "column": column}
        return self._do("predict", {**given, "split": split, "options": options}, Version)

    def promote(
        self, version: str, alias: str, *, gates: Sequence[str] = (), report: str | None = None, reason: str = ""
    ) -> AliasMove:
        """Point an alias at a version once its newest report passes every gate, such as "accuracy >= 0.9"."""
        given = {"version": version, "alias": alias, "gates": gates, "report": report, "reason": reason}
        return self._do("promote", given, AliasMove)

    def aliases(self, name: str | None = None) -> dict[str, str]:
        """Where each alias points: `name@alias` → `name@number`."""
        return self._do("aliases", {"name": name}, dict[str, str])

    def alias(self, name: str, alias: str) -> AliasDetail:
        """An alias with every move it made."""
        return self._do("alias", {"name": name, "alias": alias}, AliasDetail)
