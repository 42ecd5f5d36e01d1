"""A family for tests and benchmarks of serving: it computes nothing, and misbehaves when a text asks for it.

Processes find it with this folder on PYTHONPATH, through the entry point beside it, as any family of another package.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fourfold.compute.tasks import (
    Generated,
    GenerateOptions,
    Ranked,
    Ranking,
    RankInput,
    RankOptions,
    Scored,
    ScoreOptions,
    Suggested,
    Suggestion,
    SuggestOptions,
    Tagged,
    TagInput,
    TagOptions,
    TextInput,
    Token,
)
from fourfold.core.errors import BadInput


def _obey(text: str) -> None:
    """Do what the text says: refuse, fail, die, or sleep for `sleep SECONDS`."""
    word, _, rest = text.partition(" ")
    if word == "refuse":
        raise BadInput("This text was refused.", hint="Send another.")
    if word == "fail":
        raise RuntimeError("a mistake in the model")
    if word == "die":
        os._exit(9)
    if word == "sleep":
        time.sleep(float(rest))


def _words(text: str) -> list[Token]:
    tokens, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        tokens.append(Token(word, at, at + len(word), "WORD", 0.9))
        at += len(word)
    return tokens


class Model:
    """Labels every word WORD; `label` is what the folder's file says, so that versions can be told apart."""

    def __init__(self, label: str) -> None:
        self.label = label

    def tag(self, inputs: Sequence[TagInput], options: TagOptions) -> list[Tagged]:
        for one in inputs:
            _obey(one.text)
        return [
            Tagged(one.id, [Token(t.text, t.start, t.end, self.label, t.score) for t in _words(one.text)], True)
            for one in inputs
        ]

    def rank(self, inputs: Sequence[RankInput], options: RankOptions) -> list[Ranked]:
        return [self._ranked(one, options) for one in inputs]

    def _ranked(self, one: RankInput, options: RankOptions) -> Ranked:
        if one.items:
            return Ranked(one.id, [Ranking(item.text, 1 / len(one.items), item.id) for item in one.items])
        parts = one.text.split(". ") if options.unit == "sentence" else one.text.split()
        return Ranked(one.id, [Ranking(part, 1 / len(parts)) for part in parts])

    def score(self, inputs: Sequence[TextInput], options: ScoreOptions) -> list[Scored]:
        return [Scored(one.id, -1.0, 10.0, 0) for one in inputs]

    def suggest(self, inputs: Sequence[TextInput], options: SuggestOptions) -> list[Suggested]:
        return [Suggested(one.id, [Suggestion(one.text + "!", 1.0)] * options.top_k) for one in inputs]

    def generate(self, inputs: Sequence[TextInput], options: GenerateOptions) -> list[Generated]:
        return [Generated(one.id, "and so on", 3, "length") for one in inputs]

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Noop:
    """Fits nothing."""

    tasks: ClassVar[tuple[str, ...]] = ("tag", "rank", "score", "suggest", "generate")

    def fit(self, train: Any, dev: Any, folder: Path, progress: Any) -> dict[str, Any]:
        return {"tasks": list(self.tasks), "training": {}}

    @staticmethod
    def load(folder: Path) -> Model:
        label = (folder / "label.txt").read_text()
        if label == "BROKEN":
            raise BadInput("This model is broken.", hint="Train it again.")
        return Model(label)
