"""Words as people count them: of Chinese as rjieba cuts it, of other text between spaces."""

from __future__ import annotations

import re

CJK = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003347f]")
WORD = re.compile(r"\w")


def pieces(text: str) -> list[str]:
    """The text cut into words and signs, white space left out: Chinese by rjieba, other text between spaces."""
    import rjieba

    return [piece for piece in (rjieba.cut(text) if CJK.search(text) else text.split()) if piece.strip()]


def words(text: str) -> list[str]:
    """The words of a text; punctuation alone is none."""
    import rjieba  # reads its dictionary when imported: 0.15 s that a command that cuts nothing does not pay

    pieces = rjieba.cut(text) if CJK.search(text) else text.split()
    return [piece for piece in pieces if WORD.search(piece)]


def has_words(text: str, least: int) -> bool:
    """Whether a text has at least `least` words; of a long text only as much is cut as the answer takes."""
    beginning = text[: max(1000, 50 * least)]
    return len(words(beginning)) >= least or (len(beginning) < len(text) and len(words(text)) >= least)
