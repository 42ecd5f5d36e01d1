"""Pseudonyms that can be turned back: the key lies apart from the data, the map sealed with it lies in the version."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import blake3
import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fourfold.core.errors import BadInput, Corrupt, NotFound
from fourfold.core.nouns import Actor, Version
from fourfold.data.scrub import KEY_BYTES
from fourfold.storage import audit
from fourfold.storage.ledger import Ledger

SEALED = "originals.sealed"
NONCE_BYTES = 12
FOR_SEALING, FOR_NONCES = "fourfold 2026 originals: sealing key", "fourfold 2026 originals: nonces"


def key_path(folder: Path, name: str) -> Path:
    """Where the key of a dataset's name lies."""
    return folder / f"{name}.key"


def make_key(folder: Path, name: str) -> bytes:
    """The key of a dataset's name, drawn when first asked for: all its versions have the same pseudonyms.

    Raises Corrupt if the file is not what was written, BadInput if the folder cannot be written.
    """
    path = key_path(folder, name)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        mine = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(os.urandom(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(mine, path)  # atomic: of two that draw a key at once, one wins, and both use it
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written: {error.strerror}.", hint="Set pseudonym_keys to a folder of yours."
        ) from error
    return read_key(folder, name)


def read_key(folder: Path, name: str) -> bytes:
    """The key of a dataset's name. Raises NotFound, Corrupt."""
    path = key_path(folder, name)
    try:
        key = path.read_bytes()
    except OSError as error:
        raise NotFound(
            f"The key of {name} is not in {folder}: without it nobody can turn its pseudonyms back.",
            hint="Put the key file there, or name its folder with the setting pseudonym_keys.",
        ) from error
    if len(key) != KEY_BYTES:
        raise Corrupt(f"{path} has {len(key)} bytes, not {KEY_BYTES}.", hint="Restore the key file.")
    return key


def write_map(folder: Path, originals: Mapping[str, str], key: bytes) -> None:
    """The map from pseudonyms to what they stand for, sealed (AES-256-GCM). Equal maps under one key make equal bytes."""
    plain = msgspec.msgpack.encode(dict(sorted(originals.items())))
    nonce = blake3.blake3(plain, key=_derived(key, FOR_NONCES)).digest(NONCE_BYTES)  # of the content: never one for two maps
    (folder / SEALED).write_bytes(nonce + AESGCM(_derived(key, FOR_SEALING)).encrypt(nonce, plain, None))


def read_map(folder: Path, key: bytes) -> dict[str, str]:
    """What `write_map` wrote. Raises NotFound if the version has no map, BadInput if the key is another's."""
    path = folder / SEALED
    if not path.exists():
        raise NotFound(
            "This version has no map of pseudonyms: it was not made to be turned back.",
            hint="Run: fourfold deidentify NAME DATASET --reversible",
        )
    sealed = path.read_bytes()
    try:
        plain = AESGCM(_derived(key, FOR_SEALING)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
    except InvalidTag as error:
        raise BadInput(
            "The key does not fit this version's map of pseudonyms.", hint="Restore the key that made it."
        ) from error
    return msgspec.msgpack.decode(plain, type=dict[str, str])


@dataclass(frozen=True, slots=True)
class Original:
    """A pseudonym, and what stood in its place; None if the version holds no such pseudonym."""

    pseudonym: str
    value: str | None


def reidentify(
    ledger: Ledger, actor: Actor, dataset: Version, pseudonyms: Sequence[str], *, reason: str, keys: Path
) -> list[Original]:
    """What pseudonyms of a dataset stand for. Who asked, for what and why is in the audit before anything is answered.

    Raises BadInput without a reason or pseudonym, NotFound if the version has no map or its key is not there.
    """
    if not reason.strip() or not pseudonyms:
        raise BadInput("Name the pseudonyms, and why they are turned back.", hint="For example: --reason 'case 12'")
    originals = read_map(ledger.materialise(dataset), read_key(keys, dataset.name))
    found = [Original(pseudonym, originals.get(pseudonym)) for pseudonym in pseudonyms]
    with ledger.write() as connection:
        audit.record(
            connection,
            actor.id,
            "reidentify",
            dataset.ref,
            {"pseudonyms": list(pseudonyms), "known": sum(one.value is not None for one in found), "reason": reason},
        )
    return found


def _derived(key: bytes, context: str) -> bytes:
    return blake3.blake3(key, derive_key_context=context).digest()
