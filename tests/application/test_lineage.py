"""Lineage for others: events as OpenLineage 2-0-2 wants them, in the file and at a receiver, whatever the receiver does."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest

from fourfold.application.client import Client
from fourfold.application.lineage import Lineage
from fourfold.core.config import Settings
from fourfold.core.errors import BadInput
from fourfold.storage.ledger import Ledger

# The required fields of OpenLineage.json 2-0-2, and of the facets that are sent, as published at openlineage.io/spec.
URI = {"type": "string", "format": "uri"}
BASE_FACET = {
    "type": "object",
    "required": ["_producer", "_schemaURL"],
    "properties": {"_producer": URI, "_schemaURL": URI},
}
FACETS = {"type": "object", "additionalProperties": BASE_FACET}
DATASET = {"type": "object", "required": ["namespace", "name"],
           "properties": {"namespace": {"type": "string"}, "name": {"type": "string"}, "facets": FACETS,
                          "inputFacets": FACETS, "outputFacets": FACETS}}  # fmt: skip
RUN_EVENT = {
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL", "run", "job"],
    "properties": {
        "eventTime": {"type": "string", "format": "date-time"},
        "producer": URI,
        "schemaURL": URI,
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "run": {"type": "object", "required": ["runId"],
                "properties": {"runId": {"type": "string", "format": "uuid"}, "facets": FACETS}},
        "job": {"type": "object", "required": ["namespace", "name"],
                "properties": {"namespace": {"type": "string"}, "name": {"type": "string"}, "facets": FACETS}},
        "inputs": {"type": "array", "items": DATASET},
        "outputs": {"type": "array", "items": DATASET},
    },
}  # fmt: skip
REQUIRED = {  # of each facet, beside those of every facet
    "errorMessage": {"message", "programmingLanguage"},
    "processing_engine": {"version"},
    "jobType": {"processingType", "integration"},
    "version": {"datasetVersion"},
}


class Receiver(BaseHTTPRequestHandler):
    """Keeps what it is sent; answers with the status that its server has now."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.server.status, json.loads(body), self.headers.get("authorization")))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing on standard error."""


@contextmanager
def receiver() -> Iterator[Any]:
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.status = [], 201  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def events(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "lineage" / "events.jsonl").read_text().splitlines()]


def accepted(server: Any) -> list[dict[str, Any]]:
    return [event for status, event, _ in server.got if status < 300]


def valid(event: dict[str, Any]) -> None:
    """Against the schema, and what it cannot say here: formats, and the facets' own required fields."""
    jsonschema.validate(event, RUN_EVENT)
    uuid.UUID(event["run"]["runId"])
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert event["schemaURL"] == "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
    facets = {**event["run"]["facets"], **event["job"]["facets"]}
    for dataset in (*event["inputs"], *event["outputs"]):
        facets |= {**dataset.get("facets", {}), **dataset.get("outputFacets", {})}
    for name, facet in facets.items():
        assert urlsplit(facet["_schemaURL"]).scheme == urlsplit(facet["_producer"]).scheme == "https"
        assert set(facet) >= REQUIRED.get(name, set()), name


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("\n".join(f"kettle number {n} boils" for n in range(40)))
    return tmp_path / "notes"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def configure(home: Path, **settings: str) -> None:
    (home / "fourfold.toml").write_text("".join(f'{key} = "{value}"\n' for key, value in settings.items()))


def collect(client: Client, notes: Path) -> None:
    client.collect("notes", {"files": {"path": str(notes), "formats": {"txt": {"unit": "line"}}}})


