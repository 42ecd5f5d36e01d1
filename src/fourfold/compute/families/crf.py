"""The family `crf`: linear-chain conditional random fields by python-crfsuite, for words and for unsegmented Chinese."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fourfold.compute.calibrate import choose_calibration
from fourfold.compute.crf.attributes import Attributes
from fourfold.compute.crf.corpus import Example, UnitSetting, read_examples, single_han, training_pair
from fourfold.compute.crf.examine import Answers, examine
from fourfold.compute.crf.features import Lexicon, learn_lexicon
from fourfold.compute.crf.folder import Calibrated, TemplateFile, UnitFiles, model_path, open_model, write_json
from fourfold.compute.crf.learn import learn
from fourfold.compute.crf.model import CrfModel
from fourfold.compute.crf.template import (
    CHARACTER_TEMPLATE,
    WORD_TEMPLATE,
    Feature,
    Unit,
    brought,
    columns_of,
    parse_template,
)
from fourfold.core.errors import BadInput, FourfoldError
from fourfold.core.progress import Progress
from fourfold.data.dataset import Dataset

MIN_ANSWERS = 200  # fewer words or spans on dev calibrate nothing


@dataclass(frozen=True, slots=True)
class Crf:
    """Tags words, finds spans (tags in BIO form), and segments and tags unsegmented Chinese at once.

    `template` and `character_template` declare the features of words and of Chinese characters (the language: docs/crf.md).
    `min_feature_count`: an attribute is learnt for a label that it stands with so often. The file holds words in plain bytes.
    """

    tokens: str = "tokens"
    tags: str = "upos"
    unit: UnitSetting = "auto"
    template: tuple[str, ...] = WORD_TEMPLATE
    character_template: tuple[str, ...] = CHARACTER_TEMPLATE
    word_lists: dict[str, list[str]] = field(default_factory=dict)
    l1: float = 0.05
    l2: float = 0.4
    max_iterations: int = 150
    min_word_count: int = 2  # a word seen less often is learnt by its shape and affixes alone, not by its form
    min_feature_count: int = 1
    epsilon: float = 1e-5  # stop when the gradient's norm over the weights' is below
    period: int = 10  # iterations over which delta is taken
    delta: float = 1e-4  # stop when the loss falls by less than this share over a period
    seed: int = 0  # of the folds that choose the calibration

    tasks: ClassVar[tuple[str, ...]] = ("tag", "rank")

    def __post_init__(self) -> None:
        try:
            self._features("word")
            self._features("character")
        except FourfoldError as error:
            raise ValueError(str(error)) from error  # build() puts the path of the family before it
        for name, least in (("l1", 0), ("l2", 0), ("epsilon", 0), ("delta", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is at least {least}, not {getattr(self, name)}.")
        for name in ("max_iterations", "min_word_count", "min_feature_count", "period"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}.")

    def fit(self, train: Dataset, dev: Dataset | None, folder: Path, progress: Progress) -> dict[str, Any]:
        """Train a model per unit that the rows need, and calibrate on `dev`. Returns the version's meta."""
        examples, skipped = self._examples(train)
        units: dict[Unit, UnitFiles] = {}
        training: dict[str, Any] = {"sentences": len(examples), "tokens": sum(len(e.tokens) for e in examples)}
        for unit in ("word", "character"):
            mine = [example for example in examples if example.unit == unit]
            if mine:
                units[unit], training[unit] = self._fit_unit(unit, mine, folder, progress)
        labels = sorted({tag for example in examples for tag in example.tags})
        write_json(folder / "template.json", TemplateFile(units, single_han(examples)))
        write_json(folder / "labels.json", labels)
        write_json(folder / "calibration.json", {})
        calibrations = self._calibrate(folder, dev)
        write_json(folder / "calibration.json", calibrations)
        return {
            "tasks": list(self.tasks),
            "labels": labels,
            "tokens": self.tokens,
            "tags": self.tags,
            "units": [*units],
            "columns": list(self._columns()),
            "calibration": {key: {"ece_before": c.ece_before, "ece_after": c.ece_after} for key, c in calibrations.items()},
            "training": training | {"skipped": skipped},
        }

    @staticmethod
    def load(folder: Path) -> CrfModel:
        """Open a version's folder."""
        return open_model(folder)

    def _features(self, unit: Unit) -> tuple[Feature, ...]:
        setting = "template" if unit == "word" else "character_template"
        return parse_template(getattr(self, setting), unit, self.word_lists, setting)

    def _columns(self) -> tuple[str, ...]:
        return brought(columns_of(self._features("word")), "word")

    def _examples(self, dataset: Dataset) -> tuple[list[Example], dict[str, int]]:
        return read_examples(dataset, self.tokens, self.tags, self._columns(), self.unit)

    def _fit_unit(self, unit: Unit, examples: Sequence[Example], folder: Path, progress: Progress) -> tuple[UnitFiles, dict]:
        started = time.perf_counter()
        features = self._features(unit)
        pairs = [training_pair(example, columns_of(features)) for example in examples]
        sentences, labels = [sentence for sentence, _ in pairs], [tags for _, tags in pairs]
        lexicon = learn_lexicon([s.tokens for s in sentences], labels, self.word_lists, self.min_word_count)
        attributes = Attributes(features, lexicon)
        settings = {
            "c1": self.l1,
            "c2": self.l2,
            "max_iterations": self.max_iterations,
            "feature.minfreq": self.min_feature_count,
            "epsilon": self.epsilon,
            "period": self.period,
            "delta": self.delta,
        }
        path = model_path(folder, unit)
        figures = learn(
            map(attributes, sentences),
            labels,
            settings,
            path,
            lambda iteration: progress(iteration, self.max_iterations, f"{unit} iterations"),
        )
        template = list(self.template if unit == "word" else self.character_template)
        facts = {"sentences": len(pairs), "seconds": round(time.perf_counter() - started, 1), "size_bytes": path.stat().st_size}
        return UnitFiles(template, used(lexicon, features)), figures | facts

    def _calibrate(self, folder: Path, dev: Dataset | None) -> dict[str, Calibrated]:
        """A line per kind of answer that dev holds enough of; none where there is no usable dev row."""
        if dev is None:
            return {}
        try:
            examples, _ = self._examples(dev)
        except BadInput:  # columns are there, since train has them: dev has no usable row
            return {}
        model = open_model(folder)
        found = {key: answers for key, answers in examine(model, examples).items() if len(answers.confidence) >= MIN_ANSWERS}
        return {key: self._calibrated(answers, dev) for key, answers in found.items()}

    def _calibrated(self, answers: Answers, dev: Dataset) -> Calibrated:
        choice = choose_calibration(
            np.array(answers.confidence), np.array(answers.correct, np.bool_), np.array(answers.group, np.int64), seed=self.seed
        )
        return Calibrated(
            calibration=choice.calibration,
            fitted_at=datetime.now(UTC).isoformat(timespec="seconds"),
            data=f"{dev.split or 'all'} rows of {self.tags}",
            rows=choice.rows,
            folds=choice.folds,
            ece_before=choice.ece_before,
            ece_after=choice.ece_after,
            ece_by_method=choice.ece_by_method,
        )


def used(lexicon: Lexicon, features: Sequence[Feature]) -> Lexicon:
    """The lexicon without what no feature asks for: what is not used is not kept."""
    names = {term.name for feature in features for term in feature}
    counted = names & {"form", "lower", "frequency"}
    lists = {term.argument for feature in features for term in feature if term.name == "list"}
    return Lexicon(
        counts=lexicon.counts if counted else {},
        tags=lexicon.tags if "usual_tags" in names else {},
        cases=lexicon.cases if "usual_case" in names else {},
        lists={name: words for name, words in lexicon.lists.items() if name in lists},
    )
