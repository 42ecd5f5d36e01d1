"""A home with chunks on three-node S3: with one node dead it goes on, with two it refuses, and nothing is half there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.faults.swift import ACCESS_KEY, SECRET_KEY, Swift

from fourfold.core.errors import FourfoldError
from fourfold.core.nouns import Actor, Version
from fourfold.storage import schema, store_rows
from fourfold.storage.ledger import Ledger

ACTOR = Actor("cli", "cli", "admin")


@pytest.fixture
def on_s3(tmp_path: Path, swift: Swift, s3_bucket: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A home whose publishes count once the folder and the bucket have them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    settings = {"url": f"s3://{s3_bucket['bucket']}", "endpoint": swift.url, "timeout_seconds": 5.0}
    opened = Ledger.open(tmp_path / "home")
    with opened.write() as connection:
        store_rows.insert(connection, "cli", "archive", "s3", settings)
        store_rows.note(connection, "archive", state="active")
        store_rows.set_acknowledgements(connection, "cli", 2)
    opened.close()
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


def publish(ledger: Ledger, text: str) -> Version:
    with ledger.run("train", kind="model", name="words", spec={"text": text}, actor=ACTOR) as run:
        (run.folder / "a.txt").write_text(text * 1000)
        (run.folder / "b.txt").write_text(text * 2000)
    assert run.version is not None
    return run.version


def read(ledger: Ledger, version: Version) -> str:
    """The text of a version as the bucket has it: the home's own copies are lost."""
    for folder in ("blobs", "cache"):
        shutil.rmtree(ledger.home / folder, ignore_errors=True)
    (ledger.home / "blobs").mkdir()
    return (ledger.materialise(version) / "a.txt").read_text()


def test_one_of_three_nodes_dead_and_then_two(on_s3: Ledger, swift: Swift) -> None:
    before = publish(on_s3, "before")
    swift.kill(2)
    during = publish(on_s3, "during")
    assert read(on_s3, before) == "before" * 1000
    assert read(on_s3, during) == "during" * 1000
    swift.kill(1)
    with pytest.raises(FourfoldError, match=r"does not answer.*503"):
        publish(on_s3, "refused")
    assert [version.ref for version in on_s3.versions()] == [during.ref, before.ref]
    with on_s3.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.manifest)).scalar() == 2
    assert on_s3.runs(limit=1)[0].state == "failed"
    swift.whole()
    later = Ledger.open(on_s3.home)  # which has not seen the bucket refuse
    again = publish(later, "refused")
    assert again.number == 3
    assert read(later, again) == "refused" * 1000
    later.close()
