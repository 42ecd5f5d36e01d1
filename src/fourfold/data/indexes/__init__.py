"""The door of indexes: what one is, and the table of their names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fourfold.core.registry import Table


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found, and how well it fits (higher is better; scores of one query compare with each other only)."""

    doc_id: str
    score: float


class Index(Protocol):
    """A frozen dataclass: `build` writes an index of (doc_id, text) pairs into a folder, `search` asks it."""

    def build(self, documents: Iterable[tuple[str, str]], folder: Path, /) -> None: ...

    def search(self, folder: Path, query: str, limit: int, /) -> list[Hit]: ...


INDEXES = Table("index", {"bm25": "fourfold.data.indexes.bm25:Bm25"})
