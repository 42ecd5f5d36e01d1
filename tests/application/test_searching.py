"""Indexes and searches as people reach them: the command line, the SDK, HTTP."""

from __future__ import annotations

import csv
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from tests.application.test_cli import ask_json, call

from fourfold.application.client import Client
from fourfold.application.http.app import management_app
from fourfold.compute.embedding import Embedding
from fourfold.core.errors import BadInput
from fourfold.data.search import OpenIndex
from fourfold.storage.ledger import Ledger


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, company: Path) -> Path:
    """A home with the help centre and an index of it."""
    home = tmp_path_factory.mktemp("searching") / "home"
    with Client(home=home) as client:
        client.collect("site", {"files": {"path": str(company / "site"), "include": ["zh/*.html", "en/*.html"]}})
        made = client.index("help", "site")
    assert (made.ref, made.kind, made.meta["rows"]) == ("help@1", "index", 29)
    return home


def test_the_command_line_prints_json_and_text(home: Path) -> None:
    found = ask_json("search", "help", "滤芯 多久换", "--limit", "1", home=home)
    assert (found["index"], found["total"]) == ("help@1", 2)
    (hit,) = found["hits"]
    assert hit["source"] == "zh/purifier-filter.html#1"
    assert {hit["snippet"][begin:end] for begin, end in hit["highlights"]} <= {"滤芯", "多久", "换", "多久换", "换滤芯"}
    code, out, _ = call("search", "help", "-滤芯", home=home)
    assert code == 0
    assert "zh/purifier-filter.html" in out
    nothing = ask_json("search", "help", "C++ (test", home=home)
    assert (nothing["hits"], nothing["total"]) == ([], 0)
    assert "match any" in nothing["note"]


def test_over_http_it_is_the_same(home: Path) -> None:
    ledger = Ledger.open(home)
    _, token = ledger.create_key("reader", "reader", actor="test")
    ledger.close()
    with TestClient(management_app(home)) as http:
        asked: dict[str, Any] = {"query": "kettle", "filters": ["lang=en", "title!=none"], "limit": 3}
        reply = http.get("/api/v1/indexes/help/search", params=asked, headers={"authorization": f"Bearer {token}"})
        wrong = http.get("/api/v1/indexes/site/search", params=asked, headers={"authorization": f"Bearer {token}"})
    assert reply.status_code == 200, reply.text
    with Client(home=home) as client:
        said = client.search("help", "kettle", filters=["lang=en", "title!=none"], limit=3)
    assert [hit["doc_id"] for hit in reply.json()["hits"]] == [hit.doc_id for hit in said.hits]
    assert said.total > 0
    assert (wrong.status_code, wrong.json()["hint"]) == (400, "Run: fourfold index NAME site")


def test_a_dataset_is_no_index(home: Path) -> None:
    with Client(home=home) as client, pytest.raises(BadInput, match="site@1 is a dataset, not an index"):
        client.search("site", "快递")


def test_words_and_vectors_together_find_better_than_either(home: Path, company: Path) -> None:
    """Mean reciprocal rank of the right article over the labelled questions; the model learns from the company's own texts."""
    formats = {"csv": {"text": ["subject", "body", "agent_reply"]}, "tsv": {"text": "query"}}
    include = ["site/zh/*.html", "site/en/*.html", "tickets/*", "search/queries.tsv"]
    with Client(home=home) as client:
        client.collect("texts", {"files": {"path": str(company), "include": include, "formats": formats}})
        client.clean("texts-clean", "texts", ["normalise", "drop_duplicates"])
        client.train("meaning", "texts-clean", "lsa")
        made = client.index("meant", "site", encoder="meaning")
        assert (made.meta["dimensions"], made.meta["encoder"], made.meta["graphs"]) == (128, "meaning@1", False)
        hits = client.search("meant", "退的钱什么时候到银行卡", limit=3).hits
        assert {"words", "vectors"} >= set(hits[0].places) != set()
        with pytest.raises(BadInput, match="site@1 does not embed"):
            client.index("meant", "site", encoder="site")
    with (company / "search" / "labelled.tsv").open(encoding="utf-8", newline="") as file:
        questions = list(csv.DictReader(file, delimiter="\t"))
    assert len(questions) >= 60 and {row["language"] for row in questions} == {"zh", "en"}
    assert all((company / "site" / article).is_file() for row in questions for article in row["articles"].split())
    ledger = Ledger.open(home)
    model = Embedding(ledger, ledger.version("meaning"))
    index = OpenIndex(ledger.materialise(ledger.version("meant")), model)
    with closing(ledger), closing(model), closing(index):
        figures = {
            "words": mrr(index, questions, by="words", match="any"),
            "vectors": mrr(index, questions, by="vectors"),
            "both": mrr(index, questions),
        }
    print("\nMRR", {name: round(value, 4) for name, value in figures.items()})
    assert figures["both"] > max(figures["words"], figures["vectors"])
    assert figures["both"] >= 0.85


def mrr(index: OpenIndex, questions: list[dict[str, str]], **how: Any) -> float:
    found = 0.0
    for row in questions:
        hits = index.search(row["query"], limit=20, **how).hits
        right = (place for place, hit in enumerate(hits, 1) if hit.source.partition("#")[0] in row["articles"].split())
        found += 1 / next(right, float("inf"))
    return found / len(questions)


def test_a_model_that_embeds_is_asked_like_any_other(home: Path) -> None:
    with Client(home=home) as client:
        client.train("small", "site", {"lsa": {"dimensions": 5}})
        assert client.version("small").version.meta["tasks"] == ["embed"]
