"""How results look: tables, outlines, bars, times. The text of documents never moves the cursor or changes colours."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fourfold.application.trace_tree import FIGURES

WIDE = 100_000  # columns of what is no terminal: nothing is cut there
BAR = 24  # columns of a full bar
ONE_WORD = 30  # characters of an id: what is no longer is not broken, so that it can be copied
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def console() -> Console:
    """Standard output as it is now; rich obeys NO_COLOR."""
    return Console(width=None if sys.stdout.isatty() else WIDE, markup=False, highlight=False, emoji=False, soft_wrap=False)


def plain(value: Any) -> str:
    """A value in one line of text."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case Mapping():
            return ", ".join(f"{key} {plain(one)}" for key, one in value.items()) or "none"
        case list() | tuple():
            return ", ".join(plain(one) for one in value) or "none"
    return CONTROL.sub(" ", str(value))


def short(text: Any, most: int = 60) -> str:
    """A text in one line of at most `most` characters."""
    text = " ".join(str(text).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def line(*parts: str, style: str = "") -> None:
    """A line of words."""
    console().print(Text("  ".join(part for part in parts if part), style=style))


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str = "", indent: int = 0) -> None:
    """Rows under their heads; numbers to the right. `empty` is printed where there is no row."""
    rows = [list(row) for row in rows]
    if not rows:
        line(empty)
        return
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=any(head))
    for place, name in enumerate(head):
        numbers = all(row[place] is None or isinstance(row[place], int | float) for row in rows)
        title = Text(" " * indent * (not place) + name)
        one_word = all(len(plain(row[place])) <= ONE_WORD and " " not in plain(row[place]) for row in rows)
        grid.add_column(title, justify="right" if numbers else "left", overflow="fold", no_wrap=one_word)
    for row in rows:
        row[0] = " " * indent + plain(row[0])
        grid.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    console().print(grid)


def outline(value: Mapping[str, Any], indent: int = 0) -> None:
    """A mapping as lines of key and value; mappings and lists of mappings inside it below their key."""
    for key, inner in value.items():
        start = f"{' ' * indent}{plain(key)}: "
        if isinstance(inner, Mapping) and _deep(inner):
            line(start.rstrip(), style="bold")
            outline(inner, indent + 2)
        elif isinstance(inner, list) and inner and all(isinstance(one, Mapping) for one in inner):
            line(start.rstrip(), style="bold")
            head = list(dict.fromkeys(name for one in inner for name in one))
            table(head, ([one.get(name) for name in head] for one in inner), indent=indent + 2)
        else:
            console().print(Text.assemble((start, "bold"), plain(inner) or "none"))


def _deep(value: Mapping[str, Any]) -> bool:
    """Whether its values would be hard to tell apart in one line."""
    return len(value) > 6 or any(
        " " in inner if isinstance(inner, str) else isinstance(inner, Mapping | list) and inner for inner in value.values()
    )


def bar(share: float, most: float) -> Text:
    """A bar as long as `share` is of `most`."""
    return Text("█" * max(1, round(BAR * share / most)) if most > 0 and share > 0 else "", style="cyan")


def when(seconds: float | None) -> str:
    """A Unix time on this machine's clock."""
    return "–" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def size(size_bytes: float) -> str:
    """Bytes in the largest unit that leaves at least 1 of it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024 or unit == "GiB":
            break
        size_bytes /= 1024
    return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"


def facts(kind: str, meta: Mapping[str, Any]) -> str:
    """The few figures of a version that say most about it."""
    if kind == "dataset":
        dropped = sum(meta.get("drops", {}).values())
        found = sum(sum(columns.values()) for columns in meta.get("findings", {}).values())
        more = [f"{n:,} {what}" for n, what in ((dropped, "left out"), (found, "findings")) if n]
        rows = meta.get("rows", 0)
        return ", ".join([f"{rows:,} row{'' if rows == 1 else 's'}", *more])
    if kind == "report" and "verdict" in meta:
        return str(meta["verdict"]).partition(":")[0]
    if kind == "index":
        return (
            f"{meta.get('rows', 0):,} documents, {meta.get('taken_over', 0)} of {meta.get('fragments', 0)} fragments taken over"
        )
    if kind == "report":
        figures = meta.get("metrics", {})
        names = [name for name in FIGURES if name in figures] or list(figures)[:4]
        return ", ".join(f"{name} {plain(figures[name])}" for name in names)
    return ", ".join(str(one) for one in (meta.get("family", ""), *meta.get("tasks", [])) if one)
