"""What every blob store promises: one suite, each store through it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fourfold.core.errors import Corrupt, NotFound
from fourfold.core.fingerprint import digest_bytes
from fourfold.storage.blobs import Blobs
from fourfold.storage.blobs.local import Local

ONE = b"the first bytes"
DIGEST = digest_bytes(ONE)


@pytest.fixture(params=["local"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blobs]:
    """An empty store of each kind."""
    opened = Local(tmp_path / "blobs")
    yield opened
    opened.close()


def plant(blobs: Blobs, digest: str, data: bytes) -> None:
    """Put bytes under a digest that is not theirs, as a failing disk would."""
    assert isinstance(blobs, Local)
    path = blobs.folder / digest[:2] / digest[2:]
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(data=st.binary(max_size=2000))
def test_it_gives_back_what_it_was_given(blobs, data):
    digest = digest_bytes(data)
    blobs.put(digest, data)
    blobs.put(digest, data)
    assert blobs.get(digest) == data
    assert blobs.has(digest)


def test_a_file_becomes_a_blob(blobs, tmp_path):
    (tmp_path / "file").write_bytes(ONE)
    blobs.put_file(DIGEST, tmp_path / "file")
    blobs.put_file(DIGEST, tmp_path / "file")
    assert blobs.get(DIGEST) == ONE
    assert (tmp_path / "file").read_bytes() == ONE


def test_what_is_not_there_is_not_found(blobs, tmp_path):
    assert not blobs.has(DIGEST)
    assert not blobs.link(DIGEST, tmp_path / "link")
    assert not (tmp_path / "link").exists()
    with pytest.raises(NotFound, match="is missing"):
        blobs.get(DIGEST)


@pytest.mark.parametrize("wrong", [b"the f1rst bytes", b"the first", b""])
def test_wrong_bytes_are_never_handed_out_and_a_put_replaces_them(blobs, tmp_path, wrong):
    plant(blobs, DIGEST, wrong)
    with pytest.raises(Corrupt, match="not what was stored"):
        blobs.get(DIGEST)
    blobs.put(DIGEST, ONE)
    assert blobs.get(DIGEST) == ONE
    plant(blobs, DIGEST, wrong)
    (tmp_path / "file").write_bytes(ONE)
    blobs.put_file(DIGEST, tmp_path / "file")
    assert blobs.get(DIGEST) == ONE


def test_what_is_removed_is_gone(blobs):
    blobs.put(DIGEST, ONE)
    blobs.remove(DIGEST)
    blobs.remove(DIGEST)
    assert not blobs.has(DIGEST)
    blobs.put(DIGEST, ONE)
    assert blobs.get(DIGEST) == ONE


def test_it_lists_what_it_has(blobs):
    wanted = {}
    for i in range(40):
        data = b"x" * i
        wanted[digest_bytes(data)] = i
        blobs.put(digest_bytes(data), data)
    assert dict(blobs.digests()) == wanted
    assert len(list(blobs.digests())) == 40


def test_it_says_how_much_it_can_take(blobs):
    free = blobs.free_bytes()
    assert free is None or free > 0


def test_a_folder_of_blobs_holds_nothing_else(tmp_path):
    blobs = Local(tmp_path / "blobs")
    blobs.put(DIGEST, ONE)
    assert not list((blobs.folder / "tmp").iterdir())
    assert blobs.link(DIGEST, tmp_path / "link")
    assert (tmp_path / "link").read_bytes() == ONE
    assert oct((tmp_path / "link").stat().st_mode & 0o777) == "0o444"
    assert blobs.link(DIGEST, tmp_path / "link")
    (blobs.folder / "lost+found").mkdir()
    (blobs.folder / DIGEST[:2] / "notes.txt").write_text("not a blob")
    assert [digest for digest, _ in blobs.digests()] == [DIGEST]
