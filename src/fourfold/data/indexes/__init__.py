"""The door of indexes: what one is, and the table of their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from fourfold.core.progress import Progress
from fourfold.core.registry import Table
from fourfold.data.dataset import Fragment
from fourfold.data.queries import Query

Match = Literal["all", "any"]  # of a query's words: a document has all of them, or some
By = Literal["words", "vectors", "both"]


class Encoder(Protocol):
    """Texts → one row each of shape (texts, dimensions): float32, of length 1, or 0 where nothing of a text is known."""

    def __call__(self, texts: Sequence[str], /) -> np.ndarray: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What an index is asked: the text as typed, and the query that it is. `allowed`: which rows may be found (None: all).

    `limit` rows are wanted, after the first `offset`.
    """

    text: str
    query: Query
    limit: int
    offset: int = 0
    match: Match = "all"
    by: By | None = None
    allowed: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A row of the dataset (its number from 0), how well it fits (higher is better; scores of one query compare with each other
    only), and, where several rankings were fused, its place in each, from 1.
    """

    row: int
    score: float
    places: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """The hits that were wanted, best first, and how many there are in all."""

    hits: list[Hit]
    total: int


class Ranker(Protocol):
    """An index that is open."""

    def rank(self, asked: Asked, /) -> Ranked: ...
    def close(self) -> None: ...


class Index(Protocol):
    """A frozen dataclass: `build` writes an index of a dataset's fragments into a folder and returns figures; `open` opens it.

    `before` is the folder of an older index of equal settings: what it has of fragments that are still there is taken over, and
    the outcome is the same, byte for byte. `encoder`: what makes vectors, for an index that has them.
    """

    def build(
        self, fragments: Sequence[Fragment], folder: Path, before: Path | None, encoder: Encoder | None, progress: Progress, /
    ) -> dict[str, Any]: ...

    def open(self, folder: Path, encoder: Encoder | None, /) -> Ranker: ...


INDEXES = Table(
    "index",
    {
        "bm25": "fourfold.data.indexes.bm25:Bm25",
        "vectors": "fourfold.data.indexes.vectors:Vectors",
        "hybrid": "fourfold.data.indexes.hybrid:Hybrid",
    },
)
