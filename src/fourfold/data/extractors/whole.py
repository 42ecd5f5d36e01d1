"""All text that a page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fourfold.core.extras import need
from fourfold.data.extractors import EXTRA, Page
from fourfold.data.main_text import main_text
from fourfold.data.page import head_of, language_of


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything that a page shows, navigation and all: for pages that are nothing but their text."""

    def __call__(self, html: str, /, *, url: str = "", rules: Mapping[str, str] = {}) -> Page | str:
        parser = need("resiliparse.parse.html", extra=EXTRA, what="Extracting pages")
        text = main_text(parser.HTMLTree.parse(html), main=False)
        if not text:
            return "no_main_text"
        fields = head_of(html)
        language = language_of(text, fields.pop("declared", ""))
        return Page(text, {**fields, **({"lang": language} if language else {}), **({"url": url} if url else {})})
