"""What somebody typed → what is looked for. Every string is a query; nothing in it is an error.

White space parts words; "quotes" keep them together; `title:word` looks in one column. Whatever else a query holds is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fourfold.data.folding import IS_CHARACTER, RUN, WORD, fold, joined, pairs, units, words_apart

MOST_TERMS = 200  # of a query: a long text is asked by its first words
MOST_CHARACTERS = 10_000
QUOTED = r'"([^"]*)"|“([^”]*)”|「([^」]*)」|『([^』]*)』'
PIECE = re.compile(rf'(?:(?P<column>[^\s:："“「『]+)[:：])?(?:{QUOTED})|(?P<plain>\S+?(?=[“「『]|\s|$|(?<=[:：])"))|\S')
COLUMN = re.compile(r"([^\s:：]+)[:：](.+)", re.DOTALL)
EDGE = "()[]{}<>\"'`“”‘’「」『』《》〈〉【】（）.,;:!?。，；：！？、…~|^\\/=-_*&%$@"
OPENING = (
    "()[]{}<>\"'`“”‘’「」『』《》〈〉【】（）,;:!?。，；：！？、…~|^\\/=-_*&%"  # .NET, #3 and @me keep what they begin with
)


@dataclass(frozen=True, slots=True)
class Term:
    """Units that must stand one after another, and the word that they are, if they are one. `column` None: in any column."""

    units: tuple[str, ...]
    word: str = ""
    column: str | None = None
    quoted: bool = False

    @property
    def required(self) -> bool:
        """Whether it must be there however the rest is matched: somebody took the trouble to say so."""
        return self.quoted or self.column is not None


@dataclass(frozen=True, slots=True)
class Query:
    """The terms of a query, each once; `runs` are longer stretches of it that, found whole, put a document first; `pairs` are
    two neighbouring characters each, which count whatever the words are.
    """

    terms: tuple[Term, ...]
    runs: tuple[Term, ...] = ()
    pairs: tuple[str, ...] = ()


def parse(text: str, columns: Sequence[str] = ()) -> Query:
    """The query that `text` is. `columns`: names that may stand before a colon."""
    text = text[:MOST_CHARACTERS].encode("utf-8", "replace").decode()  # lone surrogates are no text
    terms: list[Term] = []
    runs: list[Term] = []
    neighbours: list[str] = []
    for column, piece, quoted in _pieces(text, columns):
        folded = fold(piece)
        if quoted:
            terms += _term(folded, column, quoted=True)
            continue
        for run in RUN.findall(folded):
            found = list(_terms_of_run(run, column))
            terms += found
            neighbours += pairs(run)
            runs += _term(run.strip(EDGE), column) if len(found) > 1 else []
    if not terms:  # nothing but signs: they are what is looked for
        terms = [term for piece in text.split() for term in _term(fold(piece), None)]
    return Query(*(tuple(dict.fromkeys(some))[:MOST_TERMS] for some in (terms, runs, neighbours)))  # type: ignore[arg-type]


def _pieces(text: str, columns: Sequence[str]) -> Iterator[tuple[str | None, str, bool]]:
    """Column, text and whether it was quoted, of each piece in order."""
    for match in PIECE.finditer(text):
        quoted = next((match[group] for group in (2, 3, 4, 5) if match[group] is not None), None)
        if quoted is not None:
            column = match["column"]
            if column is not None and column not in columns:
                yield None, column, False
                column = None
            if WORD.search(quoted):
                yield column, quoted, True
            continue
        plain = match[0]
        named = COLUMN.fullmatch(plain)
        if named and named[1] in columns:
            yield named[1], named[2], False
        else:
            yield None, plain, False


def _terms_of_run(run: str, column: str | None) -> Iterator[Term]:
    if IS_CHARACTER.match(run):
        for word in words_apart(run):
            yield from _term(word, column, word=word)
        return
    trimmed = run.rstrip(EDGE).lstrip(OPENING)
    if WORD.search(trimmed):
        yield from _term(trimmed, column, word=joined(trimmed))


def _term(folded: str, column: str | None, *, word: str = "", quoted: bool = False) -> list[Term]:
    found = tuple(units(folded))
    return [Term(found, word, column, quoted)] if found else []
