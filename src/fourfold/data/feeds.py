"""Feeds (RSS 0.9x, 1.0, 2.0 and Atom): the text of a feed → its entries, each cut out as it was written.

Entries are cut by their tags, not by a parser: what is broken in one of them costs that one only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any
from xml.etree import ElementTree

from fourfold.data.decode import AUTO, encoding_of
from fourfold.data.markup import LARGER, fits
from fourfold.data.page import clean, date_of

MAX_HEAD = 1 << 20  # characters before the first entry
DECLARED = re.compile(rb"<\?xml[^>]{0,200}encoding\s*=\s*[\"']([\w.:-]{2,40})[\"']", re.IGNORECASE)
DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,300}\?>")
ROOT = re.compile(r"<((?:[\w-]+:)?(rss|feed|RDF))\b")
PIECES = re.compile(r"<!\[CDATA\[.*?\]\]>|<!--.*?-->|<(/?)((?:[\w-]+:)?(?:item|entry))(?=[\s/>])[^>]*?(/?)>", re.DOTALL)
NAMED = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]{1,30});")
BARE = re.compile(r"&(?!#?\w{1,30};)")
CDATA = re.compile(r"(<!\[CDATA\[.*?\]\]>)", re.DOTALL)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
BODIES = ("encoded", "content", "description", "summary")
DATES = ("published", "pubDate", "issued", "date", "updated", "modified")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `id` is "" where it has none, `html` what it says, as markup or as text; fields are `title`, `url`, `author`,
    `date`, `tags`, `feed`.
    """

    id: str
    html: str
    is_text: bool
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """A feed in pieces: what stands before its first entry, the entries as they were written, and what ends it.

    `broken` counts entries without an end.
    """

    head: str
    entries: tuple[tuple[int, str], ...]  # line and source
    tail: str
    broken: int = 0

    def alone(self, entry: str) -> bytes:
        """A feed that holds nothing but this entry."""
        return f'<?xml version="1.0" encoding="utf-8"?>\n{self.head}{entry}{self.tail}\n'.encode()


def text_of_feed(data: bytes) -> str:
    """The feed as a string, whatever encoding it declares."""
    found = DECLARED.search(data[:1000])
    declared = found[1].decode("ascii").lower() if found else ""
    declared = LARGER.get(declared, declared)
    encoding = "utf-8" if fits(data, "utf-8") else declared if declared and fits(data, declared) else encoding_of(data, AUTO)
    return CONTROL.sub("", data.decode(encoding, "replace").removeprefix("\ufeff"))


def cut(text: str) -> Cut | str:
    """The pieces of a feed, or why it is none: `not_feed`, `own_entities`."""
    root = ROOT.search(text[:MAX_HEAD])
    if root is None:
        return "not_feed"
    if "<!ENTITY" in text[: root.start()]:
        return "own_entities"  # they can grow without bound
    entries, begin, depth, broken, first = [], 0, 0, 0, None
    for piece in PIECES.finditer(text, root.end()):
        closing, name, empty = piece.groups()
        if name is None or empty:
            continue
        if not closing:
            first = piece.start() if first is None else first
            broken += depth
            begin, depth = piece.start(), 1
        elif depth:
            entries.append((text.count("\n", 0, begin) + 1, text[begin : piece.end()]))
            depth = 0
    head = DECLARATION.sub("", text[: first if first is not None else len(text)]).lstrip()
    if len(head) > MAX_HEAD:
        return "not_feed"
    prefix = root[1].rpartition(":")[0]
    inner = "channel" if root[2] == "rss" else ""
    names = [f"{prefix}:{inner}" if prefix else inner, root[1]] if inner else [root[1]]
    return Cut(head, tuple(entries), "".join(f"</{name}>" for name in names), broken + depth)


