"""A disk that is full, fails or loses power at any call of a publish: a clean error, nothing half-visible, nothing lost."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.disk import Disk, Failing, Power, PowerCut
from tests.storage.test_cutting import model

from fourfold.core.errors import FourfoldError
from fourfold.core.nouns import Actor
from fourfold.storage import cutting, erase
from fourfold.storage.collect_garbage import collect_garbage
from fourfold.storage.fsck import fsck
from fourfold.storage.ledger import Ledger

Publish = Callable[[Ledger, str], str]
OWNER = Actor("key_owner", "owner", "admin")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where homes are made: in memory, where that is possible; these tests model the disk."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def publish(ledger: Ledger, text: str) -> str:
    with ledger.run("train", kind="model", name="words", spec={}, actor=OWNER) as run:
        (run.folder / "a.txt").write_text(text * 400)
        (run.folder / "b.txt").write_text(f"{text} too" * 300)
    return run.version.ref


def publish_cut(ledger: Ledger, text: str) -> str:
    """The same with a model that is cut at its two large tensors, by as many threads as storage uses."""
    with ledger.run("train", kind="model", name="words", spec={}, actor=OWNER) as run:
        (run.folder / "a.txt").write_text(text * 400)
        (run.folder / "b.txt").write_text(f"{text} too" * 300)
        tensors = {"same": bytes(range(256)) * 8, "own": text.encode().ljust(8)[:8] * 256}
        (run.folder / "model.safetensors").write_bytes(model(tensors))
    return run.version.ref


@pytest.fixture
def cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few kilobytes are cut as large ones are."""
    monkeypatch.setattr(cutting, "TENSORS_BYTES", 1024)
    monkeypatch.setattr(cutting, "OWN_BYTES", 1024)


def test_the_model_is_cut_and_written_by_threads(ledger, cut_small, monkeypatch):
    writers = set()
    put = type(ledger.blobs).put

    def seen(*arguments: object) -> None:
        writers.add(threading.get_ident())
        put(*arguments)

    monkeypatch.setattr(type(ledger.blobs), "put", seen)
    version = ledger.version(publish_cut(ledger, "first"))
    files = {file.path: len(file.chunks) for file in ledger.manifest(version).files}
    assert files == {"a.txt": 1, "b.txt": 1, "model.safetensors": 3}  # the header, and a tensor each
    assert threading.get_ident() not in writers


def whole(home: Path, acknowledged: list[str]) -> Ledger:
    """The home, opened anew: everything that was acknowledged can be read, and nothing that is visible is damaged."""
    ledger = Ledger.open(home)
    ledger.sweep()
    assert fsck(ledger) == []
    for ref in acknowledged:
        version = ledger.version(ref)
        assert (ledger.materialise(version) / "a.txt").stat().st_size > 0
    return ledger


def fail_at(folder: Path, k: int, code: int, for_good: bool, publish: Publish = publish) -> bool:
    """Publish on a disk that fails at the k-th call; False if there are fewer calls than that."""
    home = folder / f"home-{k}-{code}-{for_good}"
    ledger = Ledger.open(home)
    acknowledged = [publish(ledger, "first")]
    failing = Failing(k, code, for_good=for_good)
    before = {v.ref for v in ledger.versions()}
    try:
        with Disk(home, failing)():
            acknowledged.append(publish(ledger, "second"))
    except (FourfoldError, OSError) as error:
        assert str(error)
        assert {v.ref for v in ledger.versions()} == before
        assert ledger.runs()[0].state == "failed"
    ledger.close()
    ledger = whole(home, acknowledged)
    assert publish(ledger, "third") == f"words@{len(acknowledged) + 1}"
    assert fsck(ledger) == []
    ledger.close()
    shutil.rmtree(home)
    return failing.struck


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["full", "failing"])
def test_a_disk_that_fails_at_the_k_th_call_of_a_publish(folder, code, for_good):
    k = 1
    while fail_at(folder, k, code, for_good):
        k += 1
    assert k > 10, "a publish makes more calls than that"


