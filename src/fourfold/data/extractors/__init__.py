"""The door of extractors: how the main text of a page is found, and the table of their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fourfold.core.registry import Table

EXTRA = "documents"


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says: its main text, and what it says of itself. Fields: `title`, `author`, `date` (ISO 8601, as precise as
    the page is), `lang` (ISO 639-1), `url`; those that the page does not tell are absent.
    """

    text: str
    fields: dict[str, Any] = field(default_factory=dict)


class Extractor(Protocol):
    """A frozen dataclass: calling gives a page's main text, or a word that says why there is none (`no_main_text`, …).

    `rules` are CSS selectors of main text by host (`*` is any host), asked before the extractor looks for itself.
    """

    def __call__(self, html: str, /, *, url: str = "", rules: Mapping[str, str] = {}) -> Page | str: ...


EXTRACTORS = Table(
    "extractor",
    {
        "fast": "fourfold.data.extractors.fast:Fast",
        "precise": "fourfold.data.extractors.precise:Precise",
        "whole": "fourfold.data.extractors.whole:Whole",
    },
)
