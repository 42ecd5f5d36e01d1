"""The stretch of a text that shows best why it was found, and where in it the words of the query stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourfold.data.folding import adjacent, fold_with_places
from fourfold.data.queries import Term

WIDTH = 160  # characters
LOOKED_AT = 100_000  # characters of a text: a longer one is shown by its beginning
MOST_PLACES = 1000  # of one term in a text


@dataclass(frozen=True, slots=True)
class Snippet:
    """A stretch of a text; `highlights` are code points of it, half-open, in order, apart from each other."""

    text: str
    highlights: tuple[tuple[int, int], ...] = ()


def snippet(text: str, terms: Sequence[Term], *, width: int = WIDTH) -> Snippet:
    """The stretch of at most `width` characters (an … at a cut end comes on top) with the most different terms."""
    text = text[:LOOKED_AT]
    places = _places(text, terms)
    begin = _begin(text, places, width)
    end = min(len(text), begin + width)
    before, after = "…" if begin else "", "…" if end < len(text) else ""
    shift = len(before) - begin
    inside = [(max(b, begin) + shift, min(e, end) + shift) for b, e, _ in places if b < end and e > begin]
    return Snippet(f"{before}{text[begin:end]}{after}", tuple(_merged(inside)))


def _places(text: str, terms: Sequence[Term]) -> list[tuple[int, int, int]]:
    """Begin, end and number of each term's places in the text, in order."""
    folded, places = fold_with_places(text)
    found: list[tuple[int, int, int]] = []
    for number, term in enumerate(terms):
        for match, _ in zip(adjacent(term.units, plural=not term.quoted).finditer(folded), range(MOST_PLACES)):
            found.append((places[match.start()], places[match.end() - 1] + 1, number))
    return sorted(found)


def _begin(text: str, places: Sequence[tuple[int, int, int]], width: int) -> int:
    """Where the stretch begins: a little before the places that lie together and are of most terms, the first of equals."""
    best, most = 0, 0
    for n, (begin, _, _) in enumerate(places):
        together = set()
        for other, end, number in places[n:]:
            if other >= begin + width:
                break
            if end <= begin + width:
                together.add(number)
        if len(together) > most:
            best, most = begin, len(together)
    if len(text) <= width:
        return 0
    return max(0, min(best - width // 5, len(text) - width))


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged
