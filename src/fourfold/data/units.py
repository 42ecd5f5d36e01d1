"""Texts as numbers, many at once: their words (of Chinese, its characters) as hashes, in numpy over code points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

BATCH_CHARACTERS = 2 << 20  # bounds the arrays below, whatever a fragment holds
CHINESE_SHARE = 0.2  # of the letters, as in describe
SPACE, LETTER, CHINESE = 0, 1, 2
FACTOR = np.uint64(0x9E3779B97F4A7C15)
SHINGLE_FACTOR = np.uint64(0xD6E8FEB86659FD93)


def _classes() -> np.ndarray:
    """For each code point: part of a word, a Chinese character, or neither. Signs, kana and Hangul by block."""
    table = np.zeros(0x110000, np.uint8)
    for start, end in ((0x30, 0x3A), (0x41, 0x5B), (0x61, 0x7B), (0xC0, 0x2000), (0x2C00, 0x2E00), (0x3040, 0x3100)):
        table[start:end] = LETTER
    for start, end in ((0xA000, 0xD800), (0xFF10, 0xFF1A), (0xFF21, 0xFF3B), (0xFF41, 0xFF5B), (0x10000, 0x20000)):
        table[start:end] = LETTER
    table[[0xD7, 0xF7]] = SPACE
    for start, end in ((0x3400, 0xA000), (0xF900, 0xFB00), (0x20000, 0x33480)):
        table[start:end] = CHINESE
    return table


CLASS = _classes()
POWERS = np.cumprod(np.full(64, FACTOR), dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Units:
    """Words and Chinese characters of `rows` texts: hashes in order, and offsets[i]:offsets[i + 1] those of text i.

    `lengths`: code points of each unit. `chinese`: whether a text is Chinese. `characters`: code points of each text.
    """

    hashes: np.ndarray
    lengths: np.ndarray
    offsets: np.ndarray
    chinese: np.ndarray
    characters: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Units of each text."""
        return np.diff(self.offsets)

    def rows(self) -> np.ndarray:
        """The text of each unit."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


def batches(texts: pa.Array | pa.ChunkedArray) -> Iterator[list[str]]:
    """The texts (None as ""), in batches of about two million characters."""
    batch: list[str] = []
    size = 0
    for text in texts.to_pylist():
        batch.append(text or "")
        size += len(text or "")
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def units(texts: list[str]) -> Units:
    """The units of the texts: runs of letters and digits without case, and each Chinese character for itself."""
    joined = "\n".join(texts).lower()
    if len(joined) != sum(map(len, texts)) + max(len(texts) - 1, 0):  # İ has a lower case of two code points
        texts = [text.lower() for text in texts]
        joined = "\n".join(texts)
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    characters = np.fromiter(map(len, texts), np.int64, len(texts))
    begins = np.concatenate(([0], np.cumsum(characters + 1)))
    kind = CLASS[np.minimum(points, 0x10FFFF)]
    before = np.concatenate((np.zeros(1, np.uint8), kind[:-1])) if len(kind) else kind
    starts = np.flatnonzero((kind == CHINESE) | ((kind == LETTER) & (before != LETTER)))
    offsets = np.searchsorted(starts, begins)
    inside = np.flatnonzero(kind)
    if not len(inside):
        empty = np.zeros(0, np.uint64)
        return Units(empty, np.zeros(0, np.int64), offsets, np.zeros(len(texts), bool), characters)
    which = np.cumsum(np.isin(inside, starts, assume_unique=True)) - 1
    position = inside - starts[which]
    mixed = (points[inside].astype(np.uint64) + np.uint64(1)) * POWERS[position % 64]
    first = np.searchsorted(inside, starts)
    hashes = _mix(np.add.reduceat(mixed, first))
    lengths = np.diff(np.concatenate((first, [len(inside)])))
    letters = np.diff(np.searchsorted(inside, begins))
    characters_of_chinese = np.diff(np.searchsorted(np.flatnonzero(kind == CHINESE), begins))
    chinese = (characters_of_chinese > 0) & (characters_of_chinese >= CHINESE_SHARE * letters)
    return Units(hashes, lengths, offsets, chinese, characters)


def shingles(found: Units, words: int, characters: int) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of runs of units and their offsets by text: runs of `words`, in Chinese texts of `characters`.

    A text with fewer units has one run: all of them. One without any has none.
    """
    counts = found.counts
    wanted = np.minimum(np.where(found.chinese, characters, words), counts)
    many = np.where(counts > 0, counts - wanted + 1, 0)
    offsets = np.concatenate(([0], np.cumsum(many)))
    at = np.repeat(found.offsets[:-1] - offsets[:-1], many) + np.arange(offsets[-1])
    size = np.repeat(wanted, many)
    hashes = np.zeros(len(at), np.uint64)
    for k in range(max(words, characters)):
        more = k < size
        hashes[more] = hashes[more] * SHINGLE_FACTOR + found.hashes[at[more] + k]
    return _mix(hashes), offsets


def _mix(values: np.ndarray) -> np.ndarray:
    """splitmix64's last steps: near values become far ones."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
