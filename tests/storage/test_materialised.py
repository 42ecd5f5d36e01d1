"""The cache of versions."""

from __future__ import annotations

import random

import pytest

from fourfold.core.errors import StorageFull
from fourfold.storage import cutting
from fourfold.storage.blobs.local import Local
from fourfold.storage.materialised import Materialised


@pytest.fixture
def cut_small(monkeypatch):
    """Files above 100 bytes are cut every 64."""
    monkeypatch.setattr(cutting, "WHOLE_BYTES", 100)
    monkeypatch.setattr(cutting, "pieces", lambda path, size: (path.read_bytes()[i : i + 64] for i in range(0, size, 64)))


def another(ledger, limit: int = 0) -> Materialised:
    """The cache as another process has it."""
    return Materialised(ledger.materialised.folder, ledger.database, ledger.blobs, limit)


def test_the_longest_unused_go_first_and_what_is_in_use_stays(ledger, publish, cut_small):
    versions = [publish(content=chr(97 + i) * 1000) for i in range(4)]
    cache = another(ledger, 2500)
    for version in versions[:3]:
        cache.open(version.digest)
    assert all((cache.folder / v.digest).is_dir() for v in versions[:3])  # all in use
    cache.close()
    user = another(ledger)
    user.open(versions[0].digest)
    cache.open(versions[3].digest)
    assert [(cache.folder / v.digest).is_dir() for v in versions] == [True, False, False, True]
    user.close()
    assert (cache.open(versions[1].digest) / "weights.txt").read_text() == "b" * 1000
    cache.close()


def test_a_stopped_opening_goes_on_where_it_came_to(ledger, publish, cut_small):
    content = "".join(random.Random(1).choices("abcdefgh", k=1000))
    version = publish(content=content)

    class Stopped(Exception):
        pass

    def stop(done, total, unit):
        if done >= 640:
            raise Stopped

    cache = another(ledger)
    with pytest.raises(Stopped):
        cache.open(version.digest, progress=stop)
    asked: list[str] = []

    class Counting(Local):
        def get(self, digest: str, /) -> bytes:
            asked.append(digest)
            return super().get(digest)

    cache.blobs = Counting(ledger.home / "blobs")
    told: list[int] = []
    folder = cache.open(version.digest, progress=lambda done, total, unit: told.append(done))
    assert (folder / "weights.txt").read_text() == content
    assert len(asked) == 6  # 16 chunks, of which 10 were there
    assert told[-1] == 1000
    cache.close()


def test_a_publish_that_will_not_fit_is_refused_before_its_first_byte(ledger, publish, cut_small, monkeypatch):
    publish(content="a" * 1000)
    before = dict(ledger.blobs.digests())
    monkeypatch.setattr(Local, "free_bytes", lambda self: 500)
    content = "".join(random.Random(2).choices("abcdefgh", k=1000))
    with pytest.raises(StorageFull, match="1,000 bytes more, and 500 are free"):
        publish(content=content)
    assert dict(ledger.blobs.digests()) == before
    publish(content="a" * 1064)  # larger than what is free, but nearly all of it is there