def entry_of(cut: Cut, source: str) -> Entry | None:
    """What an entry says; None if it is broken beyond reading."""
    try:
        root = ElementTree.fromstring(_mended(cut.head) + _mended(source) + cut.tail)
    except (ElementTree.ParseError, ValueError, RecursionError):
        return None
    node = next((node for node in root.iter() if _name(node) in ("item", "entry")), None)
    if node is None:
        return None
    body, is_text = _body(node)
    fields: dict[str, Any] = {
        "title": clean(unescape(_text(node, "title"))),
        "url": _link(node),
        "author": clean(_author(node)),
        "date": next((date for name in DATES if (date := _date(_text(node, name)))), ""),
        "tags": [tag for child in node if _name(child) in ("category", "subject") if (tag := _tag(child))],
        "feed": clean(unescape(_feed_title(root, node))),
    }
    url = str(fields["url"])
    id = clean(_text(node, "guid") or _text(node, "id") or node.get(f"{{{RDF}}}about", "") or url)
    return Entry(id, body, is_text, {name: value for name, value in fields.items() if value})


RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def _mended(xml: str) -> str:
    """XML without what feeds commonly get wrong: HTML's names of characters, and signs that stand for themselves."""
    parts = CDATA.split(xml)
    for n in range(0, len(parts), 2):
        parts[n] = BARE.sub("&amp;", NAMED.sub(lambda found: _character(found[1]), parts[n]))
    return "".join(parts)


def _character(name: str) -> str:
    found = unescape(f"&{name};")
    return f"&amp;{name};" if found.startswith("&") else found


def _name(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def _child(node: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next((child for child in node if _name(child) == name), None)


def _text(node: ElementTree.Element, name: str) -> str:
    child = _child(node, name)
    return "".join(child.itertext()).strip() if child is not None else ""


def _body(node: ElementTree.Element) -> tuple[str, bool]:
    """What the entry says, and whether it is plain text rather than markup. The longest of what it gives for it."""
    found: list[tuple[str, bool]] = []
    for child in node:
        if _name(child) not in BODIES:
            continue
        if child.get("type", "") == "xhtml":
            found.append(("".join(ElementTree.tostring(one, encoding="unicode") for one in child), False))
        else:
            text = "".join(child.itertext()).strip()
            kind = child.get("type", "html" if "<" in text or "&" in text else "text")
            found.append((text, kind in ("text", "text/plain")))
    return max(found, key=lambda one: len(one[0]), default=("", True))


def _link(node: ElementTree.Element) -> str:
    for child in node:
        if _name(child) == "link":
            if child.get("href") and child.get("rel", "alternate") == "alternate":
                return clean(child.get("href", ""))
            if child.text and child.text.strip():
                return clean(child.text)
    guid = _child(node, "guid")
    if guid is not None and guid.get("isPermaLink", "true") == "true" and (guid.text or "").strip().startswith("http"):
        return clean(guid.text or "")
    return ""


def _author(node: ElementTree.Element) -> str:
    author = _child(node, "author")
    named = _text(author, "name") if author is not None and len(author) else ""
    return named or _text(node, "creator") or ("" if author is None or len(author) else "".join(author.itertext()))


def _tag(node: ElementTree.Element) -> str:
    return clean(node.get("term") or "".join(node.itertext()))


def _date(value: str) -> str:
    if not value:
        return ""
    try:
        return parsedate_to_datetime(value).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return date_of(value)


def _feed_title(root: ElementTree.Element, entry: ElementTree.Element) -> str:
    """The title that does not belong to an entry."""
    own = set(entry.iter())
    return next(("".join(node.itertext()) for node in root.iter() if _name(node) == "title" and node not in own), "")


def entries_of(data: bytes) -> Iterator[tuple[int, Entry | str]]:
    """Line and entry, or why there is none: `bad_entry`, `cut_off`, `not_feed`, `own_entities`."""
    pieces = cut(text_of_feed(data))
    if isinstance(pieces, str):
        yield 1, pieces
        return
    for line, source in pieces.entries:
        yield line, entry_of(pieces, source) or "bad_entry"
    for _ in range(pieces.broken):
        yield 1, "cut_off"
