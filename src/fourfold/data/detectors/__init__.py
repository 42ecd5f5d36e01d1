"""The door of detectors of personal data: what one is, and the table of their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fourfold.core.registry import Table


@dataclass(frozen=True, slots=True)
class Finding:
    """Personal data in a text: code points [start, end), the entity's name as Presidio spells it, and a score in [0, 1]."""

    start: int
    end: int
    entity: str
    score: float


class Detector(Protocol):
    """A frozen dataclass: calling finds personal data in each text, non-overlapping, in order of start.

    `entities`: all that it can find.
    """

    @property
    def entities(self) -> Sequence[str]: ...

    def __call__(self, texts: Sequence[str], /) -> list[list[Finding]]: ...


DETECTORS = Table(
    "detector",
    {
        "patterns": "fourfold.data.detectors.patterns:Patterns",
        "dictionary": "fourfold.data.detectors.dictionary:Dictionary",
        "addresses": "fourfold.data.detectors.addresses:Addresses",
        "tagger": "fourfold.compute.detectors.tagger:Tagger",  # by name: what needs a model lies in the layer above
    },
)
