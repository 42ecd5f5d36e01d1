"""The routing table: all that the front must know, in one file that the supervisor replaces and the front re-reads."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fourfold.core.errors import BadSpec, did_you_mean

KEYS_LIVE_SECONDS = 12 * 3600  # without a ledger the front trusts the table for this long


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of a deployment; its `limits` in the ledger. `record_content` keeps texts and results in the request log."""

    max_inputs: int = 256
    max_input_bytes: int = 256 * 1024
    timeout_seconds: float = 30.0
    record_content: bool = False


def limits_of(settings: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Limits:
    """Limits from a deployment's row over `defaults`. Raises BadSpec for an unknown, wrongly typed or non-positive one."""
    known = Limits.__struct_fields__
    for name in settings:
        if name not in known:
            raise BadSpec(f"limits has no setting {name!r}.{did_you_mean(name, known)}", hint=f"Known: {', '.join(known)}.")
    try:
        limits = msgspec.convert({**(defaults or {}), **settings}, Limits)
    except msgspec.ValidationError as error:
        raise BadSpec(f"limits: {error}") from error
    if min(limits.max_inputs, limits.max_input_bytes, limits.timeout_seconds) <= 0:
        raise BadSpec("limits: every limit is above 0.")
    return limits


class RoutedVersion(Struct, frozen=True):
    """A loaded version and its share of a deployment's requests. `engine` is the path of its engine's socket."""

    ref: str
    digest: str
    family: str
    tasks: tuple[str, ...]
    engine: str
    weight: float = 1.0


class RoutedDeployment(Struct, frozen=True):
    """A public name. Without versions it cannot answer; `problem` says why, or why it answers with older versions."""

    name: str
    versions: tuple[RoutedVersion, ...]
    limits: Limits
    updated_at: float
    problem: str = ""
    loading: bool = False

    def choose(self, request_id: str) -> tuple[RoutedVersion, str]:
        """The version for a request and the reason, by a hash of the request's id: a replay takes the same route."""
        if len(self.versions) == 1:
            return self.versions[0], "the only version of this deployment"
        point = zlib.crc32(request_id.encode()) / 2**32 * sum(v.weight for v in self.versions)
        chosen = self.versions[-1]
        for version in self.versions:
            point -= version.weight
            if point < 0:
                chosen = version
                break
        return chosen, f"weight {chosen.weight:g} of {len(self.versions)} versions"


class RoutedKey(Struct, frozen=True):
    """A key that opens something. `hash` is BLAKE3 of the whole token, in hex."""

    hash: str
    id: str
    name: str
    role: str
    expires_at: float | None = None


class RoutingTable(Struct, frozen=True):
    """Everything the front routes by. `stamp` is the ledger's at the time of writing."""

    stamp: str = ""
    written_at: float = 0.0
    deployments: tuple[RoutedDeployment, ...] = ()
    keys: tuple[RoutedKey, ...] = ()


_decoder = msgspec.msgpack.Decoder(RoutingTable)


def path_of(home: Path) -> Path:
    """Where a home's routing table lies."""
    return home / "run" / "routing.msgpack"


def write(home: Path, table: RoutingTable) -> None:
    """Replace the table in one step: a reader sees the old one or the new one. Its key hashes are the owner's alone."""
    replace_file(path_of(home), msgspec.msgpack.encode(table))


def note_followed(home: Path, front: int, table: RoutingTable) -> None:
    """A front says which table it follows now, so that a change counts as made only when every front routes by it."""
    with suppress(OSError):  # a full disk costs the note, not the routing
        replace_file(_note(home, front), repr(table.written_at).encode())


def followed(home: Path, fronts: Iterable[int], table: RoutingTable) -> bool:
    """Whether every one of these fronts follows `table` or a younger one."""
    try:
        return all(float(_note(home, front).read_text()) >= table.written_at for front in fronts)
    except (FileNotFoundError, ValueError):
        return False


def _note(home: Path, front: int) -> Path:
    return home / "run" / f"front-{front}.follows"


def replace_file(path: Path, data: bytes) -> None:
    """Write a file beside `path`, readable by its owner only, and rename it over `path`."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


class Routes:
    """The front's view of the table: dictionaries, renewed by `refresh` when the file was replaced."""

    def __init__(self, home: Path) -> None:
        self.path = path_of(home)
        self.table = RoutingTable()
        self.deployments: dict[str, RoutedDeployment] = {}
        self.keys: dict[str, RoutedKey] = {}
        self._seen: tuple[int, int] | None = None

    def refresh(self) -> bool:
        """Whether there was a new table. A missing file leaves the last table standing."""
        try:
            found = self.path.stat()
            if (found.st_ino, found.st_mtime_ns) == self._seen:
                return False
            data = self.path.read_bytes()
        except FileNotFoundError:
            return False
        self._seen = (found.st_ino, found.st_mtime_ns)
        self.table = _decoder.decode(data)
        self.deployments = {d.name: d for d in self.table.deployments}
        self.keys = {k.hash: k for k in self.table.keys}
        return True

    def engines(self) -> set[str]:
        """The sockets that the table routes to."""
        return {v.engine for d in self.table.deployments for v in d.versions}

    def trusted(self, now: float | None = None) -> bool:
        """Whether the table is young enough for its keys to count."""
        return (time.time() if now is None else now) - self.table.written_at < KEYS_LIVE_SECONDS
