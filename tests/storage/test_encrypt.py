"""Sealed chunks: they open with the right key and digest only, and every changed byte shows."""

from __future__ import annotations

import base64
from pathlib import Path

import blake3
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fourfold.core.errors import BadInput, Conflict, Corrupt, NotFound
from fourfold.core.fingerprint import digest_bytes
from fourfold.storage import encrypt

DATA = "今天天气怎么样".encode() * 10
DIGEST = digest_bytes(DATA)


@pytest.fixture
def keys(tmp_path: Path) -> encrypt.Keys:
    return encrypt.create_keys(tmp_path / "keys")


def test_what_is_sealed_opens_again_and_hides_the_text(keys: encrypt.Keys) -> None:
    sealed = encrypt.seal(keys, DIGEST, DATA)
    assert encrypt.unseal(keys, DIGEST, sealed) == DATA
    assert len(sealed) == len(DATA) + encrypt.OVERHEAD
    assert "今天".encode() not in sealed
    assert sealed != encrypt.seal(keys, DIGEST, DATA)  # a nonce of its own
    assert encrypt.unseal(keys, DIGEST, encrypt.seal(keys, DIGEST, b"")) == b""


def test_the_format_is_the_one_that_is_written_down(keys: encrypt.Keys, tmp_path: Path) -> None:
    """Opened by hand, from the description alone."""
    sealed = encrypt.seal(keys, DIGEST, DATA)
    key_id, text = (tmp_path / "keys").read_text().splitlines()[-1].split()
    assert sealed[:4] == b"FFE1" and sealed[4:12].hex() == key_id
    key = blake3.blake3(DIGEST.encode(), key=base64.b64decode(text)).digest()
    assert AESGCM(key).decrypt(sealed[12:24], sealed[24:], sealed[:12] + DIGEST.encode()) == DATA


def test_every_changed_byte_shows(keys: encrypt.Keys) -> None:
    sealed = encrypt.seal(keys, DIGEST, DATA[:20])
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises((Corrupt, NotFound)):  # NotFound: the key's id was changed
            encrypt.unseal(keys, DIGEST, bytes(changed))
        with pytest.raises(Corrupt):
            encrypt.unseal(keys, DIGEST, sealed[:place])


def test_a_chunk_in_the_place_of_another_does_not_open(keys: encrypt.Keys) -> None:
    with pytest.raises(Corrupt, match=r"another's"):
        encrypt.unseal(keys, digest_bytes(b"other"), encrypt.seal(keys, DIGEST, DATA))


def test_after_a_rotation_the_new_key_seals_and_the_old_one_still_opens(keys: encrypt.Keys, tmp_path: Path) -> None:
    before = encrypt.seal(keys, DIGEST, DATA)
    rotated = encrypt.rotate_keys(tmp_path / "keys")
    after = encrypt.seal(rotated, DIGEST, DATA)
    assert encrypt.key_of(before) == keys.current and encrypt.key_of(after) == rotated.current != keys.current
    assert encrypt.unseal(rotated, DIGEST, before) == encrypt.unseal(rotated, DIGEST, after) == DATA
    with pytest.raises(NotFound, match=f"key {rotated.current}"):
        encrypt.unseal(keys, DIGEST, after)
    assert [p.name for p in tmp_path.iterdir()] == ["keys"]
    assert encrypt.key_of(DATA) is None


def test_a_key_file_that_others_may_read_is_refused(keys: encrypt.Keys, tmp_path: Path) -> None:
    (tmp_path / "keys").chmod(0o640)
    with pytest.raises(BadInput, match="Others than its owner"):
        encrypt.read_keys(tmp_path / "keys")


@pytest.mark.parametrize("text", ["", "# nothing\n", "abc def\n", f"{'a' * 16} {base64.b64encode(b'short').decode()}\n", "é\n"])
def test_a_file_that_is_no_key_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(text)
    (tmp_path / "keys").chmod(0o600)
    with pytest.raises(BadInput, match="key"):
        encrypt.read_keys(tmp_path / "keys")


def test_a_key_file_is_never_replaced_and_never_printed(keys: encrypt.Keys, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="there already"):
        encrypt.create_keys(tmp_path / "keys")
    with pytest.raises(NotFound, match="no key file"):
        encrypt.read_keys(tmp_path / "none")
    assert repr(keys) == f"Keys({keys.current})"
