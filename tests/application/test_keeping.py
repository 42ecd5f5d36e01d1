"""Removing, holding, erasing, collecting garbage and examining, as a person does them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fourfold.client import Client
from fourfold.core.errors import BadInput, Conflict, Erased, NotFound, NotPermitted
from fourfold.core.nouns import Actor
from fourfold.data.visiting import state_folder
from fourfold.data.workspace import workspace
from fourfold.storage.erase import read_register
from fourfold.storage.ledger import Ledger


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with words@1 to words@3."""
    ledger = Ledger.open(tmp_path / "home")
    for text in ("one", "two", "three"):
        with ledger.run("train", kind="model", name="words", spec={}, actor=Actor("k", "k", "admin")) as run:
            (run.folder / "weights.txt").write_text(text)
    ledger.close()
    return tmp_path / "home"


def test_what_is_removed_goes_with_the_garbage_and_the_rest_stays(home):
    with Client(home=home) as client:
        assert client.remove("words@1", reason="old").state == "removed"
        dry = client.collect_garbage(grace_seconds=0, dry_run=True)
        assert (dry.condemned, dry.deleted, dry.manifests_retired) == (1, 0, 1)
        client.collect_garbage(grace_seconds=0)
        assert client.collect_garbage(grace_seconds=0).listed == 2
        assert client.fsck().findings == []
        assert client.version_file("words@2", "weights.txt").read_text() == "two"
        with pytest.raises(BadInput, match="no grace period"):
            client.collect_garbage(grace_seconds=-1)


def test_what_is_held_stays_until_it_is_released(home):
    with Client(home=home) as client:
        assert client.hold("words@1", reason="case 12").held
        with pytest.raises(Conflict, match="legal hold"):
            client.erase(["words@1"], reason="request 7")
        assert not client.hold("words@1", reason="closed", release=True).held
        receipt = client.erase(["words@1"], reason="request 7")
        with pytest.raises(Erased, match=receipt.receipt):
            client.version_file("words@1", "weights.txt")
        assert client.fsck().findings == []
        assert {check.name: check.state for check in client.doctor().checks}["artifacts"] == "ok"


def test_the_register_lies_where_the_setting_says(home, tmp_path, monkeypatch):
    monkeypatch.setenv("FOURFOLD_ERASURE_REGISTER", str(tmp_path / "register"))
    with Client(home=home) as client:
        client.erase(["words@3"], reason="request 7")
    assert [receipt.versions for receipt in read_register(tmp_path / "register")] == [("words@3",)]


def test_the_metrics_of_a_run_are_one_call_away(home, capsys, monkeypatch):
    from fourfold.application.cli import run as command

    ledger = Ledger.open(home)
    with ledger.run("train", name="words", spec={"note": "the west lamp"}, actor=Actor("k", "k", "admin")) as run:
        for step in (1, 2):
            run.point(step, {"loss": 1 / step, "rate": 0.5})
    ledger.close()
    with Client(home=home) as client:
        found = client.run_metrics(run.id)
        assert (found.metrics["loss"].steps, found.metrics["loss"].values) == ([1, 2], [1.0, 0.5])
        assert list(client.run_metrics(run.id, name="rate").metrics) == ["rate"]
        with pytest.raises(NotFound, match="Did you mean 'loss'"):
            client.run_metrics(run.id, name="los")
        with pytest.raises(NotFound):
            client.run_metrics("run_none")
        assert client.run_log(run.id).lines == []
    monkeypatch.setenv("FOURFOLD_HOME", str(home))
    assert command(("runs", "metrics", run.id, "--name", "loss")) == 0
    assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()[1:]] == [["loss", "1", "1"], ["loss", "2", "0.5"]]
    assert command(("runs", "log", run.id)) == 0
    assert "Nothing was logged." in capsys.readouterr().out
    assert command(("runs", "--text", "west lamp")) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == [run.id]
    assert command(("versions", "--text", "words", "--where", "number = 2")) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["words@2"]


def test_only_an_admin_may(home):
    from fourfold.application.platform import Platform
    from fourfold.core.config import Settings

    ledger = Ledger.open(home)
    platform = Platform(ledger, Actor("k", "dev", "developer"), Settings())
    for act in (platform.collect_garbage, platform.fsck):
        with pytest.raises(NotPermitted):
            act()
    with pytest.raises(NotPermitted):
        platform.erase(["words@1"], reason="")
    ledger.close()


def test_the_commands(home, capsys, monkeypatch):
    from fourfold.application.cli import run

    monkeypatch.setenv("FOURFOLD_HOME", str(home))

    def call(*words: str) -> int:
        return run(words)

    assert call("remove", "words@1", "--reason", "old") == 0
    assert call("hold", "words@2", "--reason", "case 12") == 0
    assert call("erase", "words@3", "--reason", "request 7") == 0
    assert call("collect-garbage", "--dry-run") == 0
    assert call("fsck") == 0
    assert "All is well" in capsys.readouterr().out
    (blob,) = (path for path in (home / "blobs").rglob("*") if path.is_file() and path.read_bytes() == b"two")
    blob.unlink()
    assert call("fsck") == 1


def test_nothing_of_an_erased_dataset_lies_in_what_killed_work_left(home, tmp_path):
    secret = "a text of somebody who wants to be forgotten"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(secret)
    with Client(home=home) as client:
        letters = client.collect("letters", {"files": {"path": str(tmp_path / "in")}})
        ledger = client._transport.ledger  # type: ignore[attr-defined]
        with workspace(home, "running") as running:
            (running / "part").write_text("of another")
            left = running.with_name("killed")
            left.mkdir()
            (left / "part").write_text(secret)
            state = state_folder(home, "letters", ledger.find_run(letters.run_id).spec["source"])
            state.mkdir(parents=True)
            (state / "body").write_text(secret)
            client.erase(["letters@1"], reason="request 9")
            assert (running / "part").read_text() == "of another"  # work that goes on is left alone
        assert not left.exists()
        assert not state.exists()
    holding = [path for path in home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert holding == []


def test_what_is_removed_or_erased_is_shown_as_that(home, capsys, monkeypatch):
    from fourfold.application.cli import run

    with Client(home=home) as client:
        client.remove("words@1", reason="old")
        client.hold("words@2", reason="case 12")
        receipt = client.erase(["words@3"], reason="request 7").receipt
        assert client.versions().ended == {"words@1": "removed", "words@3": f"erased {receipt}"}
        shown = client.show("words@3").value
        assert (shown.state, shown.receipt, shown.held, shown.files) == ("erased", receipt, False, [])
        assert (client.version("words@1").state, client.version("words@1").receipt) == ("removed", "")
        assert (client.version("words@2").state, client.version("words@2").held) == ("kept", True)
    monkeypatch.setenv("FOURFOLD_HOME", str(home))
    assert run(("versions",)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("words@1")] == ["removed"]
    assert [line.split()[-2:] for line in lines if line.startswith("words@3")] == [["erased", receipt]]
    assert run(("show", "words@3")) == 0
    assert f"receipt: {receipt}" in capsys.readouterr().out
