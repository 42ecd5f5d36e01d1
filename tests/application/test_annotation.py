"""Annotation as people do it: keys of several annotators over HTTP, commands, and the trace that leads back to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.application.test_answers import answered
from tests.application.test_client import served

from fourfold.application import answers
from fourfold.application.cli import run
from fourfold.application.http.app import management_app
from fourfold.application.trace_tree import trace_tree
from fourfold.client import Client
from fourfold.core.errors import BadInput, Conflict, NotFound, NotPermitted
from fourfold.data.annotation_results import Disagreement
from fourfold.storage.ledger import Ledger

SENTENCES = [f"{who} lives in {where}" for who in ("Anna", "Bob", "Mei", "Otto") for where in ("Berlin", "Paris", "Oslo")]
LABELS = ["here", "there"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with twelve sentences."""
    folder = tmp_path_factory.mktemp("annotation")
    (folder / "in").mkdir()
    (folder / "in" / "t.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in SENTENCES))
    with Client(home=folder / "home") as client:
        client.collect("letters", {"files": {"path": str(folder / "in")}})
    return folder / "home"


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with served(management_app(home)) as url:
        yield url


@pytest.fixture(scope="module")
def people(home: Path, address: str) -> Iterator[dict[str, Client]]:
    """A client for each of two annotators and a developer."""
    roles = {"ann": "annotator", "bob": "annotator", "dev": "developer"}
    with Client(home=home) as owner:
        tokens = {name: owner.create_key(name, role).token for name, role in roles.items()}  # type: ignore[arg-type]
    clients = {name: Client(url=address, token=token) for name, token in tokens.items()}
    yield clients
    for client in clients.values():
        client.close()


def spans_of(text: str) -> dict[str, Any]:
    who, where = text.split()[0], text.split()[-1]
    return {
        "spans": [
            {"start": 0, "end": len(who), "label": "PER"},
            {"start": len(text) - len(where), "end": len(text), "label": "LOC"},
        ]
    }


def test_a_project_from_the_first_document_to_a_model_and_back(home: Path, people: dict[str, Client]) -> None:
    ann, bob, dev = people["ann"], people["bob"], people["dev"]
    made = dev.create_annotation(
        "people", "letters", {"spans": {"labels": ["PER", "LOC"]}}, guideline="Mark people and places.", redundancy=2
    )
    assert (made.dataset, made.state) == ("letters@1", "open")
    assert [a.name for a in ann.annotations()] == ["people"]
    assert ann.annotation("people").guidelines[0].text == "Mark people and places."
    for client, wrong in ((ann, "Anna"), (bob, "Bob")):
        while items := client.next_items("people", limit=5).items:
            for item in items:
                value = {"spans": []} if item.text.startswith(wrong) and client is bob else spans_of(item.text)
                client.label_item("people", item.doc_id, value, seconds=1.5)
    assert dev.annotation("people").counts.done == 12
    found = dev.agreement("people")
    assert (found.documents, found.same) == (12, 9)
    # of 24 spans that ann marked, bob marked 18: 2 · 18 / (24 + 18)
    assert found.pairs[0].span_f1 == pytest.approx(36 / 42)
    differ = dev.disagreements("people")
    assert [d.text for d in differ] == SENTENCES[3:6]
    assert isinstance(differ[0], Disagreement)
    for one in differ:
        dev.adjudicate("people", one.doc_id, spans_of(one.text), "bob was tired")
    with pytest.raises(Conflict, match="decided by an adjudicator"):
        bob.label_item("people", differ[0].doc_id, {"spans": []})
    labelled = dev.publish_annotation("people", "labelled")
    assert labelled.meta["annotation"]["decided"] == {"agreed": 9, "adjudicated": 3}
    dev.write_guideline("people", "Mark people, places and nothing else.")
    with Client(home=home) as owner:
        model = owner.train("words", labelled.ref, {"crf": {"tags": "tags", "max_iterations": 20}})
    done = dev.prelabel("people", model.ref)
    assert (done.model, done.suggested, done.task) == (model.ref, 12, "tag")

    ledger = Ledger.open(home)
    (ledger.home / "requests").mkdir(exist_ok=True)
    (ledger.home / "requests" / "salt").write_bytes(bytes(32))
    trace = answers.why(ledger, answered(ledger, model, "Otto lives in Oslo"), text=None, limit=1)
    ledger.close()
    (dataset,) = [node for node in trace.trace if node.id == "labelled@1"]
    assert (dataset.detail["verb"], dataset.detail["annotation"]["project"]) == ("annotate", "people")
    (document,) = [node for node in trace.trace if node.kind == "document"]
    assert document.detail["annotation"]["decided"] in ("agreed", "adjudicated")
    assert document.detail["annotation"]["guideline"] == 1
    assert document.detail["annotation"]["annotators"]
    assert [node.id for node in trace.trace if node.kind == "dataset"] == ["labelled@1", "letters@1"]
    shown = Console(width=200, color_system=None)
    with shown.capture() as printed:
        shown.print(trace_tree(trace))
    assert "annotate, 12 documents; people: 27 answers of 3, guideline 1" in printed.get()


def test_an_annotator_may_label_and_nothing_else(people: dict[str, Client]) -> None:
    ann = people["ann"]
    people["dev"].create_annotation("own", "letters", {"classification": {"labels": LABELS}})
    assert ann.whoami().actions == ["enter", "label"]
    refused = [
        lambda: ann.documents("letters"),
        lambda: ann.versions(),
        lambda: ann.labels("own"),
        lambda: ann.agreement("own"),
        lambda: ann.disagreements("own"),
        lambda: ann.export_annotation("own"),
        lambda: ann.adjudicate("own", "doc_x", None, "r"),
        lambda: ann.create_annotation("mine", "letters", "text"),
        lambda: ann.publish_annotation("own", "mine"),
        lambda: ann.close_annotation("own"),
    ]
    for act in refused:
        with pytest.raises(NotPermitted, match="role annotator, which may not do this"):
            act()
    assert len(ann.next_items("own").items) == 1
    assert ann.release_items("own").items == 1


def test_two_annotators_at_once_get_different_documents_and_errors_say_what_is_wrong(people: dict[str, Client]) -> None:
    ann, bob = people["ann"], people["bob"]
    people["dev"].create_annotation("both", "letters", {"classification": {"labels": LABELS}}, lease_seconds=3600)
    mine, theirs = ann.next_items("both", limit=7), bob.next_items("both", limit=7)
    assert (len(mine.items), len(theirs.items)) == (7, 5)
    assert not {i.doc_id for i in mine.items} & {i.doc_id for i in theirs.items}
    doc = mine.items[0].doc_id
    with pytest.raises(BadInput, match=r"label is 'heer', .*Did you mean 'here'"):
        ann.label_item("both", doc, {"label": "heer"})
    with pytest.raises(Conflict, match="somebody else holds it now: this answer was not kept"):
        bob.label_item("both", doc, {"label": "here"})
    with pytest.raises(NotFound, match=r"no annotation project 'bath'\. Did you mean 'both'"):
        ann.next_items("bath")
    assert ann.label_item("both", doc, {"label": "here"}).revision == 1
    assert ann.label_item("both", doc, {"label": "here"}).revision == 1
    assert people["dev"].labels("both", doc_id=doc)[0].value == {"label": "here"}


def test_closed_projects_moved_ones_and_tasks_of_label_studio_over_http(people: dict[str, Client]) -> None:
    dev = people["dev"]
    dev.create_annotation("far", "letters", {"classification": {"labels": LABELS}})
    task = {
        "data": {"text": SENTENCES[0]},
        "annotations": [{"completed_by": 1, "result": [{"type": "choices", "value": {"choices": ["here"]}}]}],
    }
    assert dev.import_annotation("far", [task, {"data": {"text": "nowhere"}}]).left_out == {"no such document": 1}
    exported = dev.export_annotation("far")
    assert len(exported.tasks) == 12
    assert exported.tasks[0]["annotations"][0]["annotator"] == "label-studio:1"
    assert dev.move_annotation("far", "letters@1").kept == 12
    assert dev.close_annotation("far").state == "closed"
    with pytest.raises(Conflict, match="far is closed"):
        people["ann"].next_items("far")
    assert dev.close_annotation("far", reopen=True).state == "open"


# ---- commands ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def typed(home: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Any:
    """What a command prints as JSON, or its exit code and message."""

    def command(*words: str, code: int = 0) -> Any:
        assert run(["annotate", *words, "--home", str(home), "--json"]) == code
        return json.loads(capsysbinary.readouterr().out)

    return command


def test_the_commands_of_a_classification(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "guideline.md").write_text("Pick one.")
    words = ["--question", "classification", "--label", "here", "--label", "there", "--guideline", f"@{tmp_path}/guideline.md"]
    assert typed("create", "cli", "letters", *words, "--order", "dataset")["question"]["classification"]["labels"] == LABELS
    first, second = [item["doc_id"] for item in typed("next", "cli", "--limit", "2")["items"]]
    assert typed("answer", "cli", first, "--label", "here")["value"] == {"label": "here"}
    assert "Did you mean 'there'" in typed("answer", "cli", second, "--label", "thre", code=1)["error"]["message"]
    assert "0 answers are given" in typed("answer", "cli", second, code=2)["error"]["message"]
    assert (
        "2 answers are given" in typed("answer", "cli", second, "--label", "here", "--prefer", "a", code=2)["error"]["message"]
    )
    assert "no JSON object" in typed("answer", "cli", second, "--value", "[", code=2)["error"]["message"]
    assert typed("answer", "cli", second, "--pass-over", "two places")["value"] is None
    assert typed("answer", "cli", second, "--value", '{"label": "there"}', "--comment", "now")["revision"] == 2
    assert [a["revision"] for a in typed("labels", "cli", "--document", second, "--history")] == [1, 2]
    assert typed("guideline", "cli", "Pick one, quickly.")["number"] == 2
    assert typed("adjudicate", "cli", second, "--leave-out", "--reason", "no place")["role"] == "adjudicator"
    assert typed("show", "cli")["counts"]["adjudicated"] == 1
    assert typed("agreement", "cli")["documents"] == 0
    assert typed("disagreements", "cli") == []
    assert typed("release", "cli")["items"] == 0
    assert typed("publish", "cli", "chosen")["meta"]["rows"] == 1
    written = typed("export", "cli", str(tmp_path / "out.json"))
    assert written["tasks"] == 12
    assert (tmp_path / "out.xml").read_text().startswith("<View>")
    assert typed("import", "cli", str(tmp_path / "out.json"))["answers"] == 1  # the other was left out for good: no room for it
    (tmp_path / "bad.json").write_text('{"no": "list"}')
    assert "is no list of tasks" in typed("import", "cli", str(tmp_path / "bad.json"), code=1)["error"]["message"]
    assert "cannot be read" in typed("import", "cli", str(tmp_path / "none.json"), code=1)["error"]["message"]
    assert typed("move", "cli", "letters@1")["kept"] == 12
    assert typed("close", "cli")["state"] == "closed"
    assert "cli" in [p["name"] for p in typed("list")]
    assert "there is no question 'class'" in typed("create", "x", "letters", "--question", "class", code=2)["error"]["message"]


def test_the_commands_of_spans_and_texts(typed: Any) -> None:
    typed("create", "marks", "letters", "--question", "{spans: {labels: [PER, LOC]}}")
    doc = typed("next", "marks")["items"][0]["doc_id"]
    given = ["--span", "0:4:PER", "--span", "14:20:LOC"]
    assert typed("answer", "marks", doc, *given)["value"]["spans"][1] == {"start": 14, "end": 20, "label": "LOC"}
    assert "is no span" in typed("answer", "marks", doc, "--span", "0-4:PER", code=2)["error"]["message"]
    assert "the text has 20 characters" in typed("answer", "marks", doc, "--span", "0:90:PER", code=1)["error"]["message"]
    assert (
        "letters@1 is a dataset; annotate prelabel needs a model"
        in typed("prelabel", "marks", "letters", code=1)["error"]["message"]
    )
    typed("create", "notes", "letters", "--question", "text", "--set", "longest=5")
    assert typed("answer", "notes", doc, "--text", "short")["value"] == {"text": "short"}
    assert "6 characters, more than 5" in typed("answer", "notes", doc, "--text", "longer", code=1)["error"]["message"]


def test_what_people_read_on_the_terminal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def text(*words: str) -> str:
        assert run(["annotate", *words, "--home", str(home)]) == 0
        return capsys.readouterr().out

    text("create", "seen", "letters", "--question", "classification", "--label", "here", "--redundancy", "2")
    assert "Anna lives in Berlin" in text("next", "seen", "--limit", "12")
    assert "seen" in text()
    assert "Nothing to decide." in text("disagreements", "seen")
    assert "No two people answered the same." in text("agreement", "seen")
    assert "No answer yet." in text("labels", "seen")
    assert "12 released" in text("release", "seen")
    assert "people per document: 2" in text("show", "seen")
    assert "seen is closed" in text("close", "seen")
