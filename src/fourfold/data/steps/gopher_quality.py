"""Gopher's quality rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fourfold.data.counted import CHINESE, count, holds, is_chinese, length, lines_of, share
from fourfold.data.steps import mark

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
STOP_CHARACTERS = tuple("的了是在和有不我就这")
BULLETS = ("-", "*", "•", "‣", "●", "·")


@dataclass(frozen=True, slots=True)
class GopherQuality:
    """The document rules of Rae et al. 2021 (arXiv:2112.11446, appendix A.1.1); a document goes under the first that it breaks.
    Words stand between spaces. A Chinese text has no such words: its characters are counted against bounds of their
    own, and its stop words are 的 了 是 在 和 有 不 我 就 这.
    """

    min_words: int = 50
    max_words: int = 100_000
    min_word_length: float = 3.0
    max_word_length: float = 10.0
    max_symbol_share: float = 0.1  # of # and of … or ... per word
    max_bullet_lines: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_alphabetic: float = 0.8  # share of words that hold a letter
    min_stop_words: int = 2
    min_characters_chinese: int = 80
    max_characters_chinese: int = 160_000
    min_alphabetic_chinese: float = 0.6  # share of characters, spaces apart, that are Chinese characters or letters
    min_stop_words_chinese: int = 2

    def __call__(self, table: pa.Table, /) -> pa.Table:
        texts, chinese = table["text"], is_chinese(table["text"])
        words, characters, solid = count(texts, r"\S+"), count(texts, CHINESE), length(texts) - count(texts, r"\s")
        amount = np.where(chinese, characters, words)
        mean = share(solid, words)
        lettered = share(count(texts, r"\S*\pL\S*"), words)
        if chinese.any():
            lettered = np.where(chinese, share(count(texts, r"\pL"), solid), lettered)
        symbols = share(np.maximum(count(texts, "#"), count(texts, r"\.\.\.|…")), amount)
        bullets, ellipses = _lines(texts.to_pylist())
        stops = _present(texts, STOP_WORDS, r"\b")
        if chinese.any():
            stops = np.where(chinese, _present(texts, STOP_CHARACTERS, ""), stops)
        rules = {
            "gopher_too_few_words": amount < np.where(chinese, self.min_characters_chinese, self.min_words),
            "gopher_too_many_words": amount > np.where(chinese, self.max_characters_chinese, self.max_words),
            "gopher_word_length": ~chinese & ((mean < self.min_word_length) | (mean > self.max_word_length)),
            "gopher_symbols": symbols > self.max_symbol_share,
            "gopher_bullet_lines": bullets > self.max_bullet_lines,
            "gopher_ellipsis_lines": ellipses > self.max_ellipsis_lines,
            "gopher_alphabetic": lettered < np.where(chinese, self.min_alphabetic_chinese, self.min_alphabetic),
            "gopher_stop_words": stops < np.where(chinese, self.min_stop_words_chinese, self.min_stop_words),
        }
        for reason, broken in rules.items():
            table = mark(table, pa.array(broken), reason)
        return table


def _present(texts: pa.ChunkedArray, words: tuple[str, ...], edge: str) -> np.ndarray:
    return sum((holds(texts, f"(?i){edge}{word}{edge}").astype(np.int64) for word in words), np.zeros(len(texts), np.int64))


def _lines(texts: list[str | None]) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the lines that begin with a bullet, and that end with an ellipsis."""
    bullets, ellipses = np.zeros(len(texts)), np.zeros(len(texts))
    for i, text in enumerate(texts):
        lines = lines_of(text)
        if lines:
            bullets[i] = sum(line.lstrip().startswith(BULLETS) for line in lines) / len(lines)
            ellipses[i] = sum(line.rstrip().endswith(("...", "…")) for line in lines) / len(lines)
    return bullets, ellipses
