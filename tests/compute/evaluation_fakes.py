"""A tagger small enough to work out by hand, and datasets of a few rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.compute.tasks import Tagged, TagInput, TagOptions, Token
from fourfold.core.errors import BadInput
from fourfold.core.nouns import Actor, Version
from fourfold.data.dataset import Dataset
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_test", "test", "developer")


class MajorityModel:
    """Gives each word its most frequent label, at the share that the label has."""

    def __init__(self, labels: dict[str, tuple[str, float]], other: str) -> None:
        self.labels = labels
        self.other = other
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def tag(self, inputs: Sequence[TagInput], options: TagOptions) -> list[Tagged]:
        return [self._tag(given) for given in inputs]

    def _tag(self, given: TagInput) -> Tagged:
        tokens, at = [], 0
        for word in given.tokens if given.tokens is not None else given.text.split():
            at = given.text.index(word, at)
            label, score = self.labels.get(word, (self.other, 0.5))
            tokens.append(Token(word, at, at + len(word), label, score))
            at += len(word)
        return Tagged(given.id, tokens, calibrated=True)


@dataclass(frozen=True, slots=True)
class Majority:
    """The most frequent label of each word, of words seen `least` times."""

    tasks: ClassVar[tuple[str, ...]] = ("tag",)

    tokens: str = "tokens"
    tags: str = "upos"
    least: int = 1
    fails: bool = False

    def fit(self, train: Dataset, dev: Dataset | None, folder: Path, progress: Any) -> dict[str, Any]:
        counts: dict[str, Counter[str]] = {}
        table = train.table([self.tokens, self.tags])
        (folder / "half-made").write_text("")
        if self.fails:
            raise BadInput("It fails.", hint="Do not set fails.")
        for words, labels in zip(table[self.tokens].to_pylist(), table[self.tags].to_pylist()):
            for word, label in zip(words, labels):
                counts.setdefault(word, Counter())[label] += 1
        kept = {w: c for w, c in counts.items() if c.total() >= self.least}
        labels = Counter(label for c in counts.values() for label in c.elements())
        best = {w: (c.most_common(1)[0][0], c.most_common(1)[0][1] / c.total()) for w, c in kept.items()}
        (folder / "model.json").write_bytes(msgspec.json.encode({"labels": best, "other": labels.most_common(1)[0][0]}))
        progress(1, 1, "passes")
        return {
            "tasks": ["tag"],
            "labels": sorted(labels),
            "calibration": {"word": {}},
            "training": {"words": len(kept), "held_out": dev is not None},
        }

    @staticmethod
    def load(folder: Path) -> MajorityModel:
        return MajorityModel(**msgspec.json.decode((folder / "model.json").read_bytes()))


def row(doc_id: str, split: str, words: str, tags: str, source: str = "a.conllu#1", column: str = "upos") -> dict[str, Any]:
    """A row of a tagged dataset; its text has the words with spaces between."""
    return {
        "doc_id": doc_id, "text": words, "source": source, "split": split, "tokens": words.split(), column: tags.split(),
    }  # fmt: skip


def keep(ledger: Ledger, name: str, rows: list[dict[str, Any]], **meta: Any) -> Version:
    """A dataset version of these rows, in two fragments where there are two rows or more."""
    with ledger.run("collect", kind="dataset", name=name, spec={}, actor=ACTOR) as run:
        table = pa.Table.from_pylist(rows)
        half = max(1, table.num_rows // 2)
        for number, first in enumerate(range(0, table.num_rows, half)):
            pq.write_table(table.slice(first, half), run.folder / f"fragment-{number:05d}.parquet")
        run.meta.update({"rows": len(rows), **meta})
    return run.version
