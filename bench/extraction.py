"""Main text of pages: quality and speed of `fast` and `precise`, beside the libraries that they stand on.

    python bench/extraction.py               on article-extraction of FOURFOLD_TEST_DATA, else ../shared/data, and on
                                             the forty Chinese pages of tests/data/chinese_pages
    --json FILE                              also write the figures as a table of docs/benchmarks.md

Quality: precision and recall of 4-grams of words, averaged over pages, and their F1 (article-extraction-benchmark).
Speed: pages per second of one process, the median of three rounds in which each takes its turn, a child's start left out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import trafilatura
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.data.overlap import CHINESE, WORD, overlap

from fourfold.data.formats import Record
from fourfold.data.formats.html import Html

REPOSITORY = Path(__file__).resolve().parents[1]
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Case:
    """A page, its address, and its main text."""

    page: bytes
    url: str
    gold: str


Extract = Callable[[bytes, str], str]


def through(mode: str) -> Extract:
    """The format `html`, bytes to text and fields."""

    def extract(data: bytes, url: str) -> str:
        (found,) = Html(mode, url=url)(data)  # type: ignore[arg-type]
        return found.text if isinstance(found, Record) else ""

    return extract


def bare_resiliparse(data: bytes, _: str) -> str:
    return extract_plain_text(bytes_to_str(data, detect_encoding(data)), main_content=True, alt_texts=False)


def bare_trafilatura(data: bytes, url: str) -> str:
    found: Any = trafilatura.bare_extraction(data, url=url, fast=True, include_comments=False, with_metadata=True)
    return found.text if found else ""


WAYS: dict[str, Extract] = {
    "fast": through("fast"),
    "precise": through("precise"),
    "resiliparse, bare": bare_resiliparse,
    "trafilatura, bare": bare_trafilatura,
}


def measured(cases: dict[str, Case], about: str, words: re.Pattern[str]) -> tuple[list[dict[str, Any]], float]:
    """A row for each way, and how many times as fast `fast` is as `precise`."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    texts: dict[str, dict[str, str]] = {}
    for extract in WAYS.values():
        extract(next(iter(cases.values())).page, "")
    for _ in range(ROUNDS):
        for way, extract in WAYS.items():
            start = time.perf_counter()
            texts[way] = {name: extract(case.page, case.url) for name, case in cases.items()}
            seconds[way].append(time.perf_counter() - start)
    rows: list[dict[str, Any]] = []
    for way, found in texts.items():
        score = overlap([(cases[name].gold, text) for name, text in found.items()], words)
        figures = {name: round(value, 4) for name, value in score._asdict().items()}
        rows.append({"pages": about, "way": way, **figures, "pages/s": round(len(cases) / statistics.median(seconds[way]))})
        print(*(f"{name} {value}" for name, value in rows[-1].items()), sep=", ")
    return rows, statistics.median(p / f for p, f in zip(seconds["precise"], seconds["fast"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    folder = (
        Path(os.environ.get("FOURFOLD_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
        / "article-extraction"
    )
    truth = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
    news = {
        name: Case(gzip.decompress((folder / "html" / f"{name}.html.gz").read_bytes()), page["url"], page["articleBody"])
        for name, page in truth.items()
    }
    chinese = {
        page.stem: Case(page.read_bytes(), "", page.with_suffix(".txt").read_text(encoding="utf-8"))
        for page in sorted((REPOSITORY / "tests" / "data" / "chinese_pages").glob("*.html"))
    }
    rows, ratio = measured(news, "news", WORD)
    more, _ = measured(chinese, "Chinese", CHINESE)
    rows += more
    note = (
        f"{len(news)} news pages of article-extraction, and {len(chinese)} Chinese pages written for this project (each "
        f"character a word). On the news pages `fast` is {ratio:.1f} × as fast as `precise`."
    )
    print(note)
    if arguments.json:
        write_json(arguments.json, rows, note)


def write_json(path: Path, rows: list[dict[str, Any]], note: str) -> None:
    """The figures as a table of docs/benchmarks.md."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    result = {"title": "Main text of pages", "note": note, "machine": machine, "date": f"{date.today()}", "rows": rows}
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