def test_collect_clean_train_and_promote_are_told(home: Path, notes: Path) -> None:
    with receiver() as server:
        configure(home, lineage_url=f"http://127.0.0.1:{server.server_port}/api/v1/lineage", lineage_token="secret-1")
        with Client(home=home) as client:
            collect(client, notes)
            client.clean("clean", "notes", ["normalise"])
            client.train("words", "clean", {"ngram": {"order": 2, "discount_fallback": [0.5, 1.0, 1.5]}})
            client.promote("words", "production")
            with pytest.raises(BadInput):
                client.clean("clean", "notes", [{"drop_short": {"min_words": 99}}])
        got = accepted(server)
        assert {token for _, _, token in server.got} == {"Bearer secret-1"}
    assert got == events(home)
    for event in got:
        valid(event)
    told = [(event["eventType"], event["job"]["name"]) for event in got]
    jobs = ["collect.notes", "clean.clean", "train.words", "promote.words@production"]
    assert told == [(state, job) for job in jobs for state in ("START", "COMPLETE")] + [
        ("START", "clean.clean"),
        ("FAIL", "clean.clean"),
    ]
    pairs = [got[n : n + 2] for n in range(0, len(got), 2)]
    assert all(begin["run"]["runId"] == end["run"]["runId"] for begin, end in pairs)
    assert len({begin["run"]["runId"] for begin, _ in pairs}) == 5
    collected, cleaned, trained, promoted, failed = (end for _, end in pairs)
    assert collected["inputs"] == [{"namespace": "file", "name": str(notes)}]
    (output,) = collected["outputs"]
    assert (output["name"], output["facets"]["version"]["datasetVersion"]) == ("notes", "1")
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 40
    assert {"name": "text", "type": "string"} in output["facets"]["schema"]["fields"]
    assert [[d["name"] for d in (*one["inputs"], *one["outputs"])] for one in (cleaned, trained, promoted)] == [
        ["notes", "clean"],
        ["clean", "words"],
        ["words", "words@production"],
    ]
    assert "left none of 40 rows" in failed["run"]["facets"]["errorMessage"]["message"]
    assert failed["outputs"] == []
    assert "kettle" not in json.dumps(got)


def test_what_a_receiver_did_not_take_is_posted_later_and_in_order(home: Path, notes: Path, caplog) -> None:
    with receiver() as server:
        configure(home, lineage_url=f"http://127.0.0.1:{server.server_port}/")
        server.status = 503
        with caplog.at_level(logging.WARNING), Client(home=home) as client:
            collect(client, notes)
        assert "HTTP 503" in caplog.text
        assert accepted(server) == []
        (home / "lineage" / "events.jsonl.pause").unlink(missing_ok=True)  # as if the pause were over
        server.status = 200
        with Client(home=home) as client:
            client.clean("clean", "notes", ["normalise"])
        assert accepted(server) == events(home)
        assert len(events(home)) == 4


def test_a_receiver_that_is_not_there_stops_nothing(home: Path, notes: Path, caplog) -> None:
    with receiver() as server:
        url = f"http://127.0.0.1:{server.server_port}/"
    configure(home, lineage_url=url)
    with caplog.at_level(logging.WARNING), Client(home=home) as client:
        collect(client, notes)
        assert client.version("notes").version.meta["rows"] == 40
    assert "was not taken" in caplog.text
    assert [event["eventType"] for event in events(home)] == ["START", "COMPLETE"]


def test_an_event_that_is_refused_for_good_does_not_hold_up_the_others(home: Path, notes: Path) -> None:
    with receiver() as server:
        configure(home, lineage_url=f"http://127.0.0.1:{server.server_port}/")
        server.status = 422
        with Client(home=home) as client:
            collect(client, notes)
            server.status = 200
            client.clean("clean", "notes", ["normalise"])
        assert [event["job"]["name"] for event in accepted(server)] == ["clean.clean"] * 2


def test_a_file_alone_needs_no_receiver(home: Path, notes: Path) -> None:
    configure(home, lineage_file="out/runs.jsonl", lineage_namespace="shop")
    with Client(home=home) as client:
        collect(client, notes)
    written = [json.loads(line) for line in (home / "out" / "runs.jsonl").read_text().splitlines()]
    assert [(one["eventType"], one["job"]["namespace"]) for one in written] == [("START", "shop"), ("COMPLETE", "shop")]


def test_a_file_that_cannot_be_written_stops_nothing(home: Path, notes: Path, caplog) -> None:
    (home / "file").write_text("")
    configure(home, lineage_file="file/runs.jsonl")
    with caplog.at_level(logging.WARNING), Client(home=home) as client:
        collect(client, notes)
    assert "was not written" in caplog.text


def test_without_a_setting_nothing_is_written(home: Path, notes: Path) -> None:
    with Client(home=home) as client:
        collect(client, notes)
    assert not (home / "lineage").exists()


def test_addresses_are_told_without_passwords(home: Path) -> None:
    ledger = Ledger.open(home)
    ledger.told = Lineage(home, Settings(lineage_file="runs.jsonl"))
    spec = {"source": {"web": {"urls": ["https://me:secret@help.example/start?x=1"]}}}
    from fourfold.core.nouns import Actor

    with ledger.run("collect", kind="dataset", name="site", spec=spec, actor=Actor("key_1", "Tessa", "admin")) as run:
        (run.folder / "a.txt").write_text("a")
    ledger.close()
    text = (home / "runs.jsonl").read_text()
    assert "secret" not in text
    assert json.loads(text.splitlines()[0])["inputs"] == [{"namespace": "https://help.example", "name": "/start"}]
