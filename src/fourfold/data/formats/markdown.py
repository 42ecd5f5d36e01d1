"""Markdown: its text without the markup, its headings as fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from fourfold.data.columns import plain
from fourfold.data.decode import AUTO, check_encoding, lines_of
from fourfold.data.formats import BadLine, Record

HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)(?:[ \t]+#+)?[ \t]*$")
FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
RULE = re.compile(r"^ {0,3}(?:(?:[-*_][ \t]*){3,}|=+|\|?(?:[ \t]*:?-{2,}:?[ \t]*\|?)+)$")  # also under tables and titles
BLOCK = re.compile(r"^[ \t]*(?:>[ \t]?)+|^[ \t]*[*+-][ \t]+(?:\[[ xX]\][ \t]+)?")
INLINE = (
    (re.compile(r"!?\[([^\]\n]*)\](?:\([^()\s]*(?:[ \t]+\"[^\"\n]*\")?\)|\[[^\]\n]*\])"), r"\1"),  # links and images
    (re.compile(r"<((?:https?://|mailto:)?[^\s<>@]+(?:@[^\s<>]+)?)>(?<=[/.@\w]>)"), r"\1"),  # <https://…>, <a@b.c>
    (re.compile(r"(\*\*\*|\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=[^\s*])\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w_])_(?=[^\s_])([^_\n]+?)(?<=[^\s_])_(?![\w_])"), r"\1"),
    (re.compile(r"(`+)(.+?)\1"), r"\2"),
    (re.compile(r"\\([\\`*_{}\[\]()#+.!|~>-])"), r"\1"),
)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Markdown:
    """A Markdown file as one document. Fields: `title` (of the front matter, else the first heading), `headings` (all, in
    order), and what the front matter holds. Code stays as it is; marks of headings, lists, quotes, links and emphasis go.
    """

    encoding: str = AUTO

    def __post_init__(self) -> None:
        check_encoding(self.encoding)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        lines = lines_of(data, self.encoding)
        for i in sorted(lines.broken):
            yield BadLine(i + 1, "invalid_bytes")
        kept = ["" if i in lines.broken else line for i, line in enumerate(lines.lines)]
        fields: dict[str, Any] = {}
        body = _front_matter_end(kept)
        if body:
            found = _front_matter(kept[1 : body - 1])
            if found is None:
                yield BadLine(1, "bad_front_matter")
            fields = found or {}
        text, headings = _strip(kept[body:])
        if headings:
            fields.setdefault("title", headings[0])
            fields["headings"] = headings
        if text:
            first = next(i for i in range(body, len(kept)) if kept[i].strip())
            yield Record(text, first + 1, fields)


def _front_matter_end(lines: list[str]) -> int:
    """The number of lines that a front matter between two `---` takes; 0 where there is none."""
    if not lines or lines[0].rstrip() != "---":
        return 0
    return next((i + 1 for i in range(1, len(lines)) if lines[i].rstrip() in ("---", "...")), 0)


def _front_matter(lines: list[str]) -> dict[str, Any] | None:
    try:
        found = yaml.safe_load("\n".join(lines))
    except (yaml.YAMLError, ValueError):  # ValueError: a date such as 2026-13-45
        return None
    if found is None:
        return {}
    if not isinstance(found, dict):
        return None
    return {str(name): _jsonable(value) for name, value in found.items()}


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return plain({str(k): v if isinstance(v, str | int | float | bool | None) else str(v) for k, v in value.items()})
    return plain(value)


def _strip(lines: list[str]) -> tuple[str, list[str]]:
    """The text without markup, and the headings."""
    kept: list[str] = []
    headings: list[str] = []
    fence = ""
    for line in COMMENT.sub("", "\n".join(lines)).split("\n"):
        mark = FENCE.match(line)
        if mark and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else mark[1]
        elif fence:
            kept.append(line)
        elif heading := HEADING.match(line):
            headings.append(_inline(heading[2]))
            kept.append(headings[-1])
        elif not line.strip() or not RULE.match(line):
            kept.append(_inline(BLOCK.sub("", line)).rstrip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip(), headings


def _inline(line: str) -> str:
    for pattern, replacement in INLINE:
        line = pattern.sub(replacement, line)
    return line.strip(" \t") if line.lstrip().startswith("|") else line
