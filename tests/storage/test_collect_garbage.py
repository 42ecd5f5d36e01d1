"""Garbage collection: what no row keeps goes in two phases; what a row or a living publish needs never does."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from fourfold.core.errors import Conflict, NotFound
from fourfold.core.fingerprint import digest_bytes
from fourfold.core.nouns import Actor
from fourfold.storage import guard, schema, states
from fourfold.storage.collect_garbage import collect_garbage
from fourfold.storage.fsck import fsck

OWNER = Actor("key_owner", "owner", "admin")
LATER = 86_400 * 2


def collect(ledger, now, **settings):
    return collect_garbage(ledger, actor=OWNER, now=now, **settings)


def stray(ledger, text="stray"):
    """What a publish that died leaves: a chunk that no row names."""
    digest = digest_bytes(text.encode())
    ledger.blobs.put(digest, text.encode())
    return digest


def test_a_stray_chunk_is_condemned_and_deleted_after_the_grace_period(ledger, publish):
    kept = publish(content="kept")
    digest = stray(ledger)
    first = collect(ledger, 1000.0)
    assert (first.condemned, first.deleted, first.waiting, first.kept) == (1, 0, 1, 1)
    assert collect(ledger, 1000.0 + 86_399).deleted == 0
    assert ledger.blobs.has(digest)
    last = collect(ledger, 1000.0 + 86_401)
    assert (last.deleted, last.deleted_bytes) == (1, 5)
    assert not ledger.blobs.has(digest)
    assert (ledger.materialise(kept) / "weights.txt").read_text() == "kept"
    assert fsck(ledger) == []


def test_a_dry_run_says_what_and_why_and_changes_nothing(ledger):
    digest = stray(ledger)
    sweep = collect(ledger, 1000.0, dry_run=True)
    assert [(g.chunk, g.fate, g.reason) for g in sweep.chunks] == [(digest, "condemned", "no version and no record keeps it")]
    with ledger.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.condemned)).scalar() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.audit)).scalar() == 0


def test_a_listing_that_fails_ends_the_run_with_nothing_condemned(ledger, monkeypatch):
    stray(ledger)
    stray(ledger, "second")

    def broken(self):
        yield digest_bytes(b"stray"), 5
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(ledger.blobs), "digests", broken)
    with pytest.raises(OSError, match="Input/output"):
        collect(ledger, 1000.0)
    with ledger.database.read() as connection:
        assert connection.execute(sa.select(schema.condemned)).all() == []


def test_a_living_lease_spares_what_was_condemned_after_it_began(ledger):
    with ledger.write() as connection:
        guard.take(connection, "run_other", seconds=10 * LATER)
    digest = stray(ledger)
    collect(ledger, 1000.0)
    sweep = collect(ledger, 1000.0 + LATER)
    assert sweep.deleted == 0
    assert sweep.chunks[0].reason == "a publish or backup that began before it was condemned is still running"
    with ledger.write() as connection:
        guard.release(connection, "run_other")
    assert collect(ledger, 1000.0 + LATER).deleted == 1
    assert not ledger.blobs.has(digest)


def test_publishing_a_condemned_chunk_revives_it(ledger, publish):
    stray(ledger, "hello")
    collect(ledger, 1000.0)
    version = publish(content="hello")
    assert collect(ledger, 1000.0 + LATER).deleted == 0
    assert (ledger.materialise(version) / "weights.txt").read_text() == "hello"


def test_a_chunk_deleted_between_store_and_commit_is_stored_again(ledger, publish, monkeypatch):
    digest = stray(ledger, "hello")
    collect(ledger, 1000.0)
    finish, times = type(ledger)._finish, []

    def late(self, row, open_run, change):
        if not times:
            times.append(1)
            assert collect(ledger, 1000.0 + LATER).deleted == 1  # condemned before this publish's lease began
            assert not ledger.blobs.has(digest)
        return finish(self, row, open_run, change)

    monkeypatch.setattr(type(ledger), "_finish", late)
    version = publish(content="hello")
    assert (ledger.materialise(version) / "weights.txt").read_text() == "hello"
    assert fsck(ledger) == []


def test_a_publish_whose_lease_was_taken_away_stores_again(ledger, publish, monkeypatch):
    finish, times = type(ledger)._finish, []

    def late(self, row, open_run, change):
        if not times:
            times.append(1)
            with ledger.write() as connection:
                guard.release(connection, row.id)
            (ledger.home / "blobs").joinpath(digest_bytes(b"hello")[:2], digest_bytes(b"hello")[2:]).unlink()
        return finish(self, row, open_run, change)

    monkeypatch.setattr(type(ledger), "_finish", late)
    publish(content="hello")
    assert fsck(ledger) == []


def test_a_removed_versions_files_go_and_its_row_stays(ledger, publish):
    version, other = publish(content="old"), publish(content="new")
    with ledger.write() as connection:
        states.remove(connection, version, "owner", "too old")
    with pytest.raises(NotFound, match="words@1 was removed"):
        ledger.materialise(version)
    collect(ledger, 1000.0)
    assert collect(ledger, 1000.0 + LATER).deleted == 1
    assert ledger.version("words@1").id == version.id
    assert fsck(ledger) == []
    again = publish(content="old")
    assert (ledger.materialise(again) / "weights.txt").read_text() == "old"
    assert (ledger.materialise(other) / "weights.txt").read_text() == "new"


def test_what_something_points_at_is_not_removed(ledger, publish):
    data = publish("tickets", "rows", kind="dataset")
    model = publish("words", "weights", inputs=(data,))
    ledger.move_alias(model, "production", actor=OWNER)
    with pytest.raises(Conflict, match="words@1 was made from tickets@1"), ledger.write() as connection:
        states.remove(connection, data, "owner", "")
    with pytest.raises(Conflict, match="is words@production"), ledger.write() as connection:
        states.remove(connection, model, "owner", "")
    free = publish(content="free")
    with ledger.write() as connection:
        states.hold(connection, free, "owner", "case 12")
    with pytest.raises(Conflict, match="legal hold"), ledger.write() as connection:
        states.remove(connection, free, "owner", "")
    with ledger.write() as connection:
        states.release_hold(connection, free, "owner", "closed")
        states.remove(connection, free, "owner", "")
