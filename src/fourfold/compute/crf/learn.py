"""Training: python-crfsuite's L-BFGS on the attributes of a template."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pycrfsuite

from fourfold.core.errors import BadInput

_ITERATION = re.compile(r"\*{5} Iteration #(\d+) \*{5}")
_LOSS = re.compile(r"Loss: ([\d.]+)")


class _Trainer(pycrfsuite.BaseTrainer):  # pyright: ignore[reportAttributeAccessIssue] (an extension module)
    """A trainer that tells each iteration, and keeps the last loss and the reason why it stopped."""

    def __init__(self) -> None:
        super().__init__(algorithm="lbfgs")
        self.on_iteration: Callable[[int], None] = lambda number: None
        self.iterations = 0
        self.loss = 0.0
        self.ending = ""

    def message(self, message: str) -> None:
        if match := _ITERATION.search(message):
            self.iterations = int(match[1])
            self.on_iteration(self.iterations)
        elif match := _LOSS.search(message):
            self.loss = float(match[1])
        elif message.startswith("L-BFGS"):
            self.ending = message.strip()


def learn(
    attributes: Iterable[Sequence[Sequence[str]]],
    labels: Iterable[Sequence[str]],
    settings: Mapping[str, float],
    path: Path,
    on_iteration: Callable[[int], None],
) -> dict[str, float | int | str]:
    """Write the model of these sentences to `path`. Returns iterations, loss and why L-BFGS stopped."""
    trainer = _Trainer()
    trainer.set_params(dict(settings))
    for sentence, tags in zip(attributes, labels, strict=True):
        trainer.append(sentence, tags)
    trainer.on_iteration = on_iteration
    trainer.train(str(path))
    if not path.is_file() or not trainer.iterations:
        raise BadInput(
            f"L-BFGS made no step on this data ({trainer.ending or 'no message'}).",
            hint="Lower min_feature_count or l1: with these settings no feature is left.",
        )
    return {"iterations": trainer.iterations, "loss": trainer.loss, "ending": trainer.ending}
