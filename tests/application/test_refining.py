"""One table as a person makes it: filled in by a command, and by the same values when serving."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fourfold.application.cli import run
from fourfold.client import Client


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with five rows of which two have no stars."""
    ratings = ["1", "5", "4", "", "x"]
    rows = [{"text": f"text {i}", "rating": one, "shop": "web", "split": "train"} for i, one in enumerate(ratings)]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    home = tmp_path / "home"
    monkeypatch.setenv("FOURFOLD_HOME", str(home))
    with Client(home=home) as client:
        client.collect("raw", {"files": {"path": str(tmp_path / "rows.jsonl")}})
    return home


def test_drops(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(("clean", "table", "raw", "{convert: {fields: {stars: {column: rating, type: int}}}}")) == 0
    with Client(home=home) as client:
        page = client.drops("table")
        assert (page.total, page.by_reason) == (1, {"wrong_type": 1})
        assert (page.rows[0].source, page.rows[0].line, page.rows[0].detail) == ("rows.jsonl", 5, "stars")
        assert page.rows[0].text == "text 4"
    capsys.readouterr()
    assert run(("drops", "table", "--reason", "wrong_type")) == 0
    shown = capsys.readouterr().out
    assert "rows.jsonl" in shown and "text 4" in shown and "1 × wrong_type" in shown
    assert run(("drops", "table", "--reason", "wrong_typ")) == 1
    assert "Did you mean 'wrong_type'" in capsys.readouterr().err
    assert run(("drops", "raw")) == 0


def test_convert_fill_and_serve(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(("clean", "table", "raw", "{convert: {fields: {stars: {column: rating, type: int}}, keep_misfits: true}}")) == 0
    assert run(("clean", "full", "table", "{fill: {columns: {stars: median}}}")) == 0
    with Client(home=home) as client:
        assert [row["stars"] for row in client.documents("full").rows] == [1, 5, 4, 4, 4]
        assert client.fill("full", [{"text": "new"}]) == [{"text": "new", "stars": 4}]
    capsys.readouterr()
    (tmp_path / "more.jsonl").write_text('{"stars": 2}\n{"stars": null}\n')
    assert run(("fill", "full", '{"text": "new"}', f"@{tmp_path / 'more.jsonl'}", "--json")) == 0
    assert json.loads(capsys.readouterr().out) == [{"text": "new", "stars": 4}, {"stars": 2}, {"stars": 4}]
    assert run(("fill", "full", "[1]")) == 1
    assert run(("fill", "full", "@absent")) == 1
    assert run(("fill", "raw", "{}")) == 1


def test_export(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(("export", "raw", str(tmp_path / "out.jsonl"), "--split", "train")) == 0
    assert "5 documents of raw@1" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["text"] == "text 0"
    settings = ("--format", "alpaca", "--set", "instruction=text", "--set", "output=rating", "--json")
    assert run(("export", "raw", str(tmp_path / "out.json"), *settings)) == 0
    assert json.loads(capsys.readouterr().out)["meta"]["skipped"] == {"no_answer": 1}
    assert run(("export", "raw", str(tmp_path / "out"))) == 2
    assert run(("export", "raw", str(tmp_path / "absent" / "out.jsonl"))) == 1
    assert "cannot be written" in capsys.readouterr().err
