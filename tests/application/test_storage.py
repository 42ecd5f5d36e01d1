"""Stores by the SDK and by the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fourfold.application.cli import run as typed
from fourfold.application.client import Client
from fourfold.core.errors import BadInput, BadSpec, NotFound
from fourfold.core.nouns import Actor
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with two versions."""
    ledger = Ledger.open(tmp_path / "home")
    for content in ("first", "second"):
        with ledger.run("train", kind="model", name="words", spec={}, actor=OWNER) as run:
            (run.folder / "weights.txt").write_text(content)
    ledger.close()
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    with Client(home=home) as opened:
        yield opened


def test_a_store_from_adding_to_removing(client: Client, home: Path, tmp_path: Path) -> None:
    settings = {"folder": str(tmp_path / "archive"), "key_file": str(tmp_path / "archive.key")}
    kept = client.add_store("archive", "local", settings=settings, acknowledgements=2)
    assert (kept.chunks, kept.copied, kept.lost) == (2, 2, 0)
    assert oct((tmp_path / "archive.key").stat().st_mode & 0o777) == "0o600"
    found = client.storage()
    assert found.acknowledgements == 2
    assert [(s.name, s.state, s.sealed, s.chunks, s.stored_bytes) for s in found.stores] == [
        ("home", "active", False, 2, 11), ("archive", "active", True, 2, 11),
    ]  # fmt: skip
    assert [(n.name, n.versions, n.size_bytes) for n in found.names] == [("words", 2, 11)]
    blob = next(path for path in (home / "blobs").glob("??/*") if path.read_text() == "first")
    blob.chmod(0o644)
    blob.write_text("f1rst")
    assert client.scrub_store("home").copied == 1
    assert client.storage().stores[0].scrubbed_at is not None
    assert client.move_to_store("archive", older_than_days=0).chunks == 2
    assert client.storage().stores[0].chunks == 0
    assert client.remove_store("archive").copied == 2
    assert [s.name for s in client.storage().stores] == ["home"]


def test_what_cannot_be_added(client: Client, home: Path) -> None:
    with pytest.raises(BadInput, match="outside the home"):
        client.add_store("b", "local", settings={"folder": str(home / "blobs")})
    with pytest.raises(BadSpec, match="no setting 'secret'"):
        client.add_store("b", "s3", settings={"url": "s3://b", "secret": "hunter2"})
    with pytest.raises(BadInput, match="is no bucket"):
        client.add_store("b", "s3", settings={"url": "https://b"})
    with pytest.raises(NotFound, match="no store 'b'"):
        client.remove_store("b")
    assert [s.name for s in client.storage().stores] == ["home"]


def test_the_command(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> str:
        assert typed(["storage", *words, "--home", str(home)]) == 0
        return capsys.readouterr().out

    assert "1 of 1 stores acknowledge" in run()
    assert "2 copied" in run("add", "archive", "--kind", "local", "--set", f"folder={tmp_path / 'archive'}")
    assert [s["name"] for s in json.loads(run("list", "--json"))["stores"]] == ["home", "archive"]
    assert "0 repaired" in run("scrub", "archive")
    assert "2 chunks" in run("move", "archive", "--older-than-days", "0")
    assert "2 copied back" in run("remove", "archive")
    assert typed(["storage", "scrub", "archive", "--home", str(home)]) == 4
