"""PDF: the text of its pages in reading order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from fourfold.core.extras import need
from fourfold.data.formats import BadLine, Record
from fourfold.data.layout import Box, in_reading_order

NEEDS_PASSWORD = 4  # FPDF_ERR_PASSWORD


@dataclass(frozen=True, slots=True)
class Pdf:
    """A file as one document, or one per page (its number is the line). Columns are read one after the other. Fields: `title`,
    `author`, `pages`.

    Counted: `password`, `not_pdf`, and per page `no_text` (a scan, without text recognition) or `unreadable_page`.
    """

    unit: Literal["document", "page"] = "document"
    max_pages: int = 10_000

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        pdfium: Any = need("pypdfium2", extra="documents", what="Reading PDF")
        try:
            document = pdfium.PdfDocument(data)
        except pdfium.PdfiumError as error:
            locked = getattr(error, "err_code", None) == NEEDS_PASSWORD or "password" in str(error).lower()
            yield BadLine(1, "password" if locked else "not_pdf")
            return
        try:
            yield from self._pages(pdfium, document)
        finally:
            document.close()

    def _pages(self, pdfium: Any, document: Any) -> Iterator[Record | BadLine]:
        fields = _about(document)
        texts: list[tuple[int, str]] = []
        for number in range(min(len(document), self.max_pages)):
            try:
                text = _page_text(document[number])
            except pdfium.PdfiumError:
                yield BadLine(number + 1, "unreadable_page")
                continue
            if not text:
                yield BadLine(number + 1, "no_text")
            elif self.unit == "page":
                yield Record(text, number + 1, fields)
            else:
                texts.append((number + 1, text))
        if len(document) > self.max_pages:
            yield BadLine(self.max_pages + 1, "too_many_pages", f"{len(document)} pages")
        if texts:
            yield Record(_joined([text for _, text in texts]), texts[0][0], fields)


def _about(document: Any) -> dict[str, Any]:
    known = {name: document.get_metadata_value(name.capitalize()).replace("\x00", "").strip() for name in ("title", "author")}
    return {**{name: value for name, value in known.items() if value}, "pages": len(document)}


def _page_text(page: Any) -> str:
    textpage = page.get_textpage()
    try:
        boxes = []
        for i in range(textpage.count_rects()):
            left, bottom, right, top = textpage.get_rect(i)
            text = textpage.get_text_bounded(left, bottom, right, top).replace("\x00", "").strip()
            if text:
                boxes.append(Box(left, bottom, right, top, text))
        return in_reading_order(boxes)
    finally:
        textpage.close()
        page.close()


def _joined(pages: list[str]) -> str:
    """Pages as one text; a sentence that runs on over the page's end is not cut by a blank line."""
    text = pages[0]
    for page in pages[1:]:
        text += ("\n" if re.search(r"[^.!?。!?:;”\"’]$", text) else "\n\n") + page
    return text
