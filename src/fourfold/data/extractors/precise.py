"""Main text by trafilatura, in a process of its own: a page on which it hangs or dies costs that page only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fourfold.core.errors import BadSpec
from fourfold.core.extras import need
from fourfold.data.extraction_child import Asked, child
from fourfold.data.extractors import EXTRA, Page


@dataclass(frozen=True, slots=True)
class Precise:
    """By the structure of the whole page (trafilatura): fewer stray lines than `fast`, at a fraction of its speed."""

    timeout_seconds: float = 20  # for one page; then its process is ended, and the page is counted as `timeout`

    def __post_init__(self) -> None:
        if self.timeout_seconds <= 0:
            raise BadSpec(f"timeout_seconds is more than 0, not {self.timeout_seconds}.")

    def __call__(self, html: str, /, *, url: str = "", rules: Mapping[str, str] = {}) -> Page | str:
        need("trafilatura", extra=EXTRA, what="Extracting pages precisely")
        answer = child().ask(Asked(html, url, dict(rules)), self.timeout_seconds)
        return answer if isinstance(answer, str) else Page(answer.text, answer.fields)
