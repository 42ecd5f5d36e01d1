"""Looking at a dataset: figures, rows, and where a document came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.core.errors import NotFound
from fourfold.data.dataset import Dataset, splits
from fourfold.data.fragments import columns_of, place_of, raw_path
from fourfold.data.words import CJK, WORD, words

QUANTILES = {"min": 0.0, "p05": 0.05, "median": 0.5, "p95": 0.95, "max": 1.0}
CHINESE_SHARE = 0.2  # of the letters: 你好 hello is Chinese, "Dear 林知夏, thank you very much" is not
MOST_LABELS, MOST_SOURCES, SAMPLES = 100, 10, 5


def describe(dataset: Dataset) -> dict[str, Any]:
    """Figures of a dataset as plain values: rows, columns (type, share of missing values), lengths, languages, labels, splits,
    drops, changes, files. One fragment is in memory at a time.
    """
    found = _Figures()
    for fragment in dataset.fragments():
        found.add(fragment.table())
    columns = [{**c, "missing": round(found.missing[c["name"]] / max(found.rows, 1), 4)} for c in found.columns]
    sources = [{"path": path, "rows": n} for path, n in found.sources.most_common(MOST_SOURCES)]
    return {
        "rows": found.rows,
        "columns": columns,
        "length": {"characters": _quantiles(found.characters), "words": _quantiles(found.words)},
        "languages": dict(found.languages.most_common()),
        "labels": dict(found.labels.most_common(MOST_LABELS)),
        "splits": dict(found.splits.most_common()),
        "drops": _drops(dataset.folder),
        "changes": _changes(dataset.folder),
        "sources": sources,
        "source_files": len(found.sources),
        "samples": found.samples,
    }


def show(dataset: Dataset, *, doc_id: str | None = None, limit: int = 20, offset: int = 0) -> list[dict[str, Any]]:
    """Rows as plain mappings: the one of `doc_id` (none if there is none), else `limit` rows from `offset` on."""
    rows: list[dict[str, Any]] = []
    for fragment in dataset.fragments():
        if doc_id is not None:
            if doc_id in pq.read_table(fragment.path, columns=["doc_id"])["doc_id"].to_pylist():
                table = fragment.table()
                return [row for row in table.to_pylist() if row["doc_id"] == doc_id]
            continue
        table = fragment.table().slice(offset, limit - len(rows)) if limit > len(rows) else None
        if table is None:
            break
        whole = pq.read_metadata(fragment.path).num_rows if dataset.split is None else len(fragment.table())
        offset = max(0, offset - whole)
        rows += table.to_pylist()
    return rows


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document came from: a file of the collected dataset in `folder`, and the line it begins at."""

    doc_id: str
    path: str
    line: int | None
    digest: str
    folder: Path | None = None

    @property
    def raw(self) -> bytes | None:
        """The raw file, as it was collected; None if no folder of the chain holds it."""
        return None if self.folder is None else (self.folder / "raw" / self.path).read_bytes()

    def record(self) -> bytes | None:
        """The bytes of the line that the document begins at; None for a packed file, for Parquet, or without the raw file."""
        raw = self.raw
        if raw is None or self.line is None or raw[:2] == b"\x1f\x8b" or raw[:4] == b"PAR1":
            return None
        lines = raw.splitlines(keepends=True)
        return lines[self.line - 1] if self.line <= len(lines) else None


def trace(chain: Sequence[Dataset], doc_id: str) -> Origin:
    """Where a document of any dataset of the chain came from (the chain in any order, the collected dataset among them).

    Raises NotFound if no dataset of the chain holds the document.
    """
    for dataset in chain:
        for fragment in dataset.fragments():
            table = pq.read_table(fragment.path, columns=["doc_id", "source", "source_digest"])
            i = table["doc_id"].index(pa.scalar(doc_id)).as_py()
            if i >= 0:
                inner, line = place_of(table["source"][i].as_py())
                path = raw_path(inner)
                folder = next((d.folder for d in chain if (d.folder / "raw" / path).is_file()), None)
                return Origin(doc_id, path, line, table["source_digest"][i].as_py(), folder)
    raise NotFound(f"No dataset of the chain holds document {doc_id!r}.", hint="Run: fourfold versions --kind dataset")


class _Figures:
    """What has been counted so far."""

    def __init__(self) -> None:
        self.rows = 0
        self.columns: list[dict[str, str]] = []
        self.missing: Counter[str] = Counter()
        self.characters: list[int] = []
        self.words: list[int] = []
        self.languages: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.splits: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.samples: list[str] = []

    def add(self, table: pa.Table) -> None:
        self.columns = self.columns or columns_of(table.schema)
        self.rows += len(table)
        self.missing.update({name: table[name].null_count for name in table.column_names})
        texts = [text or "" for text in table["text"].to_pylist()]
        tokens = table["tokens"].to_pylist() if "tokens" in table.column_names else [None] * len(texts)
        self.characters += [len(text) for text in texts]
        self.words += [_count(text, known) for text, known in zip(texts, tokens)]
        self.languages.update(language(text) for text in texts)
        if "label" in table.column_names:
            self.labels.update(str(label) for label in table["label"].to_pylist() if label is not None)
        self.splits.update(splits(table).to_pylist())
        self.sources.update(raw_path(place_of(source)[0]) for source in table["source"].to_pylist())
        self.samples += table["doc_id"].slice(0, SAMPLES - len(self.samples)).to_pylist()


def language(text: str) -> str:
    """ "zh" if at least a fifth of the letters are Chinese characters, "other" if there are letters, else "none"."""
    letters = sum(c.isalpha() for c in text)
    if not letters:
        return "none"
    return "zh" if len(CJK.findall(text)) >= CHINESE_SHARE * letters else "other"


def _count(text: str, tokens: list[str] | None) -> int:
    return len(words(text)) if tokens is None else sum(WORD.search(token) is not None for token in tokens)


def _quantiles(lengths: Iterable[int]) -> dict[str, float]:
    values = np.fromiter(lengths, dtype=np.int64)
    if not len(values):
        return {}
    found = {name: int(v) for name, v in zip(QUANTILES, np.quantile(values, list(QUANTILES.values()), method="nearest"))}
    return {**found, "mean": round(float(values.mean()), 1)}


def _drops(folder: Path) -> dict[str, int]:
    path = folder / "drops.parquet"
    return dict(Counter(pq.read_table(path, columns=["reason"])["reason"].to_pylist()).most_common()) if path.exists() else {}


def _changes(folder: Path) -> dict[str, dict[str, int]]:
    path = folder / "changes.parquet"
    found: dict[str, dict[str, int]] = {}
    if path.exists():
        for row in (
            pq.read_table(path).group_by(["step", "column"], use_threads=False).aggregate([("count", "sum")]).to_pylist()
        ):
            found.setdefault(row["step"], {})[row["column"]] = row["count_sum"]
    return found
