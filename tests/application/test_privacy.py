"""Personal data as a person works with it: the report, and turning pseudonyms back by those who may."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fourfold.application.cli import run
from fourfold.application.platform import Platform
from fourfold.client import Client
from fourfold.core.config import Settings
from fourfold.core.errors import NotPermitted
from fourfold.core.nouns import Actor
from fourfold.storage.ledger import Ledger


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [{"text": "打 13800002947", "spans": [{"start": 2, "end": 13, "label": "CN_MOBILE"}]}]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    home = tmp_path / "home"
    monkeypatch.setenv("FOURFOLD_HOME", str(home))
    with Client(home=home) as client:
        client.collect("raw", {"files": {"path": str(tmp_path / "rows.jsonl")}})
    return home


def test_the_commands(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(("detection", "report", "raw")) == 0
    shown = capsys.readouterr().out
    assert "CN_MOBILE" in shown and "1.0000" in shown and "1 rows of raw@1, found by patterns" in shown
    assert run(("deidentify", "safe", "raw", "--action", "CN_MOBILE=replace", "--reversible")) == 0
    with Client(home=home) as client:
        pseudonym = client.documents("safe").rows[0]["text"].split()[1]
    capsys.readouterr()
    assert run(("reidentify", "safe", pseudonym, "CN_MOBILE_0", "--reason", "case 12")) == 0
    shown = capsys.readouterr().out
    assert "13800002947" in shown and "unknown here" in shown
    assert run(("reidentify", "raw", pseudonym, "--reason", "case 12")) == 4


def test_who_may(home: Path) -> None:
    ledger = Ledger.open(home)
    for role in ("reader", "developer", "operator", "approver"):
        with pytest.raises(NotPermitted, match="it takes admin"):
            Platform(ledger, Actor("k", "k", role), Settings()).reidentify("raw", ["x"], reason="curious")
    ledger.close()


def test_the_keys_lie_where_the_setting_says(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOURFOLD_PSEUDONYM_KEYS", str(tmp_path / "apart"))
    with Client(home=home) as client:
        client.deidentify("safe", "raw", actions={"CN_MOBILE": "replace"}, reversible=True)
    assert (tmp_path / "apart" / "safe.key").exists()
    assert not (home / "pseudonyms").exists()
