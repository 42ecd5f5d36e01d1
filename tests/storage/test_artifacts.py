"""Files of versions: cut, verified, refused."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold.core.errors import BadInput, Corrupt, NotFound
from fourfold.core.fingerprint import digest_bytes
from fourfold.storage import artifacts, cutting
from fourfold.storage.blobs.local import Local


def test_a_large_file_is_cut_and_put_together_again(ledger, publish, monkeypatch):
    monkeypatch.setattr(cutting, "WHOLE_BYTES", 100)
    monkeypatch.setattr(cutting, "pieces", lambda path, size: (path.read_bytes()[i : i + 64] for i in range(0, size, 64)))
    content = "".join(chr(65 + i % 26) for i in range(1000))
    version = publish(content=content)
    (file,) = ledger.manifest(version).files
    assert [c.size_bytes for c in file.chunks] == [64] * 15 + [40]
    assert file.sha256 == hashlib.sha256(content.encode()).hexdigest()
    assert file.digest == digest_bytes(content.encode())
    assert (ledger.materialise(version) / "weights.txt").read_text() == content


def test_a_changed_blob_is_never_handed_out(ledger, publish):
    version = publish(content="the right bytes")
    (file,) = ledger.manifest(version).files
    blob = ledger.home / "blobs" / file.digest[:2] / file.digest[2:]
    blob.chmod(0o644)
    blob.write_text("the wrong bytes")
    with pytest.raises(Corrupt, match="not what was stored"):
        ledger.materialise(version)
    blob.unlink()
    with pytest.raises(NotFound, match="is missing"):
        ledger.materialise(version)


def test_a_changed_copy_in_the_cache_is_made_anew(ledger, publish, monkeypatch):
    monkeypatch.setattr(Local, "link", lambda self, digest, target: False)  # a cache on another disk
    version = publish(content="the right bytes")
    copy = ledger.materialise(version) / "weights.txt"
    copy.chmod(0o644)
    copy.write_text("the wrong bytes")
    ledger.materialised.verified.clear()  # as another process would see it
    assert (ledger.materialise(version) / "weights.txt").read_text() == "the right bytes"


@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickles_are_refused_by_content(tmp_path, protocol):
    (tmp_path / "weights.bin").write_bytes(pickle.dumps({"a": 1}, protocol))
    with pytest.raises(BadInput, match="is a pickle"):
        artifacts.store(tmp_path, Local(tmp_path.parent / "blobs"))


def test_pickles_and_links_are_refused_by_name(tmp_path):
    (tmp_path / "model.pt").write_text("harmless")
    with pytest.raises(BadInput, match="safetensors"):
        artifacts.store(tmp_path, Local(tmp_path.parent / "blobs"))
    (tmp_path / "model.pt").unlink()
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match="link or special file"):
        artifacts.store(tmp_path, Local(tmp_path.parent / "blobs"))


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../b", "a\\b", "", "a\0b"])
def test_paths_that_lead_out_are_refused(path):
    with pytest.raises(BadInput, match="no path inside a version"):
        artifacts.safe_path(path)


@given(st.binary(max_size=2000))
def test_a_store_gives_back_what_it_was_given(tmp_path_factory, data):
    blobs = Local(tmp_path_factory.mktemp("blobs"))
    digest = digest_bytes(data)
    blobs.put(digest, data)
    blobs.put(digest, data)
    assert blobs.get(digest) == data
    assert not list((blobs.folder / "tmp").iterdir())


def test_a_manifest_is_known_by_its_content(tmp_path):
    def manifest(**files: str) -> artifacts.Manifest:
        folder = tmp_path / digest_bytes(repr(files).encode())[:8]
        folder.mkdir()
        for name, content in files.items():
            Path(folder / name).write_text(content)
        return artifacts.store(folder, Local(tmp_path / "blobs"))

    one, same, other = manifest(a="x", b="y"), manifest(b="y", a="x"), manifest(a="y", b="x")
    assert one.digest == same.digest != other.digest
    assert one.size_bytes == 2
