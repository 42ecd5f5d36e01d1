"""Counts of n-grams as sorted arrays: count a batch, merge runs, keep them on disk when they outgrow memory.

The n-grams of one order are rows in lexicographic order of their words. A row names its context (the row of its first n-1
words in the order below) and its last word, so that an n-gram of any length is one 64-bit key; equal texts give equal bytes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count as counter
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np

from fourfold.compute.ngram.text import BEGIN, SPECIAL, Sentences

CONTEXT, WORD, COUNT = 0, 1, 2
BYTES_PER_ROW = 64  # held for a row while it is grouped: keys, order, rows
BYTES_PER_TOKEN = 128  # held for a token while it is counted: the same, and five orders of counts


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each n-gram occurs. `words`: `SPECIAL`, then sorted by code point; an id is a place in this list.

    `levels[n - 1]` has shape (3, n-grams) of int32: context row, last word, count. Order 1 has a row for each word.
    """

    words: list[str]
    levels: list[np.ndarray]

    @property
    def bits(self) -> int:
        """Bits that hold a word id."""
        return bits_of(len(self.words))

    def keys(self, order: int) -> np.ndarray:
        """context row << bits | word, ascending."""
        level = self.levels[order - 1]
        return pack(level[CONTEXT], level[WORD], self.bits)


def bits_of(words: int) -> int:
    """Bits that hold the ids of so many words."""
    return max(1, (words - 1).bit_length())


def pack(context: np.ndarray, word: np.ndarray, bits: int) -> np.ndarray:
    """The int64 key context << bits | word."""
    key = context.astype(np.int64)
    key <<= bits
    key |= word
    return key


