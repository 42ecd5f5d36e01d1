"""Traces: what was learnt from is told from what was held out, and there are documents whatever was asked."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from fourfold.application import answers
from fourfold.application.results import Trace
from fourfold.application.serving.bodies import hash_text
from fourfold.application.serving.request_log import Closed, Opened, RequestLog
from fourfold.application.trace_tree import trace_tree
from fourfold.compute.predict import predict
from fourfold.compute.tasks import TextInput
from fourfold.compute.train import train
from fourfold.core.errors import BadInput
from fourfold.core.nouns import Actor, Version
from fourfold.data.collect import collect
from fourfold.storage.erase import erase
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")
FAMILY = {"ngram": {"order": 2, "discount_fallback": [0.5, 1.0, 1.5]}}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    (opened.home / "requests").mkdir()
    (opened.home / "requests" / "salt").write_bytes(bytes(32))
    yield opened
    opened.close()


def collected(ledger: Ledger, folder: Path, name: str, lines: list[str]) -> Version:
    folder.mkdir()
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return collect(ledger, OWNER, name, {"files": {"path": str(folder), "formats": {"txt": {"unit": "line"}}}})


def answered(ledger: Ledger, model: Version, text: str, *, keep: bool = True) -> str:
    """An answer as a front records it."""
    log = RequestLog(ledger.home, 1, len(list((ledger.home / "requests").rglob("*.log"))) + 1)
    ticket = log.place()
    content = msgspec.msgpack.encode([TextInput(text)]) if keep else None
    hashed = hash_text(text, ledger.home)
    opened = Opened(
        ticket.id.at_ms, "key", "phrases", model.ref, model.digest, "score", "ngram", "", 1, hashed, len(text), content
    )
    log.opened(ticket, opened)
    log.closed(ticket, Closed(ticket.id.offset, "ok", "", 0.5, 1, b"", 0.1, 0.1, 0.2))
    log.close()
    return str(ticket.id)


def texts(trace: Trace) -> list[str]:
    return [node.detail["text"] for node in trace.trace if node.kind == "document"]


@pytest.fixture
def model(ledger: Ledger, tmp_path: Path) -> Version:
    """Trained on all of one dataset, with another held out."""
    learnt = collected(ledger, tmp_path / "a", "learnt", [f"kettle number {n} boils" for n in range(40)])
    held_out = collected(ledger, tmp_path / "b", "held", [f"vacuum number {n} sweeps" for n in range(20)])
    return train(ledger, OWNER, "phrases", learnt, FAMILY, dev=held_out)


def test_only_what_was_learnt_from_is_a_source(ledger, model):
    trace = answers.why(ledger, answered(ledger, model, "the vacuum sweeps and the kettle boils"), text=None, limit=5)
    assert len(texts(trace)) == 5
    assert all("kettle" in text for text in texts(trace))
    assert trace.note == ""


def test_there_are_documents_where_nothing_is_shared(ledger, model):
    trace = answers.why(ledger, answered(ledger, model, "洗衣机"), text=None, limit=3)
    assert len(texts(trace)) == 3
    assert "shares a word" in trace.note
    assert [node.kind for node in trace.trace[-2:]] == ["document", "source"]


def test_a_text_that_is_not_kept_can_be_given_again(ledger, model):
    answer = answered(ledger, model, "kettle number 7", keep=False)
    assert "does not keep" in answers.why(ledger, answer, text=None, limit=2).note
    again = answers.why(ledger, answer, text="kettle number 7", limit=2)
    assert again.note == ""
    assert all("closeness" in node.detail for node in again.trace if node.kind == "document")
    with pytest.raises(BadInput, match="not what was asked"):
        answers.why(ledger, answer, text="kettle number 8", limit=2)


def test_a_source_leads_to_the_raw_file(ledger, model):
    trace = answers.why(ledger, answered(ledger, model, "kettle"), text=None, limit=1)
    source = trace.trace[-1]
    assert (source.kind, source.detail["file"]) == ("source", "learnt@1/raw/learnt.txt")
    assert ledger.holders(source.digest)[0][0].ref == "learnt@1"


def test_a_model_of_no_dataset_has_a_trace_that_says_so(ledger):
    with ledger.run("train", kind="model", name="brought", spec={}, actor=OWNER) as run:
        (run.folder / "weights.txt").write_text("1")
    answers.warm(ledger, run.version)
    trace = answers.why(ledger, answered(ledger, run.version, "kettle"), text=None, limit=5)
    assert [node.kind for node in trace.trace] == ["answer", "step", "version", "run"]
    assert "no dataset" in trace.note


def test_an_erased_dataset_ends_the_trace_and_leaves_no_index_behind(ledger, model):
    answer = answered(ledger, model, "kettle number 7")
    assert texts(answers.why(ledger, answer, text=None, limit=2))
    assert list((ledger.home / "cache" / "search").glob("*-*"))
    receipt = erase(ledger, ["learnt@1"], actor="key_owner", reason="request 7")
    assert not list((ledger.home / "cache" / "search").glob("*-*"))
    trace = answers.why(ledger, answer, text=None, limit=2)
    assert (texts(trace), receipt.receipt in trace.note) == ([], True)
    answers.warm(ledger, model)
    assert not list((ledger.home / "cache" / "search").glob("*-*"))


def test_a_model_that_learnt_from_a_model_says_from_which(ledger, model):
    texts_of = predict(ledger, OWNER, "written", model, ledger.version("learnt"), task="generate", options={"seed": 1})
    student = train(ledger, OWNER, "student", texts_of, FAMILY)
    trace = answers.why(ledger, answered(ledger, student, "the kettle boils"), text=None, limit=5)
    datasets = {node.id: node.detail for node in trace.trace if node.kind == "dataset"}
    assert datasets["written@1"]["models"] == ["phrases@1"]
    assert "models" not in datasets["learnt@1"]
    console = Console(width=200, file=StringIO())
    console.print(trace_tree(trace))
    assert "predict by phrases@1, 40 documents" in console.file.getvalue()  # type: ignore[attr-defined]
