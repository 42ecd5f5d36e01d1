"""Versions, runs, aliases: numbered without gaps, failed without traces, moved with history."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from fourfold.core.errors import BadInput, Conflict, Corrupt, NotFound, StorageFull
from fourfold.core.nouns import Actor
from fourfold.storage import artifacts, schema, versions
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")
PUBLISHER = """
import sys
from pathlib import Path
from fourfold.core.nouns import Actor
from fourfold.storage.ledger import Ledger

home, url, process, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
ledger = Ledger.open(home, url=url)
for number in range(count):
    with ledger.run("train", kind="model", name="words", spec={}, actor=Actor("key", "key", "admin")) as run:
        (run.folder / "weights.txt").write_text(f"{process} {number}")
ledger.close()
"""


def test_a_version_keeps_its_files_and_its_meta(ledger, publish):
    data = publish("tickets", "rows", kind="dataset", rows=3)
    model = publish("words", "weights", inputs=(data,), family="crf")
    assert (data.ref, model.ref) == ("tickets@1", "words@1")
    assert (ledger.materialise(model) / "weights.txt").read_text() == "weights"
    assert ledger.version("words").meta == {"family": "crf"}
    assert [v.ref for v in ledger.inputs(model)] == ["tickets@1"]
    assert [v.ref for v in ledger.outputs(data)] == ["words@1"]


def test_sixteen_publishers_leave_no_gap_and_no_duplicate(tmp_path, database_url):
    """50 versions each: 1 to 800."""
    home, processes, each = tmp_path / "home", 16, 50
    command = [sys.executable, "-c", PUBLISHER, str(home), database_url]
    running = [subprocess.Popen([*command, str(p), str(each)], stderr=subprocess.PIPE, text=True) for p in range(processes)]
    errors = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * processes, "".join(errors)
    ledger = Ledger.open(home, url=database_url)
    numbers = [v.number for v in ledger.versions(name="words", limit=1000)]
    assert sorted(numbers) == list(range(1, processes * each + 1))
    assert ledger.verify_audit()[0] == processes * each
    ledger.close()


def test_a_failed_run_keeps_its_error_and_leaves_no_version(ledger):
    with pytest.raises(BadInput), ledger.run("train", kind="model", name="words", spec={}, actor=OWNER) as run:
        (run.folder / "half.txt").write_text("half")
        raise BadInput("The data has no rows.", hint="Collect some.")
    (failed,) = ledger.runs()
    assert (failed.state, failed.error, failed.version) == ("failed", "The data has no rows. Collect some.", None)
    assert ledger.versions() == []
    assert not list((ledger.home / "work").iterdir())
    with pytest.raises(NotFound):
        ledger.version("words")


def test_an_interrupted_run_is_told_apart(ledger):
    with pytest.raises(KeyboardInterrupt), ledger.run("train", kind="model", name="words", spec={}, actor=OWNER):
        raise KeyboardInterrupt
    assert ledger.runs()[0].error == "Interrupted."


def test_the_run_of_a_killed_process_is_swept(tmp_path, database_url):
    home = tmp_path / "home"
    Ledger.open(home, url=database_url).close()
    killed = f"""
import time
from pathlib import Path
from fourfold.core.nouns import Actor
from fourfold.storage.ledger import Ledger
ledger, actor = Ledger.open(Path({str(home)!r}), url={database_url!r}), Actor("k", "k", "admin")
with ledger.run("train", kind="model", name="w", spec={{}}, actor=actor):
    print("open", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", killed], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    ledger = Ledger.open(home, url=database_url)
    assert ledger.sweep() == []  # it lives
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (swept,) = ledger.sweep()
    assert ledger.find_run(swept).state == "failed"
    assert not list((home / "work").iterdir())
    ledger.close()


def test_what_a_run_does_also_happens_with_its_version_or_not_at_all(ledger):
    def broken(connection: sa.Connection) -> None:
        raise Conflict("no")

    with pytest.raises(Conflict), ledger.run("train", kind="model", name="words", spec={}, actor=OWNER) as run:
        (run.folder / "weights.txt").write_text("w")
        run.also(broken)
    assert ledger.versions() == []
    assert ledger.runs()[0].state == "failed"


def test_a_name_belongs_to_one_kind(ledger, publish):
    publish("words", kind="model")
    with pytest.raises(Conflict, match="words is a model"):
        publish("words", kind="dataset")


@pytest.mark.parametrize("name", ["", "a/b", "../x", "-x", "a b", "x" * 101, "a@b"])
def test_a_bad_name_is_refused_before_anything_is_made(ledger, name):
    with pytest.raises(BadInput, match="is no name"), ledger.run("train", kind="model", name=name, spec={}, actor=OWNER):
        pass
    assert ledger.runs() == []


def test_versions_are_found_by_number_alias_id_and_digest(ledger, publish):
    first, second = publish(content="1"), publish(content="2")
    ledger.move_alias(first, "production", actor=OWNER)
    refs = ["words@1", "words@production", first.id, first.digest, first.digest[:12]]
    assert {ledger.version(ref).id for ref in refs} == {first.id}
    assert ledger.version("words").id == second.id


def test_an_unknown_version_is_told_with_the_closest_name(ledger, publish):
    publish("support-intents")
    with pytest.raises(NotFound, match="Did you mean 'support-intents'"):
        ledger.version("suport-intents@1")
    with pytest.raises(NotFound, match="numbers 1 to 1"):
        ledger.version("support-intents@7")


def test_an_alias_moves_with_its_history(ledger, publish):
    first, second = publish(content="1"), publish(content="2")
    ledger.move_alias(first, "production", actor=OWNER, reason="first")
    ledger.move_alias(second, "production", actor=OWNER, reason="better")
    assert ledger.aliases() == {"words@production": "words@2"}
    moves = [(m.from_version, m.to_version, m.reason) for m in ledger.alias_moves("words")]
    assert moves == [(None, "words@1", "first"), ("words@1", "words@2", "better")]
    with pytest.raises(BadInput, match="numbers are versions"):
        ledger.move_alias(first, "3", actor=OWNER)


def test_pages_go_through_everything_once(ledger, publish):
    for number in range(7):
        publish(content=str(number))
    seen, before = [], None
    while page := ledger.versions(limit=3, before=before):
        seen += [v.number for v in page]
        before = page[-1].id
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_an_equal_run_is_found_again(ledger, publish):
    data = publish("tickets", "rows", kind="dataset")
    made = publish("words", "weights", inputs=(data,))
    assert ledger.made_before("words", "train", {"content": "weights"}, [data]) == made
    assert ledger.made_before("words", "train", {"content": "other"}, [data]) is None
    assert ledger.made_before("other", "train", {"content": "weights"}, [data]) is None


def test_equal_content_is_stored_once(ledger, publish):
    first, second = publish(content="same"), publish(content="same")
    assert first.digest == second.digest
    with ledger.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.manifest)).scalar() == 1


