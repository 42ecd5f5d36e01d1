"""Main text by resiliparse: a few rules on tags, classes and link density, in a fraction of a millisecond."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fourfold.core.extras import need
from fourfold.data.extractors import EXTRA, Page
from fourfold.data.main_text import by_rule, main_text
from fourfold.data.page import head_of, language_of, may_have_rule, rule_of


@dataclass(frozen=True, slots=True)
class Fast:
    """By tags, classes and link density (resiliparse): about a thousand pages a second."""

    def __call__(self, html: str, /, *, url: str = "", rules: Mapping[str, str] = {}) -> Page | str:
        parser = need("resiliparse.parse.html", extra=EXTRA, what="Extracting pages")
        tree = parser.HTMLTree.parse(html)
        if tree.document is None or tree.body is None:
            return "no_main_text"
        fields = head_of(html)
        declared = fields.pop("declared", "")
        sought = may_have_rule(rules, html)
        rule = rule_of(rules, url or fields.get("url", ""), tree.document.query_selector) if sought else None
        text = by_rule(tree, rule, fields) if rule else main_text(tree)
        if not text:
            return "no_main_text"
        language = language_of(text, declared)
        return Page(text, {**fields, **({"lang": language} if language else {}), **({"url": url} if url else {})})
