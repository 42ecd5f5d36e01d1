"""The family `lsa`: latent semantic analysis (Deerwester et al. 1990). Texts as vectors in which words that keep the same
company lie close, without torch: counts of words and of stretches of characters, weighted, then a truncated singular value
decomposition.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from fourfold.compute.tasks import Embedded, EmbedOptions, TextInput
from fourfold.core.errors import BadInput, BadSpec, Corrupt
from fourfold.core.progress import Progress
from fourfold.data.dataset import Dataset
from fourfold.data.folding import IS_CHARACTER, RUN, fold, words

BATCH_ROWS = 1000
WORDS = re.compile(r"\w+")
SUBWORD = (3, 4, 5)  # lengths of stretches of a word of a spaced script, with its borders
DENSE = 500  # a decomposition with a side below this is done whole


class LsaFile(msgspec.Struct, frozen=True):
    """`lsa.json`: how many dimensions there are and which share of the variance they keep."""

    dimensions: int
    explained: float


@dataclass(frozen=True, slots=True)
class Lsa:
    """Words as rjieba cuts them, pairs of Chinese characters, and stretches of 3 to 5 letters of other words: the `features`
    that most documents have, of those in at least `min_documents`. Its vectors have `dimensions` numbers, fewer for few
    documents.
    """

    dimensions: int = 128
    features: int = 50_000
    min_documents: int = 2
    columns: tuple[str, ...] = ("title", "text")
    tasks: ClassVar[tuple[str, ...]] = ("embed",)

    def __post_init__(self) -> None:
        for name in ("dimensions", "features", "min_documents"):
            if getattr(self, name) < 1:
                raise BadSpec(f"{name} is at least 1, not {getattr(self, name)}.")

    def fit(self, train: Dataset, dev: Dataset | None, folder: Path, progress: Progress) -> dict[str, Any]:
        """Learn from the texts of `train`; `dev` is not looked at. Raises BadInput if fewer than two texts share a feature."""
        counted = [Counter(features(text)) for text in _texts(train, self.columns, progress)]
        documents: Counter[int] = Counter()
        for counts in counted:
            documents.update(counts.keys())
        most = sorted(documents.items(), key=lambda item: (-item[1], item[0]))[: self.features]
        known = np.array(sorted(feature for feature, n in most if n >= self.min_documents), np.uint32)
        if len(known) < 2:
            raise BadInput("No two documents share a word.", hint="Lower min_documents, or train on more documents.")
        frequency = np.array([documents[int(feature)] for feature in known])
        weights = (np.log((1 + len(counted)) / (1 + frequency)) + 1).astype(np.float32)
        matrix = _matrix(counted, known, weights)
        components, explained = decompose(matrix, self.dimensions)
        np.save(folder / "features.npy", known)
        np.save(folder / "weights.npy", weights)
        np.save(folder / "components.npy", components)
        about = LsaFile(components.shape[1], round(explained, 6))
        (folder / "lsa.json").write_bytes(msgspec.json.format(msgspec.json.encode(about), indent=1))
        figures = {"documents": len(counted), "features": len(known), **msgspec.to_builtins(about)}
        return {"tasks": list(self.tasks), "dimensions": about.dimensions, "training": figures}

    @staticmethod
    def load(folder: Path) -> LsaModel:
        """The model of a version's folder. Raises Corrupt if a file is missing or is not what it should be."""
        try:
            about = msgspec.json.decode((folder / "lsa.json").read_bytes(), type=LsaFile)
            known, weights, components = (
                np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                for name in ("features", "weights", "components")
            )
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise Corrupt(f"The model cannot be read: {error}.", hint="Run: fourfold doctor") from error
        return LsaModel(about, np.asarray(known), np.asarray(weights), components)


