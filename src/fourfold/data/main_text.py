"""Main text of a parsed page, or of the part of it that a rule names: by resiliparse."""

from __future__ import annotations

import re
from typing import Any

from fourfold.core.extras import need
from fourfold.data.page import clean, date_of

EXTRA = "documents"
SKIP = ("nav", "footer", "aside")
BLANK = re.compile(r"[ \t]*\n(?:[ \t]*\n)+")


def main_text(tree: Any, *, main: bool = True) -> str:
    """The text that a parsed page is about, a paragraph a line; with `main=False` all that it shows."""
    module = need("resiliparse.extract.html2text", extra=EXTRA, what="Extracting pages")
    found = module.extract_plain_text(
        tree, main_content=main, alt_texts=False, list_bullets=False, skip_elements=list(SKIP) if main else None
    )
    return tidy(found)


def by_rule(tree: Any, rule: Any, fields: dict[str, Any]) -> str:
    """The text of all nodes that a rule names; the fields that it names are set."""
    for name, selector in (("title", rule.title), ("author", rule.author), ("date", rule.date)):
        node = tree.document.query_selector(selector) if selector else None
        value = clean(node.text) if node else ""
        value = date_of(value) if name == "date" else value
        if value:
            fields[name] = value
    parser = need("resiliparse.parse.html", extra=EXTRA, what="Extracting pages")
    inner = "".join(node.html for node in tree.document.query_selector_all(rule.text))
    # Official accounts hide their text until a script has run: what a rule names is text, whatever its style says.
    inner = re.sub(r"visibility:\s*hidden;?|opacity:\s*0;?|display:\s*none;?", "", inner)
    return main_text(parser.HTMLTree.parse(f"<html><body>{inner}</body></html>"), main=False)


def tidy(text: str) -> str:
    """Without blank ends; at most one blank line between paragraphs."""
    return BLANK.sub("\n\n", text.replace("\x00", "")).strip()
