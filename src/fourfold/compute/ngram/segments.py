"""The segments of a text: its words or its sentences, as code point ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from fourfold.compute.ngram.text import Unit, cut

SENTENCE = re.compile(r"\S(?:[^\n。！？!?.]|\.(?=[^\s.]))*[。！？!?.…]*[”’」』\"]?")


def places_of(tokens: Iterable[str], text: str) -> list[tuple[int, int]]:
    """Where each of the tokens stands in the text that they were cut from, in order; line ends have no place."""
    places, end = [], 0
    for token in tokens:
        start = text.index(token, end)
        end = start + len(token)
        if token != "\n":
            places.append((start, end))
    return places


def segments(text: str, unit: Unit, by: Literal["word", "sentence"], starts: set[int]) -> list[tuple[int, int]]:
    """Half-open ranges in order. Words are the model's own tokens, or rjieba's and spaces' where these are characters.

    Each begins where a token does (`starts`): one that would not is joined to the one before it.
    """
    if by == "word":
        found = places_of(cut(text, "word" if unit == "character" else unit), text)
    else:
        found = [(match.start(), match.start() + len(match[0].rstrip())) for match in SENTENCE.finditer(text)]
    joined: list[tuple[int, int]] = []
    for start, end in found:
        if start in starts:
            joined.append((start, end))
        elif joined:
            joined[-1] = joined[-1][0], end
    return joined
