"""The real families behind the front: the two cases that every reader tries first, and a request for each task."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fourfold.compute.families import FAMILIES
from fourfold.core.nouns import Route
from fourfold.core.progress import silent
from fourfold.data.dataset import Dataset
from fourfold.data.formats import Record
from fourfold.data.formats.conllu import Conllu

from .conftest import ACTOR, Home

TEXT = "今天天气怎么样"


def train(home: Home, name: str, spec: dict[str, dict[str, Any]], folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Fit a family on rows and deploy what comes of it under its name."""
    folder.mkdir()
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    table = pa.table({"doc_id": [f"doc_{i}" for i in range(len(rows))], **columns})
    pq.write_table(table, folder / "fragment-0.parquet")
    ((family, _),) = spec.items()
    with home.ledger.run("train", kind="model", name=name, spec=spec, actor=ACTOR) as run:
        run.meta.update(FAMILIES.build(spec).fit(Dataset(folder), None, run.folder, silent), family=family)
    assert run.version
    home.deploy(name, Route(run.version.ref))


@pytest.fixture(scope="module")
def trained(public_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("families")
    data = gzip.decompress((public_data / "ud-chinese-gsdsimp" / "dev.conllu.gz").read_bytes())
    records = [record for record in Conllu()(data) if isinstance(record, Record)][:120]
    home = Home(folder / "home")
    words = [{"text": r.text, "tokens": r.fields["tokens"], "upos": r.fields["upos"]} for r in records]
    train(home, "zh-words", {"crf": {"max_iterations": 20}}, folder / "words", words)
    lines = [{"text": r.text} for r in records]
    train(
        home,
        "zh-lines",
        {"ngram": {"order": 3, "unit": "character", "discount_fallback": [0.5, 1.0, 1.5]}},
        folder / "lines",
        lines,
    )
    home.up()
    yield home
    home.close()


def test_tag(trained: Home):
    body = trained.ask("zh-words:tag", {"inputs": [{"id": "a", "text": TEXT}]}).json()
    assert body["route"]["step"] == "crf"
    (result,) = body["results"]
    tokens = result["tokens"]
    assert "".join(t["text"] for t in tokens) == TEXT
    assert [(t["start"], t["end"]) for t in tokens] == [
        (TEXT.index(t["text"]), TEXT.index(t["text"]) + len(t["text"])) for t in tokens
    ]
    assert all(t["label"].isupper() and 0 <= t["score"] <= 1 for t in tokens)
    assert isinstance(result["calibrated"], bool)
    assert body["usage"]["input_tokens"] == len(tokens)


@pytest.mark.parametrize("unit", ["word", "sentence"])
def test_rank(trained: Home, unit: str):
    body = trained.ask("zh-words:rank", {"inputs": [{"id": "a", "text": TEXT}], "unit": unit}).json()
    (result,) = body["results"]
    scores = [r["score"] for r in result["ranking"]]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)
    assert all(0 <= score <= 1 for score in scores)
    assert len(scores) == (
        1 if unit == "sentence" else len(trained.ask("zh-words:tag", {"text": TEXT}).json()["results"][0]["tokens"])
    )


def test_the_tasks_of_a_language_model(trained: Home):
    def first(task: str, **body: Any) -> dict[str, Any]:
        reply = trained.ask(f"zh-lines:{task}", body)
        assert reply.status_code == 200, reply.text
        return reply.json()["results"][0]

    assert first("score", text=TEXT)["perplexity"] > 1
    assert all(s["text"].startswith("中国") for s in first("suggest", text="中国", top_k=3)["suggestions"])
    assert first("generate", text="中国", max_tokens=5, seed=1) == first("generate", text="中国", max_tokens=5, seed=1)
    ranking = first("rank", query="中国", items=[{"id": "d1", "text": "人"}, {"id": "d2", "text": "x"}])["ranking"]
    assert {r["id"] for r in ranking} == {"d1", "d2"}
    refusal = trained.ask("zh-lines:tag", {"text": TEXT})
    assert (refusal.status_code, refusal.json()["code"]) == (404, "not_found")
    assert "score" in refusal.json()["hint"]
