"""EPUB books."""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote
from xml.etree import ElementTree

from fourfold.data.extractors import EXTRACTORS
from fourfold.data.formats import BadLine, Record
from fourfold.data.markup import html_encoding, html_text
from fourfold.data.office import trouble_of

CONTAINER = "META-INF/container.xml"
ENCRYPTED = "META-INF/encryption.xml"


@dataclass(frozen=True, slots=True)
class Epub:
    """A book as one document, or one per chapter (its number in the reading order is the line). Fields: `title`, `author`,
    `date`, `lang`, `chapter` for chapters. A chapter that cannot be read is counted, and the book goes on.
    """

    unit: Literal["document", "chapter"] = "chapter"

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        if trouble := trouble_of(data, "epub"):
            yield BadLine(1, trouble)
            return
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            try:
                fields, chapters = _contents(book)
            except (KeyError, ValueError, ElementTree.ParseError, zipfile.BadZipFile, RuntimeError, OSError) as error:
                yield BadLine(1, "not_epub", type(error).__name__)
                return
            texts = []
            for number, path in enumerate(chapters, 1):
                page = _chapter(book, path)
                if isinstance(page, str):
                    yield BadLine(number, page, place=path)
                elif page.text and self.unit == "chapter":
                    title = page.fields.get("title")
                    yield Record(page.text, number, {**fields, **({"chapter": title} if title else {})})
                elif page.text:
                    texts.append(page.text)
            if texts:
                yield Record("\n\n".join(texts), 1, fields)


def _contents(book: zipfile.ZipFile) -> tuple[dict[str, Any], list[str]]:
    root = ElementTree.fromstring(_safe(book.read(CONTAINER)))
    path = next((node.get("full-path", "") for node in root.iter() if node.tag.endswith("rootfile")), "")
    package = ElementTree.fromstring(_safe(book.read(path)))
    folder = posixpath.dirname(path)
    items, order, fields = {}, [], {}
    names = {"title": "title", "creator": "author", "date": "date", "language": "lang"}
    for node in package.iter():
        tag = node.tag.rpartition("}")[2]
        if tag == "item":
            items[node.get("id", "")] = node.get("href", "")
        elif tag == "itemref":
            order.append(node.get("idref", ""))
        elif tag in names and node.text and node.text.strip():
            fields.setdefault(names[tag], " ".join(node.text.split()))
    if "lang" in fields:
        fields["lang"] = fields["lang"].partition("-")[0].lower()
    return fields, [posixpath.normpath(posixpath.join(folder, unquote(items[name]))) for name in order if name in items]


def _safe(xml: bytes) -> bytes:
    if b"<!ENTITY" in xml:
        raise ValueError("entities of its own")  # they can grow without bound
    return xml


def _chapter(book: zipfile.ZipFile, path: str) -> Any:
    try:
        data = book.read(path)
    except KeyError:
        return "missing_chapter"
    except (zipfile.BadZipFile, RuntimeError, OSError):
        return "password" if ENCRYPTED in book.namelist() else "unreadable_chapter"
    page = EXTRACTORS.build("whole")(html_text(data, html_encoding(data)))
    return page if not isinstance(page, str) else _Empty()


@dataclass(frozen=True, slots=True)
class _Empty:
    text: str = ""
