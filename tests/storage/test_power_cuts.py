"""The power goes under a process at any change of a file, of SQLite's files too: what was acknowledged is there, and whole."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.power import Change, File, Machine, compiled, recorded, torn, written

from fourfold.core.errors import FourfoldError
from fourfold.core.nouns import Actor
from fourfold.storage import erase
from fourfold.storage.collect_garbage import collect_garbage
from fourfold.storage.fsck import fsck
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where homes are: in memory, where that is possible."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.fixture
def changes(folder: Path) -> list[Change]:
    library = compiled(folder)
    if library is None:
        pytest.skip("there is no C compiler (g++)")
    return recorded(library, folder / "home", "tests.storage.power_acts")


def examine(folder: Path, machine: Machine, seed: int) -> None:
    """Start again on a disk that may be left, and look whether all that was acknowledged is there; then go on working."""
    home = folder / "again"
    machine.restart(home, seed)
    ledger = Ledger.open(home)
    ledger.sweep()
    erase.replay_register(ledger)
    assert fsck(ledger) == []
    said = [line.split() for line in machine.marks]
    erasing = {words[1] for words in said if words[0] == "erasing"}
    for what, ref, *digest in (words for words in said if len(words) > 1):
        if what == "published" and ref not in erasing:
            version = ledger.version(ref)
            assert [version.digest] == digest
            assert (ledger.materialise(version) / "model.safetensors").is_file()
        if what == "erased":
            with pytest.raises(FourfoldError, match="erased"):
                ledger.materialise(ledger.version(ref))
        if what == "moved":
            assert ledger.aliases() == {"words@production": ref}
    with ledger.run("train", kind="model", name="words", spec={}, actor=OWNER) as run:
        (run.folder / "a.txt").write_text("after the cut")
    assert run.version.number > sum(words[0] == "published" for words in said)
    for _ in range(2):
        collect_garbage(ledger, actor=OWNER, grace_seconds=0)
    assert fsck(ledger) == []
    ledger.verify_audit()
    ledger.close()
    shutil.rmtree(home)


def cut(folder: Path, changes: list[Change], each: int, seeds: int, *, first: int = 0) -> int:
    """Cut the power after every so manieth change from the `first` on, and examine so many disks of each; how many in all."""
    machine, examined = Machine(folder), 0
    for number, change in enumerate(changes):
        machine.do(change)
        if number >= first and number % each == each - 1:
            for seed in range(seeds):
                examine(folder, machine, number * seeds + seed)
                examined += 1
    return examined


def test_some_power_cuts_of_a_whole_process_lose_nothing(folder, changes):
    assert any(change.what == "write" and change.path.endswith("ledger.sqlite") for change in changes)
    assert any(change.what == "sync" and change.path.endswith(("-journal", "-wal")) for change in changes)
    assert [change.data.decode() for change in changes if change.what == "mark"][-1] == "moved words@3"
    assert cut(folder, changes, len(changes) // 24, 1) >= 24


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_power_cut_at_every_change_of_a_file_loses_nothing(folder, changes):
    examined = cut(folder, changes, 1, 2)
    print(f"{len(changes)} changes, {examined} disks after a power cut, nothing lost")
    assert examined >= 500


@pytest.mark.parametrize("forgotten", ["ledger.sqlite", "/blobs/"])
def test_a_missing_sync_is_found(folder, changes, forgotten):
    without = [change for change in changes if change.what != "sync" or forgotten not in change.path]
    assert len(without) < len(changes)
    published = [change.data.startswith(b"published") for change in without].index(True)  # from here on there is what to lose
    with pytest.raises((AssertionError, FourfoldError)):
        cut(folder, without, 3, 2, first=published)


def test_writes_are_torn_and_truncations_played_back():
    first, second = Change("write", 1, 0, b"a" * 1024, "", ""), Change("write", 1, 512, b"b" * 1024, "", "")
    assert written(written(b"", first), second) == b"a" * 512 + b"b" * 1024
    assert written(b"abc", Change("truncate", 1, 5, b"", "", "")) == b"abc\0\0"
    assert written(b"abc", Change("truncate", 1, 1, b"", "", "")) == b"a"
    found = {torn(File(b"old", b"", [first]), random.Random(seed)) for seed in range(200)}
    assert {b"old", b"a" * 1024, b"a" * 512} <= found
    assert len(found) > 4  # and blocks of rubbish
