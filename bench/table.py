"""Writes docs/benchmarks.md from bench/results/*.json: every row of every table, those where Fourfold is the slower one too.

A result is {"title", "note", "machine", "date", "rows": [{column: value}]}; columns keep the order in which rows name them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

*Written by `make bench` from `bench/results/`: run it on your machine.* Each script in `bench/` says what it compares
and how. All rows that were measured are shown.
"""


def page(results: list[dict[str, Any]]) -> str:
    """The whole page, one section per result."""
    return "\n".join([HEAD, *(section(result) for result in results)])


def section(result: dict[str, Any]) -> str:
    """Title, where and when it was measured, the table, and the note."""
    rows = result["rows"]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    numeric = [column for column in columns if any(isinstance(row.get(column), int | float) for row in rows)]
    rule = ["---:" if column in numeric else "---" for column in columns]
    cells = [columns, rule, *([shown(row.get(column)) for column in columns] for row in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    blocks = [f"## {result['title']}", f"{result['machine']}, {result['date']}.", table, result.get("note", "")]
    return "\n\n".join(block for block in blocks if block) + "\n"


def shown(value: Any) -> str:
    """A cell: large numbers with separators, small ones with four significant digits, lists one after another."""
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(shown(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and abs(value) < 1000:
        return f"{value:.4g}"
    if isinstance(value, int | float):
        return f"{value:,.0f}"
    return str(value).replace("|", "\\|")


def results() -> list[dict[str, Any]]:
    """What was measured, in order of file name."""
    files = sorted((ROOT / "bench" / "results").glob("*.json"))
    return [{"title": file.stem} | json.loads(file.read_text(encoding="utf-8")) for file in files]


if __name__ == "__main__":
    PAGE.write_text(page(results()), encoding="utf-8")