class Workspace:
    """Arrays for long work: in memory, or in files of a temporary folder inside `folder` that goes with it."""

    def __init__(self, folder: Path, memory_bytes: int, *, on_disk: bool) -> None:
        self.rows_at_once = max(1 << 10, memory_bytes // BYTES_PER_ROW)
        self._spill = tempfile.TemporaryDirectory(prefix="spill-", dir=folder) if on_disk else None
        self._numbers = counter()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._spill is not None:
            self._spill.cleanup()

    def empty(self, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
        """A new array; what it holds is unspecified."""
        if self._spill is None or 0 in shape:  # a file of no bytes cannot be mapped
            return np.empty(shape, dtype)
        path = Path(self._spill.name) / f"{next(self._numbers)}.npy"
        return np.lib.format.open_memmap(path, "w+", dtype, shape)

    def keep(self, array: np.ndarray) -> np.ndarray:
        """The array, out of memory where this workspace is on disk."""
        if self._spill is None:
            return array
        kept = self.empty(array.shape, array.dtype.type)
        kept[...] = array
        return kept


def group(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys (int64 ≥ 0) in ascending order, and for each key its row (int32) among them."""
    if not len(keys):
        return keys, np.empty(0, np.int32)
    places = max(1, (len(keys) - 1).bit_length())
    if int(keys.max()).bit_length() + places <= 63:  # key and place in one word: numpy sorts these faster than it argsorts
        ordered = keys << places
        ordered |= np.arange(len(keys))
        ordered.sort()
        order = ordered & ((1 << places) - 1)
        ordered >>= places
    else:
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
    first = np.empty(len(keys), bool)
    first[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    rows = np.empty(len(keys), np.int32)
    rows[order] = np.cumsum(first, dtype=np.int32) - 1
    return ordered[first], rows


def grouped(runs: Sequence[np.ndarray], rows_at_once: int) -> Iterator[tuple[list[np.ndarray | slice], np.ndarray, np.ndarray]]:
    """`group` over several runs of keys, in ascending ranges of about `rows_at_once` keys.

    Yields the places taken from each run, the distinct keys, and the row among them of each key taken, runs in order.
    """
    total = sum(map(len, runs))
    parts = -(-total // rows_at_once)
    if parts <= 1:
        yield [slice(None)] * len(runs), *group(np.concatenate(runs))
        return
    sample = np.sort(np.concatenate([run[:: max(1, total // (parts * 1024))] for run in runs]))
    bounds = [0, *np.unique(sample[len(sample) * np.arange(1, parts) // parts]).tolist(), np.iinfo(np.int64).max]
    for low, high in pairwise(bounds):
        taken = [np.flatnonzero((run >= low) & (run < high)) for run in runs]
        yield list(taken), *group(np.concatenate([run[places] for run, places in zip(runs, taken)]))


def count(sentences: Sentences, order: int) -> Counts:
    """Counts of the n-grams up to `order`; none crosses a sentence's begin."""
    ids, words = sentences.ids, sentences.words
    bits = bits_of(len(words))
    levels = [_words_only(len(words))]
    levels[0][COUNT] = np.bincount(ids, minlength=len(words))
    rows = ids  # of the n-gram that ends at each place, -1 where there is none
    places = np.flatnonzero(ids != BEGIN)
    for _ in range(2, order + 1):
        distinct, at = group(pack(rows[places - 1], ids[places], bits))
        level = np.empty((3, len(distinct)), np.int32)
        _fill(level, distinct, bits)
        level[COUNT] = np.bincount(at, minlength=len(distinct))
        levels.append(level)
        rows = np.full(len(ids), -1, np.int32)
        rows[places] = at
        places = places[rows[places - 1] >= 0]
    return Counts(words, levels)


def _words_only(words: int) -> np.ndarray:
    """Order 1 with nothing counted."""
    return np.stack([np.zeros(words), np.arange(words), np.zeros(words)]).astype(np.int32)


def _fill(level: np.ndarray, keys: np.ndarray, bits: int) -> None:
    level[CONTEXT] = keys >> bits
    level[WORD] = keys & ((1 << bits) - 1)


def count_all(batches: Iterable[Sentences], order: int, folder: Path, key: str, memory_bytes: int) -> None:
    """Save the counts of all batches as `key`; no batches, no words. Large parts wait on disk until they are merged."""
    runs: list[Counts] = []
    with Workspace(folder, memory_bytes, on_disk=True) as spill:
        for sentences in batches:
            run = count(sentences, order)
            if sum(level.nbytes for level in run.levels) > memory_bytes // 4:
                run = Counts(run.words, [spill.keep(level) for level in run.levels])
            runs.append(run)
        if not runs:
            runs.append(Counts(list(SPECIAL), [_words_only(len(SPECIAL)), *[np.zeros((3, 0), np.int32)] * (order - 1)]))
        with Workspace(folder, memory_bytes, on_disk=outgrow(runs, memory_bytes)) as space:
            save(merge(runs, space), folder, key)


def outgrow(runs: Sequence[Counts], memory_bytes: int) -> bool:
    """Whether merging these needs more memory than that."""
    return sum(level.shape[1] for run in runs for level in run.levels) * BYTES_PER_ROW > memory_bytes


def merge(runs: Sequence[Counts], space: Workspace) -> Counts:
    """The sum of several counts of the same order."""
    if len(runs) == 1:
        return runs[0]
    words = [*SPECIAL, *sorted(set().union(*(run.words[len(SPECIAL) :] for run in runs)))]
    ids = {word: i for i, word in enumerate(words)}
    return _gather(runs, [np.array([ids[word] for word in run.words], np.int32) for run in runs], words, space)


def limit(counts: Counts, size: int, space: Workspace) -> Counts:
    """The counts with all but the `size` most frequent words (the first of equals) turned into `<unk>`."""
    frequency = counts.levels[0][COUNT][len(SPECIAL) :]
    if len(frequency) <= size:
        return counts
    kept = np.sort(np.argsort(-frequency, kind="stable")[:size]) + len(SPECIAL)
    to_id = np.zeros(len(counts.words), np.int32)
    to_id[: len(SPECIAL)] = np.arange(len(SPECIAL))
    to_id[kept] = np.arange(len(SPECIAL), len(SPECIAL) + size)
    return _gather([counts], [to_id], [*SPECIAL, *(counts.words[i] for i in kept.tolist())], space)


def _gather(runs: Sequence[Counts], to_id: Sequence[np.ndarray], words: list[str], space: Workspace) -> Counts:
    """The sum of `runs` over `words`, to which `to_id` takes the word ids of each run."""
    bits = bits_of(len(words))
    first = _words_only(len(words))
    for run, ids in zip(runs, to_id):
        first[COUNT] += np.bincount(ids, weights=run.levels[0][COUNT], minlength=len(words)).astype(np.int32)
    levels = [first]
    rows: list[np.ndarray] = list(to_id)  # for each run: where the n-grams of the order below have gone
    for above in zip(*(run.levels[1:] for run in runs)):
        keys = [space.keep(pack(row[old[CONTEXT]], ids[old[WORD]], bits)) for row, ids, old in zip(rows, to_id, above)]
        rows = [space.empty((len(key),), np.int32) for key in keys]
        level = space.empty((3, sum(map(len, keys))), np.int32)
        done = 0
        for taken, distinct, at in grouped(keys, space.rows_at_once):
            new = level[:, done : done + len(distinct)]
            _fill(new, distinct, bits)
            old = np.concatenate([run[COUNT][places] for run, places in zip(above, taken)])
            new[COUNT] = np.bincount(at, weights=old, minlength=len(distinct))
            start = 0
            for row, places in zip(rows, taken):
                size = len(row[places])
                row[places] = at[start : start + size] + done
                start += size
            done += len(distinct)
        levels.append(level[:, :done])
    return Counts(words, levels)


def save(counts: Counts, folder: Path, key: str) -> None:
    """Write `<key>-words.txt` and `<key>-<order>.npy`."""
    (folder / f"{key}-words.txt").write_text("\n".join(counts.words), encoding="utf-8", newline="\n")
    for order, level in enumerate(counts.levels, 1):
        np.save(folder / f"{key}-{order}.npy", level, allow_pickle=False)


def files_of(key: str, order: int) -> list[str]:
    """Names of the files that `save` writes."""
    return [f"{key}-words.txt", *(f"{key}-{n}.npy" for n in range(1, order + 1))]


def read(folder: Path, key: str, order: int) -> Counts:
    """What `save` wrote, mapped from disk."""
    words = (folder / f"{key}-words.txt").read_text(encoding="utf-8").split("\n")
    return Counts(words, [np.load(folder / f"{key}-{n}.npy", mmap_mode="r", allow_pickle=False) for n in range(1, order + 1)])
