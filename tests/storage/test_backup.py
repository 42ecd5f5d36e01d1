"""Backups: what is restored equals what was there, every flipped byte is found, and an interrupted one harms no other."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import obstore
import pytest
import sqlalchemy as sa
from obstore.store import MemoryStore
from tests.storage.conftest import OWNER

from fourfold.core.errors import BadInput, Conflict, Corrupt, FourfoldError, NotFound
from fourfold.storage import backup, encrypt, restore, schema
from fourfold.storage.backup import Place, back_up
from fourfold.storage.ledger import Ledger
from fourfold.storage.shelf import FolderShelf, ObjectShelf, open_shelf


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


def files_of(home: Path, ref: str) -> dict[str, str]:
    ledger = Ledger.open(home)
    try:
        folder = ledger.materialise(ledger.version(ref))
        return {path.name: path.read_text() for path in folder.iterdir()}
    finally:
        ledger.close()


def test_a_restored_home_holds_what_was_backed_up(ledger, publish, place, tmp_path):
    publish("words", "hello")
    newest = publish("words", "again", inputs=(publish("data", "rows", kind="dataset"),))
    (ledger.home / "requests" / "open").mkdir(parents=True)
    (ledger.home / "requests" / "salt").write_bytes(b"s" * 32)
    (ledger.home / "requests" / "salt").chmod(0o600)
    (ledger.home / "requests" / "open" / "1-1.log").write_bytes(b"records")
    (ledger.home / "fourfold.toml").write_text('database = "postgresql://me:secret@host/db"\nport = 8045\n')
    made = back_up(ledger, str(place), actor="key_owner")
    publish("words", "after the backup")
    restored = restore.restore(str(place), tmp_path / "elsewhere" / "restored")
    assert (restored.backup, restored.versions) == (made.id, 3)
    home = tmp_path / "elsewhere" / "restored"
    assert files_of(home, "words") == {"weights.txt": "again"}
    assert (home / "requests" / "salt").read_bytes() == b"s" * 32
    assert (home / "requests" / "salt").stat().st_mode & 0o777 == 0o600
    assert (home / "requests" / "open" / "1-1.log").read_bytes() == b"records"
    assert (home / "fourfold.toml").read_text() == "port = 8045\n"
    again = Ledger.open(home)
    assert again.version("words") == newest
    assert [v.ref for v in again.inputs(newest)] == ["data@1"]
    assert again.verify_audit()[0] > 0
    again.close()
    assert b"secret" not in b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())


def test_the_next_backup_adds_only_what_is_new(ledger, publish, place):
    publish("words", "hello" * 400_000)
    first = back_up(ledger, str(place), actor="key_owner")
    second = back_up(ledger, str(place), actor="key_owner")
    assert second.new_bytes <= first.new_bytes - 2_000_000  # what is left are pages of the ledger
    assert [b.id for b in backup.backups(ledger)] == [second.id, first.id]
    assert Place(str(place)).ids() == [first.id, second.id]


def test_every_flipped_byte_and_every_missing_file_is_found(ledger, publish, place, tmp_path):
    publish("words", "hello")
    (ledger.home / "requests").mkdir()
    (ledger.home / "requests" / "salt").write_bytes(b"s" * 32)
    back_up(ledger, str(place), actor="key_owner")
    restore.verify(ledger, str(place))
    found = 0
    for path in sorted(path for path in place.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for at in {0, len(whole) // 2, len(whole) - 1}:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            if path.name == backup.MARKER and at == len(whole) - 1:
                continue  # the newline behind the marker's JSON
            with pytest.raises(FourfoldError):
                restore.restore(str(place), tmp_path / "never")
            found += 1
        path.unlink()
        with pytest.raises(FourfoldError):
            restore.restore(str(place), tmp_path / "never")
        path.write_bytes(whole)
    assert found > 10 and not (tmp_path / "never").exists()
    assert not list(tmp_path.glob(".never*"))


def test_what_verification_finds_is_remembered_and_the_next_backup_repairs_it(ledger, publish, place):
    version = publish("words", "hello")
    made = back_up(ledger, str(place), actor="key_owner")
    assert backup.age_seconds(ledger) is None
    restore.verify(ledger, str(place))
    assert backup.age_seconds(ledger) >= 0
    chunk = ledger.manifest(version).files[0].chunks[0].digest
    path = place / "chunks" / chunk[:2] / chunk[2:]
    path.write_bytes(b"jello")
    with pytest.raises(Corrupt, match=chunk[:16]):
        restore.verify(ledger, str(place))
    assert chunk[:16] in backup.backups(ledger)[0].problem
    assert backup.age_seconds(ledger) is None
    back_up(ledger, str(place), actor="key_owner")
    assert path.read_bytes() == b"hello"
    restore.verify(ledger, str(place), backup_id=made.id)  # the chunk is the same in both
    assert [b.problem for b in backup.backups(ledger)] == ["", ""]


def test_an_interrupted_backup_leaves_the_earlier_one(ledger, publish, place, tmp_path, monkeypatch):
    publish("words", "hello")
    first = back_up(ledger, str(place), actor="key_owner")
    publish("words", "again")
    puts = []

    def broken(self, name, data):
        puts.append(name)
        if len(puts) == 2:
            raise OSError(5, "Input/output error")
        whole(self, name, data)

    whole = FolderShelf.put
    with monkeypatch.context() as patched, pytest.raises(OSError, match="Input/output"):
        patched.setattr(FolderShelf, "put", broken)
        back_up(ledger, str(place), actor="key_owner")
    assert restore.restore(str(place), tmp_path / "one").backup == first.id
    second = back_up(ledger, str(place), actor="key_owner")
    assert restore.restore(str(place), tmp_path / "two").backup == second.id
    assert not list((ledger.home / "work").iterdir())


def test_a_sealed_backup_opens_with_its_keys_only(ledger, publish, place, tmp_path):
    publish("words", "a secret text")
    keys = encrypt.create_keys(tmp_path / "keys")
    back_up(ledger, str(place), actor="key_owner", keys=keys)
    rotated = encrypt.rotate_keys(tmp_path / "keys")
    made = back_up(ledger, str(place), actor="key_owner", keys=rotated)
    assert made.key_id == rotated.current
    stored = b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())
    assert b"secret text" not in stored and b"SQLite format" not in stored and b"key_owner" not in stored
    restore.restore(str(place), tmp_path / "restored", keys=rotated)
    assert files_of(tmp_path / "restored", "words") == {"weights.txt": "a secret text"}
    with pytest.raises(Conflict, match="are sealed"):
        restore.restore(str(place), tmp_path / "never")
    with pytest.raises(NotFound, match="which this key file does not hold"):
        restore.restore(str(place), tmp_path / "never", keys=encrypt.create_keys(tmp_path / "others"))
    assert not (tmp_path / "never").exists()


def test_old_backups_go_and_the_newer_ones_stay_whole(ledger, publish, place, tmp_path):
    publish("words", "hello")
    for content in ("a", "b", "c"):
        publish("words", content)
        back_up(ledger, str(place), actor="key_owner", keep=2)
    kept = Place(str(place)).ids()
    assert len(kept) == 2
    for which in kept:
        restore.restore(str(place), tmp_path / which, backup_id=which)
    with pytest.raises(BadInput):
        back_up(ledger, str(place), actor="key_owner", keep=-1)


def test_a_damaged_home_is_not_backed_up(ledger, publish, place):
    version = publish("words", "hello")
    path = next((ledger.home / "blobs").glob(f"{version.digest[:0]}??/*"))
    path.chmod(0o644)
    path.write_bytes(b"wrong")
    with pytest.raises(Corrupt):
        back_up(ledger, str(place), actor="key_owner")
    assert Place(str(place)).ids() == []


def test_what_was_under_way_is_not_under_way_in_the_restored_home(ledger, publish, place, tmp_path):
    publish("words", "hello")
    with ledger.run("train", name="x", spec={}, actor=OWNER) as run:
        back_up(ledger, str(place), actor="key_owner")
    restored = restore.restore(str(place), tmp_path / "restored")
    assert restored.ended_runs == 1
    again = Ledger.open(tmp_path / "restored")
    found = again.find_run(run.id)
    again.close()
    assert found.state == "failed" and "under way when the backup was made" in (found.error or "")


def test_a_home_that_holds_something_is_never_restored_over(ledger, publish, place, tmp_path):
    publish("words", "hello")
    back_up(ledger, str(place), actor="key_owner")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    with pytest.raises(Conflict, match="not empty"):
        restore.restore(str(place), tmp_path / "full")
    (tmp_path / "empty").mkdir()
    assert restore.restore(str(place), tmp_path / "empty").versions == 1
    with pytest.raises(NotFound, match="no backups in"):
        restore.restore(str(tmp_path / "full"), tmp_path / "never")
    with pytest.raises(NotFound, match="no backup bkp_none"):
        restore.restore(str(place), tmp_path / "never", backup_id="bkp_none")


def test_a_bucket_is_a_place_too(ledger, publish, tmp_path, monkeypatch):
    publish("words", "hello")
    shelf = ObjectShelf(MemoryStore(), "memory:///")
    monkeypatch.setattr(backup, "open_shelf", lambda place: shelf)
    for content in ("a", "b"):
        publish("words", content)
        back_up(ledger, "memory:///", actor="key_owner", keep=1)
    assert restore.restore("memory:///", tmp_path / "restored").versions == 3
    assert obstore.list(shelf._store, prefix="backups").collect()[0]["path"].startswith("backups/bkp_")
    with pytest.raises(NotFound):
        shelf.get("chunks/none")
    shelf.remove("chunks/none")
    monkeypatch.undo()
    assert isinstance(open_shelf("memory:///"), ObjectShelf)
    with pytest.raises(BadInput, match="no place"):
        open_shelf("nonsense://x")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="no folder"):
        open_shelf(str(tmp_path / "file"))


def test_one_backup_at_a_time(ledger, publish, place):
    publish("words", "hello")
    with backup._alone(ledger.home), pytest.raises(Conflict, match="under way"):
        back_up(ledger, str(place), actor="key_owner")


def test_a_backup_lacking_a_chunk_that_its_ledger_names_is_refused(ledger, publish, place, tmp_path):
    """A record that was written by a program with a fault: its list is short."""
    publish("words", "hello")
    back_up(ledger, str(place), actor="key_owner")
    opened = Place(str(place))
    record = opened.record()
    empty = backup.digest_bytes(b"")
    opened.put(empty, b"")
    short = backup.Record(**{name: getattr(record, name) for name in record.__struct_fields__} | {"wanted": (empty,)})
    opened.write(short)
    with pytest.raises(Corrupt, match="lacks 1 chunks"):
        restore.restore(str(place), tmp_path / "never")


def test_the_ledger_of_a_backup_is_plain_sqlite(ledger, publish, place, tmp_path):
    """Read by SQLite alone, joined by hand from the pieces that the record names."""
    publish("words", "hello")
    back_up(ledger, str(place), actor="key_owner")
    opened = Place(str(place))
    (tmp_path / "x.sqlite").write_bytes(b"".join(opened.join(opened.record().database)))
    connection = sqlite3.connect(tmp_path / "x.sqlite")
    assert connection.execute("select name, number from version").fetchall() == [("words", 1)]
    connection.close()
    shutil.rmtree(place)
    with ledger.database.read() as reading:
        assert reading.execute(sa.select(sa.func.count()).select_from(schema.backup)).scalar() == 1
