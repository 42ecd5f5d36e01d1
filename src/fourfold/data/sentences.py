"""Sentences of a text, Chinese and English."""

from __future__ import annotations

import re
from collections.abc import Iterator

ABBREVIATIONS = frozenset(
    (
        *("mr", "mrs", "ms", "dr", "prof", "sr", "jr", "st", "gen", "gov", "hon", "lt", "col", "sgt", "rep", "sen", "rev"),
        *("jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
        *("vs", "etc", "inc", "ltd", "co", "corp", "dept", "est", "approx", "no", "vol", "fig", "eq", "sec", "ch", "pp", "ed"),
        *("eds", "al", "e.g", "i.e", "u.s", "u.k", "a.m", "p.m", "ph.d"),
    )
)
CLOSING = "\"'”’」』》）)\\]】"
# A run of end marks with the quotes and brackets that close behind it. A full stop ends a sentence before white space only.
END = re.compile(rf"(?:[。！？…⋯]+|[!?！？]+|\.{{3,}}(?=\s|$)|\.(?=[{CLOSING}]*(?:\s|$)))[{CLOSING}]*")
WORD_BEFORE = re.compile(r"[\w.]+$")
SMALL_AFTER = re.compile(r"\s*[a-zà-ÿ]")
LINE = re.compile(r"[^\n]+")


def sentences(text: str) -> list[str]:
    """The sentences of a text in order, without the white space around them. A line's end is a sentence's end."""
    return [text[start:end] for start, end in places_of_sentences(text)]


def places_of_sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence."""
    for line in LINE.finditer(text):
        start = line.start()
        for mark in END.finditer(text, line.start(), line.end()):
            if not _goes_on(text, start, mark, line.end()):
                yield from _trimmed(text, start, mark.end())
                start = mark.end()
        yield from _trimmed(text, start, line.end())


def _goes_on(text: str, start: int, mark: re.Match[str], line_end: int) -> bool:
    """Whether the mark ends no sentence: an abbreviation, an initial, or a word in small letters follows."""
    if mark[0][0] == "." and len(mark[0].strip(CLOSING)) == 1:
        before = WORD_BEFORE.search(text, start, mark.start())
        word = before[0] if before else ""
        if word.casefold() in ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word.isupper()):
            return True
    return mark.end() < line_end and mark[0][0] in ".…!?" and bool(SMALL_AFTER.match(text, mark.end(), line_end))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if end > start:
        yield start, end
