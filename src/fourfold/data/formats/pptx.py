"""PowerPoint presentations."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from fourfold.core.extras import need
from fourfold.data.formats import BadLine, Record
from fourfold.data.office import about, trouble_of


@dataclass(frozen=True, slots=True)
class Pptx:
    """A file as one document, or one per slide (its number is the line): shapes from top to bottom, tables by rows, and the
    speaker's notes. Fields: `title`, `author`, `date`, `slides`.
    """

    unit: Literal["document", "slide"] = "document"
    notes: bool = True

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        pptx: Any = need("pptx", extra="documents", what="Reading presentations")
        if trouble := trouble_of(data, "pptx"):
            yield BadLine(1, trouble)
            return
        try:
            show = pptx.Presentation(io.BytesIO(data))
            slides = [self._slide(slide) for slide in show.slides]
            fields = {**about(show.core_properties), "slides": len(slides)}
        except (KeyError, ValueError, AttributeError, SyntaxError, zipfile.BadZipFile) as error:
            yield BadLine(1, "not_pptx", type(error).__name__)
            return
        if self.unit == "slide":
            yield from (Record(text, n, fields) for n, text in enumerate(slides, 1) if text)
        elif any(slides):
            yield Record("\n\n".join(text for text in slides if text), 1, fields)

    def _slide(self, slide: Any) -> str:
        lines = list(_lines(sorted(slide.shapes, key=lambda shape: (shape.top or 0, shape.left or 0))))
        if self.notes and slide.has_notes_slide:
            frame = slide.notes_slide.notes_text_frame
            lines += [frame.text.strip()] if frame is not None else []
        return "\n".join(line for line in lines if line).replace("\x00", "").replace("\x0b", "\n")


def _lines(shapes: Any) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _lines(shape.shapes)
        elif getattr(shape, "has_table", False):
            for row in shape.table.rows:
                yield "\t".join(" ".join(cell.text.split()) for cell in row.cells)
        elif shape.has_text_frame:
            yield shape.text_frame.text.strip()
