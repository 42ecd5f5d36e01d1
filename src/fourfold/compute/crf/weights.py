"""The weights of a crfsuite model, read from its file.

The layout is that of crfsuite 0.12 (`crf1d_model.c`, `cqdb.c`): a header, a chunk of features (type, source, target, weight as
a 64-bit float), and two constant databases of labels and attributes. crfsuite's own dump rounds weights to six decimals.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fourfold.core.errors import Corrupt

_HEADER = struct.Struct("<4sI4sI3I5I")
_DATABASE = struct.Struct("<4s5I")
_PAIR = struct.Struct("<II")
_FEATURE = np.dtype([("type", "<u4"), ("source", "<u4"), ("target", "<u4"), ("weight", "<f8")])
_STATE = 0  # type of a feature whose source is an attribute; 1 is a transition

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Weights:
    """A linear-chain CRF of L labels. `transitions[a, b]`: weight of b after a, 0 where unseen.

    Attribute number i weighs `weights[k]` for label `targets[k]`, k from `starts[i]` to `starts[i + 1]`.
    """

    labels: tuple[str, ...]
    attributes: dict[str, int]
    starts: Ints
    targets: Ints
    weights: Floats
    transitions: Floats

    def rows(self, attributes: Sequence[int], row: Sequence[int], count: int) -> Floats:
        """(count, L): in each row the summed weights of the attributes that are assigned to it."""
        numbers, rows = np.asarray(attributes, np.int64), np.asarray(row, np.int64)
        lengths = self.starts[numbers + 1] - self.starts[numbers]
        ends = np.cumsum(lengths)
        k = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self.starts[numbers] - ends + lengths, lengths)
        width = len(self.labels)
        cells = np.repeat(rows, lengths) * width + self.targets[k]
        summed = np.bincount(cells, self.weights[k], minlength=count * width)
        return summed.astype(np.float64, copy=False).reshape(count, width)


def read_weights(path: Path) -> Weights:
    """The weights of a model file. Raises Corrupt if it is none."""
    data = path.read_bytes()
    try:
        return _read(data)
    except (struct.error, ValueError, IndexError) as error:
        raise Corrupt(
            f"{path.name} is not a crfsuite model: {error}.", hint="Train the version again, or restore it."
        ) from error


def _read(data: bytes) -> Weights:
    magic, size, _, _, _, _, _, off_features, off_labels, off_attributes, *_ = _HEADER.unpack_from(data)
    if magic != b"lCRF" or size != len(data):
        raise ValueError(f"{len(data)} bytes that begin with {magic!r}")
    (count,) = struct.unpack_from("<I", data, off_features + 8)
    features = np.frombuffer(data, _FEATURE, count, off_features + 12)
    labels, names = _strings(data, off_labels), _strings(data, off_attributes)
    state = features[features["type"] == _STATE]
    state = state[np.argsort(state["source"], kind="stable")]
    moves = features[features["type"] != _STATE]
    transitions = np.zeros((len(labels), len(labels)))
    transitions[moves["source"], moves["target"]] = moves["weight"]
    return Weights(
        labels=tuple(labels),
        attributes={name: number for number, name in enumerate(names)},
        starts=np.searchsorted(state["source"], np.arange(len(names) + 1)).astype(np.int64),
        targets=state["target"].astype(np.int64),
        weights=state["weight"].astype(np.float64),
        transitions=transitions,
    )


def _strings(data: bytes, offset: int) -> list[str]:
    """The keys of a constant database in order of their numbers."""
    magic, _, _, _, count, table = _DATABASE.unpack_from(data, offset)
    if magic != b"CQDB":
        raise ValueError(f"no database at byte {offset}")
    found = []
    for record in np.frombuffer(data, "<u4", count, offset + table).tolist():
        _, size = _PAIR.unpack_from(data, offset + record)
        start = offset + record + _PAIR.size
        found.append(data[start : start + size - 1].decode())  # the key's closing NUL is counted
    return found