def test_a_full_disk_leaves_nothing_half_made(ledger, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts, "_store_file", full)
    with (
        pytest.raises(StorageFull, match="No space left"),
        ledger.run("train", kind="model", name="w", spec={}, actor=OWNER) as run,
    ):
        (run.folder / "weights.txt").write_text("w")
    assert ledger.versions() == []
    assert ledger.runs()[0].state == "failed"


def test_keys_are_kept_as_hashes_and_close_for_good(ledger):
    key, token = ledger.create_key("laptop", "reader", actor="owner", expires_at=time.time() + 60)
    assert token not in repr(ledger.keys())
    assert ledger.find_key(token) == key
    assert key.alive(time.time())
    assert not key.alive(time.time() + 61)
    revoked = ledger.revoke_key(key.id, actor="owner")
    assert not revoked.alive(time.time())
    assert ledger.revoke_key(key.id, actor="owner") == revoked
    assert ledger.find_key("ff_unknown") is None
    with pytest.raises(NotFound):
        ledger.revoke_key("key_none", actor="owner")


def test_the_stamp_changes_with_keys(ledger):
    stamps = [ledger.stamp()]
    key, _ = ledger.create_key("laptop", "reader", actor="owner")
    stamps.append(ledger.stamp())
    ledger.revoke_key(key.id, actor="owner")
    stamps.append(ledger.stamp())
    assert len(set(stamps)) == 3


def test_segments_are_kept_and_repeating_is_harmless(ledger, tmp_path):
    file = tmp_path / "a.parquet"
    file.write_bytes(b"rows")
    for _ in range(2):
        segment = ledger.add_segment(file, name="0-000001", front=0, rows=4, first_at=1.0, last_at=2.0)
    assert ledger.segments() == [segment]
    assert ledger.open_segment("0-000001").read_bytes() == b"rows"
    with pytest.raises(NotFound):
        ledger.open_segment("0-000002")


def test_a_home_that_cannot_be_one(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(BadInput, match="cannot be a home"):
        Ledger.open(file)


def test_a_ledger_that_is_no_database(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    Path(home / "ledger.sqlite").write_text("this is not a database, however long it may be" * 10)
    with pytest.raises(BadInput, match="not a SQLite database"):
        Ledger.open(home)


def test_a_ledger_that_is_damaged(tmp_path):
    whole = Ledger.open(tmp_path / "home", url=f"sqlite:///{tmp_path / 'other.sqlite'}")
    whole.close()
    content = bytearray((tmp_path / "other.sqlite").read_bytes())
    content[100:600] = bytes(500)  # the first page, behind the header
    (tmp_path / "other.sqlite").write_bytes(content)
    with pytest.raises(Corrupt, match="is damaged"):
        Ledger.open(tmp_path / "home", url=f"sqlite:///{tmp_path / 'other.sqlite'}")


def test_a_page_of_a_name_sorts_nothing(ledger, publish):
    """The newest of 100,000 versions are found by an index; pages of a name meet without gap or repetition."""
    numbers = [publish("a", f"{n}").number for n in range(5)]
    publish("b")
    first = ledger.versions(name="a", limit=2)
    rest = ledger.versions(name="a", limit=9, before=first[-1].id)
    assert [version.number for version in first + rest] == numbers[::-1]
    assert [version.ref for version in ledger.versions(limit=2)] == ["b@1", "a@5"]
    if ledger.database.engine.dialect.name == "sqlite":
        with ledger.database.read() as connection:
            said: list[str] = []
            connection.connection.set_trace_callback(said.append)
            versions.page(connection, name="a", kind="model", limit=2, before=None)
            connection.connection.set_trace_callback(None)
            plan = str(connection.exec_driver_sql(f"explain query plan {said[-1]}").all())
        assert "USING INDEX" in plan and "TEMP B-TREE" not in plan
