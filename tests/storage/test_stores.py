"""Several stores as one: acknowledgements, falling through, repair, and what is never spread."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from tests.storage.conftest import OWNER

from fourfold.core.errors import BadInput, BadSpec, Conflict, Corrupt, NotFound, NotReady
from fourfold.core.fingerprint import digest_bytes
from fourfold.storage import schema, store_keeping, store_rows
from fourfold.storage.blobs.local import Local
from fourfold.storage.encrypt import create_keys, key_of, read_keys, rotate_keys
from fourfold.storage.ledger import Ledger
from fourfold.storage.seal import Seal
from fourfold.storage.store_keeping import scrub
from fourfold.storage.stores import REST_SECONDS, Stores

ONE = b"the first bytes"
DIGEST = digest_bytes(ONE)


class Refusing(Local):
    """A folder that does not answer while `down`, and counts how often it was asked."""

    down, asked = False, 0

    def put(self, digest: str, data: bytes, /) -> None:
        self.asked += 1
        if self.down:
            raise NotReady("s3://archive does not answer.")
        super().put(digest, data)

    def get(self, digest: str, /) -> bytes:
        self.asked += 1
        if self.down:
            raise NotReady("s3://archive does not answer.")
        return super().get(digest)


def path_of(blobs: Local, digest: str) -> Path:
    return blobs.folder / digest[:2] / digest[2:]


def spoil(path: Path, how: str, random_: random.Random) -> None:
    """Injure a stored chunk in one of three ways."""
    data = bytearray(path.read_bytes())
    path.unlink()
    if how == "flip":
        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
    elif how == "truncate":
        del data[random_.randrange(len(data)) :]
    if how != "missing":
        path.write_bytes(bytes(data))


def right(blobs: Local, digest: str) -> bool:
    try:
        return digest_bytes(blobs.get(digest)) == digest
    except (NotFound, Corrupt):
        return False


@pytest.fixture
def two(tmp_path):
    return Local(tmp_path / "a"), Local(tmp_path / "b")


@pytest.mark.parametrize("reading", ["reads", pytest.param("scrub", marks=pytest.mark.soak)])
def test_a_thousand_corruptions_of_one_store_reach_nobody_and_are_repaired(ledger, tmp_path, reading, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody cuts the power here
    random_ = random.Random(4)
    contents = [random_.randbytes(random_.randrange(1, 400)) for _ in range(1000)]
    digests = [digest_bytes(content) for content in contents]
    a, b = Local(tmp_path / "a"), Local(tmp_path / "b")
    stores = Stores({"home": a, "b": b}, acknowledgements=2)
    with ledger.write() as connection:
        store_rows.insert(connection, "somebody", "b", "local", {})
        for content, digest in zip(contents, digests):
            stores.put(digest, content)
            connection.execute(
                schema.file_chunk.insert(), {"file": digest, "position": 0, "chunk": digest, "size_bytes": len(content)}
            )
    for digest in digests:
        spoil(path_of(random_.choice((a, b)), digest), random_.choice(("flip", "truncate", "missing")), random_)
    assert sum(not right(a, d) for d in digests) + sum(not right(b, d) for d in digests) == 1000
    if reading == "reads":
        assert [stores.get(digest) for digest in digests] == contents
        assert all(right(a, digest) for digest in digests)
        assert [b.get(digest) if right(b, digest) else None for digest in digests].count(None) > 0  # not read, not spread
        for digest, content in zip(digests, contents):
            assert not right(b, digest) or b.get(digest) == content
    found = [store_keeping.scrub(ledger.database, stores, name) for name in ("home", "b")]
    assert sum(kept.copied for kept in found) + stores.repaired == 1000
    assert sum(kept.lost for kept in found) == 0
    assert all(right(a, digest) and right(b, digest) for digest in digests)
    with ledger.database.read() as connection:
        rows = {store.name: store for store in store_rows.all_stores(connection)}
    assert all(rows[name].scrubbed_at and rows[name].scrubbed_to == "" for name in ("home", "b"))
    assert rows["b"].scrub == {**rows["b"].scrub, "chunks": 1000, "lost": 0}


def test_an_erased_chunk_is_never_repaired_back(two):
    erased: set[str] = set()
    stores = Stores({"a": two[0], "b": two[1]}, is_erased=erased.__contains__)
    stores.put(DIGEST, ONE)
    two[0].remove(DIGEST)
    erased.add(DIGEST)  # forgotten, and the second store could not be reached yet
    with pytest.raises(NotFound, match="was erased"):
        stores.get(DIGEST)
    assert not two[0].has(DIGEST)


def test_what_is_wrong_everywhere_is_corrupt_and_stays_where_it_is(two):
    stores = Stores({"a": two[0], "b": two[1]})
    stores.put(DIGEST, ONE)
    spoil(path_of(two[0], DIGEST), "flip", random.Random(1))
    spoil(path_of(two[1], DIGEST), "missing", random.Random(1))
    with pytest.raises(Corrupt):
        stores.get(DIGEST)
    assert not two[1].has(DIGEST)


def test_acknowledgements_count(tmp_path):
    now = [0.0]
    a, b = Local(tmp_path / "a"), Refusing(tmp_path / "b")
    b.down = True
    loose = Stores({"a": a, "b": b}, acknowledgements=1, clock=lambda: now[0])
    loose.put(DIGEST, ONE)
    loose.put(digest_bytes(b"2"), b"2")
    assert b.asked == 1  # left alone for a while
    now[0] += REST_SECONDS + 1
    loose.put(digest_bytes(b"3"), b"3")
    assert b.asked == 2
    strict = Stores({"a": a, "b": b}, acknowledgements=2, clock=lambda: now[0])
    with pytest.raises(NotReady, match="does not answer"):
        strict.put(digest_bytes(b"4"), b"4")
    b.down = False
    now[0] += REST_SECONDS + 1
    strict.put(digest_bytes(b"4"), b"4")
    assert b.get(digest_bytes(b"4")) == b"4"
    assert Stores({"a": a}, acknowledgements=2)._wanted() == 1


def test_it_is_a_store_like_any_other(two, tmp_path):
    stores = Stores({"a": two[0], "b": two[1]})
    (tmp_path / "file").write_bytes(ONE)
    stores.put_file(DIGEST, tmp_path / "file")
    two[1].put(digest_bytes(b"2"), b"2")
    assert stores.has(DIGEST) and stores.has(digest_bytes(b"2"))
    assert dict(stores.digests()) == {DIGEST: 15, digest_bytes(b"2"): 1}
    assert stores.link(DIGEST, tmp_path / "link")
    assert stores.free_bytes()
    stores.remove(DIGEST)
    assert not two[0].has(DIGEST) and not two[1].has(DIGEST)
    stores.close()


def add(ledger, name, **settings):
    with ledger.write() as connection:
        store_rows.insert(connection, OWNER.id, name, "local", settings)
    ledger.blobs.refresh(ledger.home, ledger.database)


def test_a_store_is_added_filled_moved_to_and_drained(ledger, publish, tmp_path):
    old, new = publish(content="cold"), publish(content="warm")
    create_keys(tmp_path / "keys")
    add(ledger, "archive", folder=str(tmp_path / "archive"), key_file=str(tmp_path / "keys"))
    later = publish(content="published meanwhile")
    kept = store_keeping.copy_to(ledger.database, ledger.blobs, "archive")
    assert (kept.chunks, kept.copied, kept.lost) == (3, 2, 0)
    digests = {v.number: ledger.manifest(v).files[0].digest for v in (old, new, later)}
    archive = ledger.blobs.opened["archive"]
    assert all(archive.get(digest) for digest in digests.values())
    assert b"cold" not in path_of(archive, digests[1]).read_bytes()

    ledger.move_alias(new, "production", actor=OWNER)
    ledger.move_alias(later, "staging", actor=OWNER)
    kept = store_keeping.move(ledger.database, ledger.blobs, "archive", older_than_days=0, actor=OWNER.id)
    assert kept.chunks == 1
    home = ledger.blobs.opened["home"]
    assert [home.has(digest) for digest in digests.values()] == [False, True, True]
    assert (ledger.materialise(old) / "weights.txt").read_text() == "cold"
    assert not home.has(digests[1])  # read from the archive, and not brought back
    store_keeping.scrub(ledger.database, ledger.blobs, "home")
    assert not home.has(digests[1])

    kept = store_keeping.drain(ledger.database, ledger.blobs, "archive", actor=OWNER.id)
    assert kept.copied == 1 and home.get(digests[1]) == b"cold"
    assert ledger.blobs.refresh(ledger.home, ledger.database) == ["home"]
    assert publish(content="after").number == 4


def test_copying_goes_on_where_it_was_stopped(ledger, publish, tmp_path, monkeypatch):
    monkeypatch.setattr(store_rows, "BATCH", 2)
    monkeypatch.setattr(store_rows.chunks, "__defaults__", (2,))
    for i in range(7):
        publish(content=f"version {i}")
    add(ledger, "b", folder=str(tmp_path / "b"))

    class Stopped(Exception):
        pass

    def stop(done, total, unit):
        if done >= 4:
            raise Stopped

    with pytest.raises(Stopped):
        store_keeping.copy_to(ledger.database, ledger.blobs, "b", progress=stop)
    kept = store_keeping.copy_to(ledger.database, ledger.blobs, "b")
    assert kept.chunks == 5  # the batch of the fourth was not noted yet, the one before was
    assert len(list(ledger.blobs.opened["b"].digests())) == 7


def test_a_publish_follows_stores_that_another_process_added(ledger, publish, tmp_path):
    with ledger.write() as connection:  # as another process would
        store_rows.insert(connection, OWNER.id, "b", "local", {"folder": str(tmp_path / "b")})
    publish(content="in both")
    assert len(list(Local(tmp_path / "b").digests())) == 1


def test_how_many_must_acknowledge_is_kept_with_the_home(ledger, tmp_path):
    with ledger.write() as connection, pytest.raises(BadInput, match="there are 1"):
        store_rows.set_acknowledgements(connection, "me", 2)
    add(ledger, "b", folder=str(tmp_path / "b"))
    with ledger.write() as connection:
        store_rows.set_acknowledgements(connection, "me", 2)
    ledger.blobs.refresh(ledger.home, ledger.database)
    assert ledger.blobs.acknowledgements == 2


def test_a_store_that_was_removed_during_a_publish_is_no_acknowledgement(ledger, tmp_path):
    add(ledger, "b", folder=str(tmp_path / "b"))
    with ledger.write() as connection:
        store_rows.unchanged(connection, ["home", "b"])
        store_rows.remove(connection, OWNER.id, "b")
        with pytest.raises(Conflict, match="Store b was removed"):
            store_rows.unchanged(connection, ["home", "b"])


def test_settings_of_stores_are_checked(ledger):
    with ledger.write() as connection:
        with pytest.raises(BadSpec, match="no setting 'secret_access_key'"):
            store_rows.insert(connection, "me", "x", "s3", {"url": "s3://b", "secret_access_key": "hunter2"})
        with pytest.raises(BadSpec, match="no kind 'tape'"):
            store_rows.insert(connection, "me", "x", "tape", {})
        with pytest.raises(Conflict, match="already"):
            store_rows.insert(connection, "me", "home", "local", {})
        with pytest.raises(NotFound, match="no store 'x'"):
            store_rows.one(connection, "x")
    for act in (store_keeping.drain, lambda *a, **k: store_keeping.move(*a, older_than_days=0, **k)):
        with pytest.raises(BadInput):
            act(ledger.database, ledger.blobs, "home", actor="me")
    with pytest.raises(NotFound, match="no store 'x'"):
        store_keeping.scrub(ledger.database, ledger.blobs, "x")


def test_a_scrub_keeps_its_rate(ledger, publish):
    for i in range(3):
        publish(content=f"{i:0100}")
    slept: list[float] = []
    store_keeping.scrub(
        ledger.database, ledger.blobs, "home", bytes_per_second=100, sleep=slept.append, clock=lambda: sum(slept)
    )
    assert sum(slept) == pytest.approx(3.0)  # 300 bytes at 100 a second


def test_a_scrub_after_the_rotation_of_keys_leaves_nothing_to_the_old_one(ledger, publish, tmp_path):
    keys = tmp_path / "keys"
    create_keys(keys)
    add(ledger, "archive", folder=str(tmp_path / "archive"), key_file=str(keys))
    for text in ("one", "two"):
        publish("words", text)
    old = read_keys(keys).current
    new = rotate_keys(keys).current
    sealed = [path for path in (tmp_path / "archive").rglob("*") if path.is_file()]
    assert {key_of(path.read_bytes()) for path in sealed} == {old}

    again = Ledger.open(ledger.home, url=str(ledger.database.engine.url.render_as_string(hide_password=False)))
    kept = scrub(again.database, again.blobs, "archive")
    assert (kept.chunks, kept.copied, kept.lost) == (2, 0, 0)
    assert {key_of(path.read_bytes()) for path in sealed} == {new}
    again.close()
    only = tmp_path / "only"
    only.write_text("".join(line for line in keys.read_text().splitlines(keepends=True) if not line.startswith(old)))
    only.chmod(0o600)
    alone = Local(tmp_path / "archive", Seal(read_keys(only)))
    assert {alone.get(digest) for digest, _ in alone.digests()} == {b"one", b"two"}