@pytest.mark.parametrize("each", [4, pytest.param(1, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["full", "failing"])
def test_a_disk_that_fails_at_the_k_th_call_of_a_publish_by_threads(folder, code, each, cut_small):
    k = 1
    while fail_at(folder, k, code, for_good=k % 2 == 0, publish=publish_cut):
        k += each
    assert k > 20, "it makes more calls than that"
    print(f"{k - 1} calls, of which every {each}. failed with {code}")


def act(ledger: Ledger, acknowledged: list[str], erased: list[str], publish: Publish) -> None:
    """What is under way when the power goes: a publish, a collection of garbage, an erasure, another publish."""
    acknowledged.append(publish(ledger, "second"))
    collect_garbage(ledger, actor=OWNER, grace_seconds=0)
    acknowledged.append(publish(ledger, "third"))
    acknowledged.remove("words@2")
    erase.erase(ledger, ["words@2"], actor="owner", reason="")
    erased.append("words@2")
    acknowledged.append(publish(ledger, "fourth"))


def cut_at(folder: Path, k: int, seeds: range, publish: Publish = publish) -> bool:
    """Cut the power at the k-th call and start again on each of the disks that may be left; False if there are fewer calls."""
    home = folder / f"home-{k}"
    ledger = Ledger.open(home)
    acknowledged, erased = [publish(ledger, "first")], []
    power = Power(home, k)
    cut = False
    try:
        with power.disk():
            act(ledger, acknowledged, erased, publish)
    except PowerCut:
        cut = True
    ledger.database.close()
    if cut:
        for seed in seeds:
            again = folder / f"again-{k}-{seed}"
            power.restart(again, seed)
            opened = Ledger.open(again)
            opened.sweep()
            erase.replay_register(opened)
            assert set(erased) <= {"words@2"}
            opened.close()
            opened = whole(again, acknowledged)
            for ref in erased:
                with pytest.raises(FourfoldError, match="erased"):
                    opened.materialise(opened.version(ref))
            publish(opened, "fifth")
            collect_garbage(opened, actor=OWNER, grace_seconds=0)
            collect_garbage(opened, actor=OWNER, grace_seconds=0)
            assert fsck(opened) == []
            opened.close()
            shutil.rmtree(again)
    shutil.rmtree(home)
    return cut


def test_some_power_cuts_lose_nothing(folder):
    k = 1
    while k < 200 and cut_at(folder, k, range(k, k + 1)):
        k += 9
    assert k > 1, "there was no call to cut at"


def test_some_power_cuts_of_threads_lose_nothing(folder, cut_small):
    k = 1
    while k < 300 and cut_at(folder, k, range(k, k + 1), publish_cut):
        k += 17
    assert k > 1, "there was no call to cut at"


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("publish", [publish, publish_cut])
def test_a_power_cut_at_every_call_loses_nothing(folder, publish, cut_small):
    k = 1
    while cut_at(folder, k, range(k * 10, k * 10 + 10), publish):
        k += 1
    print(f"{k - 1} calls, {(k - 1) * 10} disks after a power cut")
    assert (k - 1) * 10 >= 500


def no_names_are_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fourfold.storage.blobs.local.sync_folder", lambda folder: None)


class Unsynced:
    """`os` whose fsync does nothing."""

    def fsync(self, descriptor: int) -> None:
        """Nothing."""

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


def no_content_is_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fourfold.storage.blobs.local.os", Unsynced())


@pytest.mark.parametrize("plant", [no_names_are_synced, no_content_is_synced])
def test_a_missing_sync_is_found(folder, plant, monkeypatch):
    plant(monkeypatch)
    with pytest.raises((AssertionError, FourfoldError)):
        for k in range(12, 30):
            assert cut_at(folder, k, range(k * 10, k * 10 + 3))
