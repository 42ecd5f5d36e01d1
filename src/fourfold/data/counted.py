"""Counts over a column of text by Arrow's kernels: Chinese characters, words between spaces, lines of a kind."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

CHINESE = r"[\x{3400}-\x{9fff}\x{f900}-\x{faff}\x{20000}-\x{3347f}]"


def count(texts: pa.Array | pa.ChunkedArray, pattern: str) -> np.ndarray:
    """How often the pattern (RE2) stands in each text; a null counts as an empty text."""
    return pc.count_substring_regex(pc.fill_null(texts, ""), pattern).to_numpy(zero_copy_only=False)


def length(texts: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Code points of each text."""
    return pc.utf8_length(pc.fill_null(texts, "")).to_numpy(zero_copy_only=False)


def is_chinese(texts: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Whether at least a fifth of a text's letters are Chinese characters."""
    chinese = count(texts, CHINESE)
    if not chinese.any():
        return chinese > 0
    return (chinese > 0) & (5 * chinese >= latin(texts) + chinese)


def latin(texts: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Latin letters of each text: its length less all else, since of these there are fewer to count."""
    return length(texts) - count(texts, r"\P{Latin}")


def holds(texts: pa.Array | pa.ChunkedArray, pattern: str) -> np.ndarray:
    """Whether the pattern (RE2) stands in each text at all: cheaper than how often."""
    return pc.match_substring_regex(pc.fill_null(texts, ""), pattern).to_numpy(zero_copy_only=False)


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole; 0 where there is nothing."""
    return part / np.maximum(whole, 1)


def lines_of(text: str | None) -> list[str]:
    """The lines of a text that hold anything."""
    return [line for line in (text or "").split("\n") if line.strip()]
