"""Every document of the example company is followed from raw bytes to the last dataset, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.application.test_cli import ask_json, call

from fourfold.application.client import Client
from fourfold.application.following import diff, open_chain
from fourfold.data.dataset import Dataset
from fourfold.storage.ledger import Ledger

LAST = ("support", "queries", "labelled", "articles-clean")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, company: Path) -> Path:
    """The datasets of the example company's project, and its help centre with the menus taken out."""
    home = tmp_path_factory.mktemp("following") / "home"
    project: dict[str, Any] = yaml.safe_load((company / "fourfold.yaml").read_text(encoding="utf-8"))
    with Client(home=home) as client:
        for name, stage in project["datasets"].items():
            if "collect" in stage:
                spec = {kind: {**of, "path": str(company / of["path"])} for kind, of in stage["collect"].items()}
                client.collect(name, spec)
            elif "clean" in stage:
                client.clean(name, stage["from"], stage["clean"])
            else:
                settings = {key: stage["deidentify"][key] for key in ("detectors", "actions") if key in stage["deidentify"]}
                client.deidentify(name, stage["from"], **settings)
        whole = {"html": {"extract": "whole"}}
        site = {"path": str(company / "site"), "include": ["zh/*.html", "en/*.html"], "formats": whole}
        client.collect("articles", {"files": site})
        client.clean("articles-clean", "articles", ["drop_boilerplate", "normalise"])
    return home


@pytest.mark.parametrize("name", LAST)
def test_every_document_has_its_way(home: Path, name: str) -> None:
    ledger = Ledger.open(home)
    last = ledger.version(name)
    chain, note = open_chain(ledger, last)
    rows = {row["doc_id"]: row for row in Dataset(ledger.materialise(last)).table().to_pylist()}
    kept = dropped = changed = 0
    for doc_id in chain.documents():
        way = chain.follow(doc_id)
        assert way.raw is not None and way.raw.verified, doc_id
        row = way.stages[0].row
        assert row is not None
        for stage in way.stages[1:]:
            for change in stage.changes:  # what stands before a change is what the stage before left, and a diff makes it again
                parts = diff(change.before, change.after)
                if isinstance(change.before, str) and isinstance(change.after, str):
                    assert "".join(text for sign, text in parts if sign != "+") == change.before
                    assert "".join(text for sign, text in parts if sign != "-") == change.after
            if stage.row is None:
                assert stage.drop is not None and stage.drop.reason
                break
            assert _after(row, stage.changes) == stage.row, doc_id
            changed += bool(stage.changes)
            row = stage.row
        if way.stages[-1].row is None:
            dropped += 1
            assert doc_id not in rows
        else:
            kept += 1
            assert way.stages[-1].dataset == last.ref
            assert way.stages[-1].row == rows[doc_id]
    ledger.close()
    print(f"\n{name}: {kept:,} documents kept, {dropped:,} dropped, {changed:,} times changed")
    assert (note, kept) == ("", len(rows))
    assert changed or name in ("queries", "labelled")  # these are clean already


def _after(row: dict[str, Any], changes: tuple[Any, ...]) -> dict[str, Any]:
    """The row with the changes made."""
    made = dict(row)
    for change in changes:
        assert made.get(change.column) == change.before
        made[change.column] = change.after
    return made


@pytest.mark.parametrize("name", LAST)
def test_every_raw_file_leads_to_its_rows(home: Path, name: str) -> None:
    ledger = Ledger.open(home)
    last = ledger.version(name)
    chain, _ = open_chain(ledger, last)
    collected = last
    while inputs := ledger.inputs(collected):
        (collected,) = inputs
    found: set[str] = set()
    for file in ledger.manifest(collected).files:
        if file.path.startswith("raw/"):
            raw, ways, _ = chain.of_file(file.path.removeprefix("raw/"))
            assert (raw.digest, raw.size_bytes, raw.verified) == (file.digest, file.size_bytes, True)
            found |= {way.doc_id for way in ways if way.stages[-1].row is not None}
    rows = Dataset(ledger.materialise(last)).table(["doc_id"])["doc_id"].to_pylist()
    ledger.close()
    assert found == set(rows)


def test_the_command_line_follows(home: Path) -> None:
    with Client(home=home) as client:
        row = next(
            r for r in client.documents("support", limit=50).rows if "<PHONE_NUMBER>" in r["text"] or "<CN_MOBILE>" in r["text"]
        )
        raw = client.follow("support", "tickets.csv", limit=3)
    assert (raw.documents > 100, len(raw.ways), raw.raw is not None) == (True, 3, True)
    said = ask_json("why", "support", row["doc_id"], home=home)
    (way,) = said["ways"]
    assert [stage["verb"] for stage in way["stages"]] == ["collect", "clean", "deidentify"]
    assert way["raw"]["verified"] is True
    code, out, _ = call("why", "support", row["doc_id"], home=home)
    assert code == 0
    assert "{+" in out and "deidentify, text: " in out
    code, out, _ = call("why", "support", "tickets.csv", "--limit", "2", home=home)
    assert code == 0 and "lines left out" in out
    code, _, error = call("why", "support", "doc_none", home=home)
    assert (code, "know no document" in error) == (4, True)
