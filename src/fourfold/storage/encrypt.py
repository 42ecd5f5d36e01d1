"""Encryption at rest: chunks sealed with AES-256-GCM under a key file that never lies beside them.

A sealed chunk is `FFE1`, the key's id (8 bytes), a random nonce (12), the ciphertext and its tag (16): OVERHEAD bytes more than
the plain one. Each chunk has a key of its own, derived from the file's key and the chunk's digest, and the digest is
authenticated with it: a chunk put in another's place does not open. Digests are of the plain bytes, so that equal content is
stored once; they tell whoever reads the store that two chunks are equal, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import blake3

from fourfold.core.errors import BadInput, Conflict, Corrupt, NotFound

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"FFE1"
ID_BYTES, NONCE_BYTES, TAG_BYTES, KEY_BYTES = 8, 12, 16, 32
HEAD_BYTES = len(MAGIC) + ID_BYTES
OVERHEAD = HEAD_BYTES + NONCE_BYTES + TAG_BYTES
HEADING = "# Key file of Fourfold: id and key. The last key seals, all of them open. Lost keys cannot be replaced.\n"


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The keys of a key file by their ids; what is sealed anew is sealed with `current`."""

    current: str
    all: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"Keys({', '.join(self.all)})"


def create_keys(path: Path) -> Keys:
    """Write a key file with one new key, readable by its owner only. Raises Conflict if there is a file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict(f"{path} is there already: what it sealed can be opened with nothing else.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(HEADING + _line())
        file.flush()
        os.fsync(file.fileno())
    return read_keys(path)


def rotate_keys(path: Path) -> Keys:
    """Add a key to a key file: it seals from now on, and the older ones still open what they sealed."""
    text = "".join(f"{key_id} {base64.b64encode(key).decode()}\n" for key_id, key in read_keys(path).all.items())
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(HEADING + text + _line())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)  # atomic: no moment without the old keys
    return read_keys(path)


def read_keys(path: Path) -> Keys:
    """The keys of a key file. Raises NotFound, or BadInput if others may read it or a line is no key."""
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise NotFound(f"There is no key file {path}.", hint="Without it nothing that it sealed can be opened.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as a key file: {error}.") from error
    if mode & 0o077:
        raise BadInput(f"Others than its owner may read the key file {path}.", hint=f"Run: chmod 600 {path}")
    keys = dict(_parsed(line, path, n) for n, line in enumerate(lines, 1) if line.strip() and not line.startswith("#"))
    if not keys:
        raise BadInput(f"{path} holds no key.")
    return Keys(next(reversed(keys)), keys)


def seal(keys: Keys, digest: str, data: bytes) -> bytes:
    """`data`, whose digest that is, encrypted with the current key; a different text each time."""
    head = MAGIC + bytes.fromhex(keys.current)
    nonce = secrets.token_bytes(NONCE_BYTES)
    return head + nonce + _cipher(keys.all[keys.current], digest).encrypt(nonce, data, head + digest.encode())


def unseal(keys: Keys, digest: str, sealed: bytes) -> bytes:
    """The plain bytes. Raises Corrupt if they were changed or belong to another digest, NotFound if the key is not here."""
    from cryptography.exceptions import InvalidTag

    head, nonce, text = sealed[:HEAD_BYTES], sealed[HEAD_BYTES : HEAD_BYTES + NONCE_BYTES], sealed[HEAD_BYTES + NONCE_BYTES :]
    if len(sealed) < OVERHEAD or not head.startswith(MAGIC):
        raise Corrupt(f"Chunk {digest[:16]}… is not sealed, or only a part of it is there.")
    key_id = head[len(MAGIC) :].hex()
    if key_id not in keys.all:
        raise NotFound(
            f"Chunk {digest[:16]}… was sealed with the key {key_id}, which this key file does not hold.",
            hint=f"It holds {', '.join(keys.all)}. Name the key file that has {key_id}; without it the chunk cannot be opened.",
        )
    try:
        return _cipher(keys.all[key_id], digest).decrypt(nonce, text, head + digest.encode())
    except InvalidTag:
        raise Corrupt(f"Chunk {digest[:16]}… was changed since it was sealed, or is another's.") from None


def key_of(sealed: bytes) -> str | None:
    """The id of the key that sealed these bytes; None if they are not sealed."""
    return sealed[len(MAGIC) : HEAD_BYTES].hex() if sealed.startswith(MAGIC) and len(sealed) >= OVERHEAD else None


def _cipher(key: bytes, digest: str) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers import aead  # 20 ms that a home without encryption does not pay

    return aead.AESGCM(blake3.blake3(digest.encode(), key=key).digest())


def _line() -> str:
    return f"{secrets.token_hex(ID_BYTES)} {base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}\n"


def _parsed(line: str, path: Path, number: int) -> tuple[str, bytes]:
    key_id, _, text = line.strip().partition(" ")
    try:
        known, key = bytes.fromhex(key_id), base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        known, key = b"", b""
    if len(known) != ID_BYTES or len(key) != KEY_BYTES:
        raise BadInput(f"{path}, line {number}: no key.", hint="A line is 16 hex digits, a space, and 32 bytes in base64.")
    return key_id.lower(), key
