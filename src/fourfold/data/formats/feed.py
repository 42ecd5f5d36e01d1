"""Feeds: RSS and Atom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fourfold.data.extractors import EXTRACTORS, Page
from fourfold.data.feeds import Entry, entries_of
from fourfold.data.formats import BadLine, Record


@dataclass(frozen=True, slots=True)
class Feed:
    """Each entry as one document: the longest of what it gives for its content, without markup; its title where it gives
    nothing. Fields: `title`, `url`, `author`, `date`, `tags`, `feed`, `entry_id`.
    """

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        for line, entry in entries_of(data):
            if isinstance(entry, str):
                yield BadLine(line, entry)
            elif text := text_of_entry(entry):
                yield Record(text, line, {**entry.fields, **({"entry_id": entry.id} if entry.id else {})})
            else:
                yield BadLine(line, "no_text")


def text_of_entry(entry: Entry) -> str:
    """The text of what an entry says, else its title."""
    if entry.is_text:
        return entry.html.strip() or entry.fields.get("title", "")
    page = EXTRACTORS.build("whole")(f"<html><body>{entry.html}</body></html>")
    return page.text if isinstance(page, Page) else entry.fields.get("title", "")