class LsaModel:
    """A loaded model."""

    def __init__(self, about: LsaFile, known: np.ndarray, weights: np.ndarray, components: np.ndarray) -> None:
        self.dimensions = about.dimensions
        self._known, self._weights, self._components = known, weights, components

    def embed(self, inputs: Sequence[TextInput], options: EmbedOptions) -> list[Embedded]:
        """A vector of length 1 for each text, or of zeros where nothing of a text is known."""
        vectors = self.vectors([one.text for one in inputs])
        return [Embedded(one.id, vector.tolist()) for one, vector in zip(inputs, vectors)]

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """The same as one array of shape (texts, dimensions), float32."""
        matrix = _matrix([Counter(features(text)) for text in texts], self._known, self._weights)
        found = np.asarray(matrix @ self._components, np.float32)
        return normalised(found)

    def close(self) -> None:
        """Nothing is held open."""


def features(text: str) -> Iterator[int]:
    """The features of a text as numbers of 32 bits, each as often as it stands there."""
    folded = fold(text)
    for word in words(folded):
        yield zlib.crc32(word.encode("utf-8", "replace"))
    for run in RUN.findall(folded):
        if IS_CHARACTER.match(run):
            for begin in range(len(run) - 1):
                yield zlib.crc32(b"\x01" + run[begin : begin + 2].encode("utf-8", "replace"))
            continue
        for word in WORDS.findall(run):
            bordered = f"^{word}$"
            for length in SUBWORD:
                for begin in range(len(bordered) - length + 1):
                    yield zlib.crc32(b"\x02" + bordered[begin : begin + length].encode("utf-8", "replace"))


def decompose(matrix: csr_matrix, dimensions: int) -> tuple[np.ndarray, float]:
    """The right singular vectors of the largest singular values, of shape (features, dimensions), and the share of the squared
    values that they hold. Signs are such that the largest number of each is positive.
    """
    rows, columns = matrix.get_shape()
    shorter = min(rows, columns)
    wanted = max(1, min(dimensions, shorter - 1))
    if shorter <= DENSE:
        _, values, right = np.linalg.svd(matrix.toarray(), full_matrices=False)
        values, right = values[:wanted], right[:wanted]
    else:
        begun = np.random.default_rng(0).standard_normal(shorter)
        _, values, right = svds(matrix, k=wanted, v0=begun)
        assert right is not None, "svds gives both sides unless told otherwise"
        order = np.argsort(-values)
        values, right = values[order], right[order]
    largest = np.abs(right).argmax(axis=1)
    right = right * np.sign(right[np.arange(len(right)), largest])[:, None]
    whole = float(matrix.multiply(matrix).sum())
    return np.ascontiguousarray(right.T, np.float32), float((values.astype(np.float64) ** 2).sum() / whole)


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Each row at length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def _texts(rows: Dataset, columns: Sequence[str], progress: Progress) -> Iterator[str]:
    done = 0
    for fragment in rows.fragments():
        table = fragment.table()
        present = [name for name in columns if name in table.column_names]
        for batch in table.select(present).to_batches(max_chunksize=BATCH_ROWS):
            for values in zip(*(column.to_pylist() for column in batch.columns)):
                yield "\n".join(str(value) for value in values if value)
            done += len(batch)
            progress(done, None, "rows")


def _matrix(counted: Sequence[Counter[int]], known: np.ndarray, weights: np.ndarray) -> csr_matrix:
    """Documents by features: (1 + log count) × weight, each row at length 1."""
    pointers, columns, values = [0], [], []
    for counts in counted:
        found = np.fromiter(counts.keys(), np.uint32, len(counts))
        times = np.fromiter(counts.values(), np.float32, len(counts))
        place = np.minimum(np.searchsorted(known, found), len(known) - 1)
        there = known[place] == found
        place, value = place[there], (1 + np.log(times[there])) * weights[place[there]]
        order = np.argsort(place)
        length = float(np.linalg.norm(value)) or 1.0
        columns.append(place[order])
        values.append((value / length)[order])
        pointers.append(pointers[-1] + len(place))
    shape = (len(counted), len(known))
    if not counted:
        return csr_matrix(shape, dtype=np.float32)
    return csr_matrix((np.concatenate(values).astype(np.float32), np.concatenate(columns), pointers), shape=shape)
