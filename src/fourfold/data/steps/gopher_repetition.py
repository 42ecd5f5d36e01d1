"""Gopher's repetition rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from fourfold.data.counted import is_chinese, lines_of
from fourfold.data.steps import mark

SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class GopherRepetition:
    """The repetition rules of Rae et al. 2021 (arXiv:2112.11446, table A1); a document goes under the name of the first that it
    breaks. Shares are of lines, paragraphs or characters. N-grams are of words between spaces; of a Chinese text, of characters
    and twice as long, since a Chinese word is of about two.
    """

    duplicate_lines: float = 0.30
    duplicate_paragraphs: float = 0.30
    duplicate_line_characters: float = 0.20
    duplicate_paragraph_characters: float = 0.20
    top_2_3_4_grams: tuple[float, float, float] = (0.20, 0.18, 0.16)
    duplicate_5_to_10_grams: tuple[float, float, float, float, float, float] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)

    def __call__(self, table: pa.Table, /) -> pa.Table:
        chinese = is_chinese(table["text"])
        found = [self._broken(text or "", bool(zh)) for text, zh in zip(table["text"].to_pylist(), chinese)]
        for reason in dict.fromkeys(reason for reason in found if reason):
            table = mark(table, pa.array([one == reason for one in found], pa.bool_()), reason)
        return table

    def _broken(self, text: str, chinese: bool) -> str | None:
        """The first rule that a text breaks."""
        return next((reason for reason, value, most in self._rules(text, chinese) if value > most), None)

    def _rules(self, text: str, chinese: bool) -> Iterator[tuple[str, float, float]]:
        paragraphs = [p for p in text.split("\n\n") if p.strip()]
        pieces = (("line", lines_of(text)), ("paragraph", paragraphs))
        for name, items in pieces:
            shares = _repeated(items)
            yield f"gopher_duplicate_{name}s", shares[0], getattr(self, f"duplicate_{name}s")
            yield f"gopher_duplicate_{name}_characters", shares[1], getattr(self, f"duplicate_{name}_characters")
        words = list(SPACES.sub("", text)) if chinese else text.split()
        whole = max(sum(map(len, words)), 1)
        factor = 2 if chinese else 1
        # A run that stands twice has a shorter one that does: where none of n words does, none of more words is looked for.
        for n, most in zip((2, 3, 4), self.top_2_3_4_grams):
            found = _top(words, factor * n)
            if not found:
                break
            yield f"gopher_top_{n}_gram", found / whole, most
        for n, most in zip(range(5, 11), self.duplicate_5_to_10_grams):
            found = _duplicated(words, factor * n)
            if not found:
                break
            yield f"gopher_duplicate_{n}_grams", found / whole, most


def _repeated(items: Sequence[str]) -> tuple[float, float]:
    """Shares of the items, and of their characters, that stand earlier in the list."""
    seen: set[str] = set()
    again = [item for item in items if item in seen or seen.add(item)]
    return len(again) / max(len(items), 1), sum(map(len, again)) / max(sum(map(len, items)), 1)


def _top(words: Sequence[str], n: int) -> int:
    """Characters of the most frequent n-gram, all its occurrences together; 0 if none stands twice."""
    grams = Counter(zip(*(words[i:] for i in range(n))))
    most = max(grams.values(), default=0)
    return max((sum(map(len, gram)) * times for gram, times in grams.items() if times == most > 1), default=0)


def _duplicated(words: Sequence[str], n: int) -> int:
    """Characters of words that are part of an n-gram seen before, each counted once."""
    seen: set[tuple[str, ...]] = set()
    covered, characters = 0, 0
    for i, gram in enumerate(zip(*(words[i:] for i in range(n)))):
        if gram in seen:
            characters += sum(map(len, words[max(i, covered) : i + n]))
            covered = i + n
        else:
            seen.add(gram)
    return characters
