"""The page of measurements shows every row."""

from __future__ import annotations

from bench import table


def test_a_result_becomes_a_section() -> None:
    rows = [
        {"what": "ours", "tokens/s": 331000, "ratio": 1.23456},
        {"what": "peer | two", "tokens/s": 412000.7, "rounds": [1, 2.5]},
    ]
    result = {"title": "n-gram", "machine": "2 cores", "date": "2026-01-02", "rows": rows, "note": "The peer is faster."}
    assert table.section(result) == (
        "## n-gram\n\n2 cores, 2026-01-02.\n\n"
        "| what | tokens/s | ratio | rounds |\n"
        "| --- | ---: | ---: | --- |\n"
        "| ours | 331,000 | 1.235 |  |\n"
        "| peer \\| two | 412,001 |  | 1 2.5 |\n\n"
        "The peer is faster.\n"
    )


def test_the_page_shows_what_was_measured_last() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.page(table.results()), "out of date: run make docs"
