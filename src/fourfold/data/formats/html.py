"""HTML pages: their main text, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from fourfold.data.decode import AUTO, check_encoding
from fourfold.data.extractors import EXTRACTORS
from fourfold.data.formats import BadLine, Record
from fourfold.data.markup import html_encoding, html_text, too_deep


@dataclass(frozen=True, slots=True)
class Html:
    """A page as one document: its main text as `extract` finds it. Fields: `title`, `author`, `date`, `lang`, `url`.

    A page of which nothing is left is counted as `no_main_text`, one over `max_bytes` as `page_too_large`, one
    whose tags stand thousands deep as `page_too_deep`.
    """

    extract: Literal["fast", "precise", "whole"] = "fast"
    rules: dict[str, str] = field(default_factory=dict)  # CSS selectors of the main text by host: {"help.example.com": ".body"}
    timeout_seconds: float = 20  # for one page, of "precise"
    max_bytes: int = 16 << 20
    url: str = ""  # the page's address, where it does not say so itself
    encoding: str = AUTO

    def __post_init__(self) -> None:
        check_encoding(self.encoding)

    def encoding_of(self, data: bytes) -> str:
        """The encoding that a page is read in, whatever it declares."""
        return html_encoding(data, self.encoding)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        if len(data) > self.max_bytes:
            yield BadLine(1, "page_too_large", f"{len(data)} bytes")
            return
        if not data.strip(b"\x00\t\n\r "):
            return
        settings = {"timeout_seconds": self.timeout_seconds} if self.extract == "precise" else {}
        html = html_text(data, self.encoding_of(data))
        if too_deep(html):
            yield BadLine(1, "page_too_deep")
            return
        page = EXTRACTORS.build({self.extract: settings})(html, url=self.url, rules=self.rules)
        yield BadLine(1, page) if isinstance(page, str) else Record(page.text, 1, page.fields)
