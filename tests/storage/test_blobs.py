"""What every blob store promises: one suite, each store through it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.s3_server import S3Server

from fourfold.core.errors import BadInput, Corrupt, NotFound, NotReady
from fourfold.core.fingerprint import digest_bytes
from fourfold.storage.blobs import Blobs
from fourfold.storage.blobs.local import Local
from fourfold.storage.blobs.s3 import S3
from fourfold.storage.encrypt import OVERHEAD, Keys, create_keys, rotate_keys
from fourfold.storage.seal import Seal

ONE = b"the first bytes"
DIGEST = digest_bytes(ONE)


SEAL = Seal(Keys("00" * 8, {"00" * 8: bytes(range(32))}))
ACCOUNT = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "testing"}


@pytest.fixture
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.close()


@pytest.fixture(params=["local", "local sealed", "s3", "s3 sealed"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blobs]:
    """An empty store of each kind."""
    seal = SEAL if "sealed" in request.param else None
    if "s3" in request.param:
        server = request.getfixturevalue("s3_server")
        opened = S3("s3://bucket/deep/folder", endpoint=server.endpoint, seal=seal, environment=ACCOUNT)
        plant.objects = server.objects  # type: ignore[attr-defined]
    else:
        opened = Local(tmp_path / "blobs", seal)
    yield opened
    opened.close()


def plant(blobs: Blobs, digest: str, data: bytes) -> None:
    """Put bytes under a digest that is not theirs, as a failing disk would."""
    if isinstance(blobs, S3):
        plant.objects[f"/bucket/deep/folder/chunks/{digest[:2]}/{digest[2:]}"] = data  # type: ignore[attr-defined]
        return
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
    with pytest.raises(Corrupt, match=r"not what was stored|is not sealed"):
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
    more = OVERHEAD if blobs.seal else 0
    assert dict(blobs.digests()) == {digest: size + more for digest, size in wanted.items()}
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


def test_a_service_that_is_down_is_said_to_be(s3_server):
    blobs = S3("s3://bucket", endpoint=s3_server.endpoint, environment=ACCOUNT, timeout_seconds=0.3)
    blobs.put(DIGEST, ONE)
    s3_server.down = True
    for act in (lambda: blobs.get(DIGEST), lambda: blobs.has(DIGEST), lambda: blobs.put(DIGEST, ONE)):
        with pytest.raises(NotReady, match="s3://bucket does not answer"):
            act()
    with pytest.raises(NotReady):
        list(blobs.digests())
    with pytest.raises(BadInput, match="is no bucket"):
        S3("https://bucket", environment=ACCOUNT)


def test_a_sealed_store_opens_with_every_key_and_seals_with_the_newest(tmp_path):
    old = Seal(create_keys(tmp_path / "keys"))
    Local(tmp_path / "blobs", old).put(DIGEST, ONE)
    path = tmp_path / "blobs" / DIGEST[:2] / DIGEST[2:]
    first = path.read_bytes()
    assert ONE not in first
    both = Local(tmp_path / "blobs", Seal(rotate_keys(tmp_path / "keys")))
    assert both.get(DIGEST) == ONE
    both.put(DIGEST, ONE)  # seals it anew
    assert path.read_bytes() != first
    assert both.get(DIGEST) == ONE
    for act in (lambda: Local(tmp_path / "blobs", old).get(DIGEST), lambda: Local(tmp_path / "blobs", old).put(DIGEST, ONE)):
        with pytest.raises(NotReady, match="does not hold"):  # not taken for missing, and not written over
            act()
    assert both.get(DIGEST) == ONE
