"""Documents by closeness of vectors: what a model makes of their texts. All are compared up to a number of rows; above it a
graph (HNSW, Malkov & Yashunin 2016) through usearch finds nearly the closest.

Vectors and graphs are kept per fragment of a dataset, so an update embeds new fragments only, and finds what a rebuild finds.
"""

from __future__ import annotations

import mmap
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
from usearch import index as usearch

from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.progress import Progress
from fourfold.data.dataset import Fragment
from fourfold.data.indexes import Asked, Encoder, Hit, Ranked

FOLDER = "vectors"
FILE = "vectors.json"
HEAD = b"FOURFOLD"  # before a graph, whose own first bytes are numbers that may look like a pickle's
BATCH_ROWS = 256
LOOKED_AT = 128  # how many neighbours a graph weighs while it searches: more is more exact, and slower
DEPTH = 1000  # rows of a ranking by vectors: every document is close to some degree


class Contents(msgspec.Struct, frozen=True):
    """`vectors.json`: the fragments in order of rows, and whether each has a graph."""

    fragments: list[tuple[str, int]]
    dimensions: int
    graphs: bool


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of the text of the `columns` that there are, one per document; up to `exact_rows` documents all are compared."""

    columns: tuple[str, ...] = ("title", "text")
    exact_rows: int = 200_000

    def __post_init__(self) -> None:
        if self.exact_rows < 0:
            raise BadSpec(f"exact_rows is at least 0, not {self.exact_rows}.")

    def build(
        self, fragments: Sequence[Fragment], folder: Path, before: Path | None, encoder: Encoder | None, progress: Progress, /
    ) -> dict[str, Any]:
        """Write the vectors into `folder`/vectors. Raises BadInput if nothing makes them."""
        if encoder is None:
            raise BadInput("An index with vectors needs a model that makes them.", hint="Give one: --encoder MODEL")
        target = folder / FOLDER
        target.mkdir(parents=True)
        rows = [pq.read_metadata(fragment.path).num_rows for fragment in fragments]
        made: list[tuple[str, int]] = []
        taken, dimensions, graphs = 0, 0, sum(rows) > self.exact_rows
        for n, fragment in enumerate(fragments):
            path = target / f"{fragment.key}.npy"
            old = before / FOLDER / path.name if before else None
            if old is not None and old.exists():
                shutil.copyfile(old, path)
                taken += 1
            else:
                np.save(path, _vectors(fragment, self.columns, encoder))
            vectors = np.load(path, mmap_mode="r")
            dimensions = vectors.shape[1]
            made.append((fragment.key, len(vectors)))
            if graphs:
                _write_graph(vectors, path.with_suffix(".usearch"), old and old.with_suffix(".usearch"))
            progress(sum(rows[: n + 1]), sum(rows), "rows")
        contents = Contents(made, dimensions, graphs)
        (target / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(contents), indent=1))
        return {"dimensions": dimensions, "graphs": graphs, "taken_over": taken}

    def open(self, folder: Path, encoder: Encoder | None, /) -> Near:
        """Open vectors that `build` wrote."""
        return Near(folder / FOLDER, encoder)


class Near:
    """Vectors that are open."""

    def __init__(self, folder: Path, encoder: Encoder | None) -> None:
        about = msgspec.json.decode((folder / FILE).read_bytes(), type=Contents)
        self._encoder = encoder
        self._parts: list[tuple[int, np.ndarray, Path]] = []
        begun = 0
        for key, rows in about.fragments:
            self._parts.append((begun, np.load(folder / f"{key}.npy", mmap_mode="r"), folder / f"{key}.usearch"))
            begun += rows
        self._graphs = about.graphs

    def rank(self, asked: Asked, /) -> Ranked:
        """The closest documents, at most 1,000 in all; none that has nothing in common with the query. Raises BadInput if
        nothing makes the vector of a query.
        """
        if self._encoder is None:
            raise BadInput("The index needs the model that made its vectors.", hint="Search by words: --by words")
        (vector,) = self._encoder([asked.text])
        if not vector.any():
            return Ranked([], 0)
        found: list[tuple[float, int]] = []
        for begun, vectors, graph in self._parts:
            rows, scores = self._closest(vector, vectors, graph, asked.allowed, begun)
            found += zip((-scores).tolist(), (rows + begun).tolist())
        found = [one for one in sorted(found) if one[0] < 0][:DEPTH]
        wanted = found[asked.offset : asked.offset + asked.limit]
        return Ranked([Hit(row, -score) for score, row in wanted], len(found))

    def close(self) -> None:
        """Let go of the files."""
        self._parts.clear()

    def _closest(
        self, vector: np.ndarray, vectors: np.ndarray, graph: Path, allowed: np.ndarray | None, begun: int
    ) -> tuple[np.ndarray, np.ndarray]:
        if not len(vectors):
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        if self._graphs and allowed is None:  # a graph cannot be told which rows to pass over
            keys = np.sort(_search_graph(graph, vector))
            return keys, vectors[keys] @ vector
        scores = vectors @ vector
        if allowed is not None:
            scores = np.where(allowed[begun : begun + len(vectors)], scores, -1.0)
        if len(scores) <= DEPTH:
            return np.arange(len(scores)), scores
        best = np.sort(np.argpartition(-scores, DEPTH - 1)[:DEPTH])
        return best, scores[best]


def _vectors(fragment: Fragment, columns: Sequence[str], encoder: Encoder) -> np.ndarray:
    table = fragment.table()
    present = [name for name in columns if name in table.column_names]
    if not present:
        raise BadInput(f"The dataset has none of the columns {', '.join(columns)}.", hint="Set columns of the index.")
    made = []
    for batch in table.select(present).to_batches(max_chunksize=BATCH_ROWS):
        values = zip(*(column.to_pylist() for column in batch.columns))
        made.append(encoder(["\n".join(str(value) for value in row if value) for row in values]))
    return np.concatenate(made).astype(np.float32) if made else np.zeros((0, 1), np.float32)


def _write_graph(vectors: np.ndarray, path: Path, old: Path | None) -> None:
    if old is not None and old.exists():
        shutil.copyfile(old, path)
        return
    graph = usearch.Index(ndim=vectors.shape[1], metric="ip", dtype="f32", expansion_add=LOOKED_AT, expansion_search=LOOKED_AT)
    if len(vectors):
        graph.add(np.arange(len(vectors)), np.asarray(vectors), threads=1)  # one thread: equal vectors make equal graphs
    path.write_bytes(HEAD + bytes(graph.save() or b""))


def _search_graph(path: Path, vector: np.ndarray) -> np.ndarray:
    """The rows that lie close to a vector, in no order."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        data = memoryview(mapped)[len(HEAD) :]
        graph = usearch.Index.restore(data, view=True, expansion_search=LOOKED_AT)
        assert graph is not None, f"{path.name} is no graph"
        found = np.array(graph.search(vector, LOOKED_AT, threads=1).keys, np.int64)
        del graph  # it looks into the mapped file
        data.release()
    return found
