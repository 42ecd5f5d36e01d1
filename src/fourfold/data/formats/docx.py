"""Word documents."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fourfold.core.extras import need
from fourfold.data.formats import BadLine, Record
from fourfold.data.office import about, trouble_of


@dataclass(frozen=True, slots=True)
class Docx:
    """A file as one document: paragraphs and tables in their order, cells separated by tabs. Fields: `title`, `author`, `date`,
    `headings`. Headers and footers are left out.
    """

    tables: bool = True

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        docx: Any = need("docx", extra="documents", what="Reading Word documents")
        if trouble := trouble_of(data, "docx"):
            yield BadLine(1, trouble)
            return
        try:
            document = docx.Document(io.BytesIO(data))
            blocks = list(document.iter_inner_content())
            lines = [line for block in blocks for line in self._lines(block)]
            fields = about(document.core_properties)
        except (
            KeyError,
            ValueError,
            AttributeError,
            SyntaxError,
            zipfile.BadZipFile,
        ) as error:  # lxml's errors are SyntaxErrors
            yield BadLine(1, "not_docx", type(error).__name__)
            return
        headings = [b.text.strip() for b in blocks if _is_heading(b) and b.text.strip()]
        if headings:
            fields = {"title": headings[0], **fields, "headings": headings}
        text = "\n".join(lines).replace("\x00", "").strip()
        if text:
            yield Record(text, 1, fields)

    def _lines(self, block: Any) -> Iterator[str]:
        if hasattr(block, "rows"):
            for row in block.rows if self.tables else ():
                cells = {id(cell._tc): cell for cell in row.cells}  # a cell that spans columns comes once
                texts = [" ".join(cell.text.split()) for cell in cells.values()]
                if any(texts):
                    yield "\t".join(texts)
        elif block.text.strip():
            yield block.text.strip()


def _is_heading(block: Any) -> bool:
    style = getattr(block, "style", None)
    name = (getattr(style, "name", None) or "") if not hasattr(block, "rows") else ""
    return name == "Title" or name.startswith(("Heading", "标题"))
