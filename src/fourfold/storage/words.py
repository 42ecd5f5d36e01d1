"""Words: what versions and runs are found by in text, as rows beside them. A Chinese run of characters is cut into pairs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from fourfold.storage import schema

MOST, LONGEST = 300, 50  # words of one thing, and characters of a word
HAN = "㐀-䶿一-鿿豈-﫿"
RUN = re.compile(rf"([{HAN}]+)|((?:(?![{HAN}])[^\W_])+)")


def cut(text: str) -> Iterator[str]:
    """The words of a text, in small letters: runs of letters or digits, and of Chinese every two neighbours."""
    for chinese, word in RUN.findall(text.lower()):
        yield from [word or chinese] if len(chinese) < 2 else (chinese[i : i + 2] for i in range(len(chinese) - 1))


def texts(value: Any) -> Iterator[str]:
    """Every text within a value, names of fields left out."""
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():  # pyright: ignore[reportUnknownVariableType]
                yield from texts(inner)
        case list() | tuple():
            for inner in value:  # pyright: ignore[reportUnknownVariableType]
                yield from texts(inner)
        case _:
            return


def write(connection: sa.Connection, thing: str, found: Iterable[str]) -> None:
    """Add the words of texts to a thing."""
    wanted = dict.fromkeys(word[:LONGEST] for text in found for word in cut(text))
    if not wanted:
        return
    w = schema.word.c
    known = set(connection.execute(sa.select(w.word).where(w.thing == thing)).scalars())
    rows = [{"word": word, "thing": thing} for word in wanted if word not in known][: MOST - len(known)]
    if rows:
        connection.execute(schema.word.insert(), rows)


def having(word: str) -> sa.Select[Any]:
    """A query of the things that have that word."""
    return sa.select(schema.word.c.thing).where(schema.word.c.word == word)
