"""Search: what is found of what is literally there, how well paraphrased questions find their article, and how long it takes.

    python bench/search.py [--json FILE] [--rows 20000] [--rounds 3]

Recall and precision are over 200 words and stretches of text in generated Chinese rows (bench/search_rows.py), beside SQLite's
FTS5 with its trigram tokenizer, which cannot look for fewer than three characters (they count as not found), in the same run.
MRR is over the labelled questions of the example company (examples/support-desk/search/labelled.tsv), asked of its 29 help
articles; the vectors are made by an `lsa` trained on the company's tickets, articles, intents and search log. Their times are
those of the whole act: index and model are opened anew for each.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import search_rows
from fourfold.application.client import Client
from fourfold.data.dataset import Dataset
from fourfold.data.fragments import FragmentWriter
from fourfold.data.indexes import INDEXES, Asked
from fourfold.data.indexes.bm25 import Bm25
from fourfold.data.queries import parse
from fourfold.data.search import OpenIndex, build

ROOT = Path(__file__).resolve().parents[1]
COMPANY = ROOT / "examples" / "support-desk"
SPEC = {"bm25": {"columns": ["text"]}}
TEXTS = {"files": {"path": str(COMPANY), "include": ["site/zh/*.html", "site/en/*.html", "tickets/*", "search/queries.tsv"],
                   "formats": {"csv": {"text": ["subject", "body", "agent_reply"]}, "tsv": {"text": "query"}}}}  # fmt: skip


def indexed(texts: Sequence[str], folder: Path) -> float:
    """Seconds to index the texts into `folder`/index."""
    for name in ("rows", "index"):
        (folder / name).mkdir()
    writer = FragmentWriter(folder / "rows", rows=5_000)
    for n, text in enumerate(texts):
        writer.add({"doc_id": f"doc_{n}", "text": text, "source": "", "source_digest": "", "fetched_at": None}, 1)
    writer.close()
    begun = time.perf_counter()
    build(INDEXES.build(SPEC), SPEC, list(Dataset(folder / "rows").fragments()), folder / "index")
    return time.perf_counter() - begun


def judged(texts: Sequence[str], find: Callable[[str], set[int]]) -> dict[str, float]:
    """Recall and precision over all strings, each row counting once per string."""
    literal = returned = right = 0
    for wanted in search_rows.strings(list(texts)):
        rows = {n for n, text in enumerate(texts) if wanted in text}
        found = find(wanted)
        literal, returned, right = literal + len(rows), returned + len(found), right + len(rows & found)
    return {"recall": right / literal, "precision": right / returned}


def milliseconds(ask: Callable[[str], Any], queries: Sequence[str], rounds: int) -> dict[str, float]:
    """Median and 99th percentile of one query, each asked `rounds` times."""
    taken = []
    for _ in range(rounds):
        for query in queries:
            begun = time.perf_counter()
            ask(query)
            taken.append(1000 * (time.perf_counter() - begun))
    return {"p50 ms": statistics.median(taken), "p99 ms": statistics.quantiles(taken, n=100)[98]}


def literal_rows(count: int, rounds: int) -> list[dict[str, Any]]:
    """The rows on literal strings, ours and SQLite's."""
    texts = search_rows.rows(count)
    wanted = search_rows.strings(texts)
    with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(":memory:")) as peer:
        seconds = indexed(texts, Path(folder))
        begun = time.perf_counter()
        peer.execute("create virtual table t using fts5(text, tokenize='trigram')")
        peer.executemany("insert into t(rowid, text) values (?, ?)", enumerate(texts))
        peer_seconds = time.perf_counter() - begun

        def fts(query: str, limit: int = -1) -> set[int]:
            ask = "select rowid from t where t match ? order by rank limit ?"
            return {row for (row,) in peer.execute(ask, (f'"{query}"', limit))}

        with closing(Bm25().open(Path(folder) / "index", None)) as words, closing(OpenIndex(Path(folder) / "index")) as index:

            def all_rows(query: str) -> set[int]:
                return {hit.row for hit in words.rank(Asked(query, parse(query), count)).hits}

            ours = {"rows": count, "index s": seconds}
            return [
                {"what": "as typed", **ours, **judged(texts, all_rows), **milliseconds(index.search, wanted, rounds)},
                {
                    "what": "in quotes",
                    **ours,
                    **judged(texts, lambda query: all_rows(f'"{query}"')),
                    **milliseconds(lambda query: index.search(f'"{query}"'), wanted, rounds),
                },
                {
                    "what": "SQLite FTS5, trigrams",
                    "rows": count,
                    "index s": peer_seconds,
                    **judged(texts, fts),
                    **milliseconds(lambda query: fts(query, 10), wanted, rounds),
                },
            ]


def labelled() -> list[tuple[str, set[str]]]:
    """Questions and the articles that answer them."""
    with (COMPANY / "search" / "labelled.tsv").open(encoding="utf-8", newline="") as file:
        return [(row["query"], set(row["articles"].split())) for row in csv.DictReader(file, delimiter="\t")]


def mrr(client: Client, index: str, **how: Any) -> float:
    """Mean reciprocal rank of the first right article among 20, 0 where it is not among them."""
    found = 0.0
    questions = labelled()
    for query, articles in questions:
        hits = client.search(index, query, limit=20, **how).hits
        found += next((1 / place for place, hit in enumerate(hits, 1) if hit.source.partition("#")[0] in articles), 0.0)
    return found / len(questions)


def company(home: Path) -> Client:
    """A home with the help articles, an embedding model of the company's texts, and a hybrid index `help`."""
    client = Client(home=home)
    client.collect("articles", {"files": {"path": str(COMPANY / "site"), "include": ["zh/*.html", "en/*.html"]}})
    client.collect("texts", TEXTS)
    client.clean("texts-clean", "texts", ["normalise", "drop_duplicates"])
    client.train("meaning", "texts-clean", "lsa")
    client.index("help", "articles", encoder="meaning")
    return client


def question_rows(rounds: int) -> list[dict[str, Any]]:
    """The rows on the example company's questions."""
    ways: dict[str, dict[str, Any]] = {
        "questions, words (any)": {"by": "words", "match": "any"},
        "questions, vectors (lsa)": {"by": "vectors"},
        "questions, hybrid": {},
    }
    with tempfile.TemporaryDirectory() as folder, closing(company(Path(folder) / "home")) as client:
        queries = [query for query, _ in labelled()]
        return [
            {
                "what": what,
                "rows": 29,
                "MRR": mrr(client, "help", **how),
                **milliseconds(lambda query, how=how: client.search("help", query, **how), queries, rounds),
            }
            for what, how in ways.items()
        ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rows", type=int, default=search_rows.ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    result = {
        "title": "Search",
        "note": (__doc__ or "").partition("\n\n")[2].partition("\n\n")[2].strip().replace("\n", " "),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}",
        "date": time.strftime("%Y-%m-%d"),
        "rows": [*literal_rows(options.rows, options.rounds), *question_rows(options.rounds)],
    }
    print(json.dumps(result["rows"], indent=1, ensure_ascii=False))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
