"""Doctor: looks at a home from all sides, and says what to do about what it finds."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import shutil
import socket
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import metadata

from fourfold import __version__
from fourfold.application.results import Check, Health
from fourfold.application.serving.home import status_of
from fourfold.core.config import Settings
from fourfold.core.errors import Corrupt, FourfoldError, did_you_mean
from fourfold.core.nouns import Version
from fourfold.data.connections import connections_folder, known, told
from fourfold.storage import backup, runs, states
from fourfold.storage.database import HEAD, wal_is_safe
from fourfold.storage.ledger import Ledger

LITTLE_BYTES, TOO_LITTLE_BYTES = 2 << 30, 200 << 20  # free disk space
OLD_BACKUP_SECONDS = 7 * 86_400
SAMPLE_VERSIONS, SAMPLE_BYTES = 20, 256 << 20  # newest versions whose bytes are read, and how many bytes at most
FOR_DEVELOPERS = {"test", "bench"}
REQUIREMENT = re.compile(r"([\w.-]+).*extra\s*==\s*['\"]([\w-]+)['\"]")
OUR_VARIABLES = ("FOURFOLD_HOME", "FOURFOLD_URL", "FOURFOLD_TOKEN", "FOURFOLD_TEST_DATA")


def examine(ledger: Ledger, settings: Settings, environment: Mapping[str, str] = os.environ) -> Health:
    """Every finding. What can be put right without asking (the runs of dead processes) is put right."""
    checks = [
        _programs(),
        *_database(ledger),
        _audit(ledger),
        _disk(ledger),
        _permissions(ledger),
        _runs(ledger),
        _artifacts(ledger),
        _backup(ledger),
        *_serving(ledger, settings),
        *_sources(ledger),
        *_variables(environment),
        *_extras(),
    ]
    return Health(not any(check.state == "error" for check in checks), checks)


def _programs() -> Check:
    return Check(
        "program", "ok", f"Fourfold {__version__} on Python {platform.python_version()}, {sys.platform} {platform.machine()}"
    )


def _database(ledger: Ledger) -> Iterator[Check]:
    try:
        facts = ledger.database.facts()
    except FourfoldError as error:
        yield Check("database", "error", error.message, error.hint)
        return
    if "damage" in facts:
        yield Check("database", "error", f"{facts['server']} finds damage: {facts['damage']}", "Restore the newest backup.")
        return
    journal = ""
    if "journal" in facts:
        journal = f", journal {facts['journal']}"
        if facts["journal"] != "wal":
            journal += " with synchronous=FULL" + ("" if wal_is_safe() else ": in WAL mode this SQLite can lose commits")
        if facts["journal"] == "wal" and not wal_is_safe():
            yield Check(
                "database",
                "error",
                f"{facts['server']} can lose commits in WAL mode, which this home is in",
                "Close every program on this home, and open it again.",
            )
            return
    yield Check("database", "ok", f"{facts['server']}{journal}")
    if facts["schema"] == HEAD:
        yield Check("schema", "ok", f"{HEAD}, the newest that this program knows")
    else:
        yield Check("schema", "error", f"{facts['schema'] or 'none'}; this program needs {HEAD}", "Run: fourfold versions")


def _audit(ledger: Ledger) -> Check:
    try:
        rows, head = ledger.verify_audit()
    except Corrupt as error:
        return Check("audit chain", "error", error.message, "Compare with a backup: somebody changed the ledger by hand.")
    return Check("audit chain", "ok", f"{rows:,} acts, unbroken to {head[:12]}")


def _disk(ledger: Ledger) -> Check:
    free = shutil.disk_usage(ledger.home).free
    detail = f"{_size(free)} free at {ledger.home}"
    if free < LITTLE_BYTES:
        state = "error" if free < TOO_LITTLE_BYTES else "warning"
        return Check("disk", state, detail, "Free space, or move the home: nothing is half-written when it runs out.")
    return Check("disk", "ok", detail)


def _permissions(ledger: Ledger) -> Check:
    found = ledger.home.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.getuid():
        return Check("permissions", "warning", f"{ledger.home} belongs to user {found.st_uid}", "Run Fourfold as its owner.")
    if mode & 0o077:
        return Check("permissions", "warning", f"{ledger.home} is open to others ({mode:04o})", f"Run: chmod 700 {ledger.home}")
    return Check("permissions", "ok", f"{ledger.home} is its owner's alone")


def _sources(ledger: Ledger) -> Iterator[Check]:
    """Accounts of sources that are about to end, or have ended."""
    found = known(connections_folder(ledger.home))
    for one in found:
        if one.state != "ok":
            detail = f"{one.source} ({one.account}) is {one.state}"
            yield Check("source", "warning", f"{detail}: {told(one)}" if told(one) else detail, one.next)
    if found and all(one.state == "ok" for one in found):
        yield Check("sources", "ok", f"{len(found)} answer")


def _runs(ledger: Ledger) -> Check:
    dead = ledger.sweep()
    if dead:
        some = ", ".join(dead[:3]) + ("…" if len(dead) > 3 else "")
        return Check(
            "runs",
            "warning",
            f"{len(dead)} whose process had died are marked as failed: {some}",
            f"Run: fourfold show {dead[0]}",
        )
    running = len(ledger.runs(state="running", limit=1000))
    return Check("runs", "ok", f"{running} under way" if running else "none under way, none left behind by a dead process")


def _artifacts(ledger: Ledger) -> Check:
    """Reads what is served and what is newest, chunk by chunk."""
    served = [ledger.version(route.version) for d in ledger.deployments() if d.state == "live" for route in d.routes]
    versions = {version.id: version for version in (*served, *ledger.versions(limit=SAMPLE_VERSIONS))}
    read, seen = 0, set()
    for version in versions.values():
        for path, digest, size in _chunks(ledger, version):
            if digest in seen or read + size > SAMPLE_BYTES:
                continue
            try:
                ledger.blobs.get(digest)
            except FourfoldError as error:
                return Check("artifacts", "error", f"{version.ref}/{path}: {error.message}", _remedy(version))
            seen.add(digest)
            read += size
    return Check("artifacts", "ok", f"{len(seen)} of the newest and the served verified, {_size(read)}")


def _backup(ledger: Ledger) -> Check:
    """A backup counts once its restore was checked; a young home need not have one yet."""
    made, age = backup.backups(ledger), backup.age_seconds(ledger)
    if made and made[0].problem:
        return Check(
            "backup",
            "error",
            f"the newest, {made[0].id}, cannot be restored: {made[0].problem}",
            f"Look at {made[0].place}, then run: fourfold backup {made[0].place}",
        )
    if age is not None:
        old = age > OLD_BACKUP_SECONDS
        next_step = f"Run: fourfold backup {made[0].place}" if old else ""
        return Check("backup", "warning" if old else "ok", f"the newest checked one is {_age(age)} old", next_step)
    if made:
        return Check("backup", "warning", "none was checked yet", f"Run: fourfold backup {made[0].place} --verify")
    with ledger.database.read() as connection:
        first = runs.first_at(connection)
    old = first is not None and time.time() - first > OLD_BACKUP_SECONDS
    return Check("backup", "warning" if old else "ok", "none yet", "Run: fourfold backup TO")


def _age(seconds: float) -> str:
    return f"{seconds / 86_400:.1f} days" if seconds > 172_800 else f"{seconds / 3600:.1f} hours"


def _chunks(ledger: Ledger, version: Version) -> Iterator[tuple[str, str, int]]:
    with ledger.database.read() as connection:
        if states.state_of(connection, version.id) != "kept":
            return  # erased or removed: there is nothing to read
    for file in ledger.manifest(version).files:
        for chunk in file.chunks:
            yield file.path, chunk.digest, chunk.size_bytes


def _remedy(version: Version) -> str:
    return f"Restore a backup, or make it again: fourfold show {version.run_id} says how {version.name} was made."


def _serving(ledger: Ledger, settings: Settings) -> Iterator[Check]:
    status = status_of(ledger.home)
    if status is None:
        yield Check("serving", "ok", "not running", "Run: fourfold up")
        yield _port(settings)
        return
    down = [child.name for child in status.children if child.pid is None]
    if status.problem or down:
        yield Check(
            "serving",
            "error",
            status.problem or f"{', '.join(down)} not running",
            f"Look at the output of process {status.pid}.",
        )
    else:
        again = sum(child.restarts for child in status.children)
        yield Check("serving", "ok", f"{status.address}, {len(status.children)} processes, {again} restarts")
    for deployment in status.deployments:
        what = ", ".join(deployment.serving) or "nothing"
        if deployment.problem:
            next_step = f"Run: fourfold rollback {deployment.name}"
            yield Check(f"deployment {deployment.name}", "error", f"serves {what}: {deployment.problem}", next_step)
        elif deployment.serving != deployment.wanted:
            yield Check(f"deployment {deployment.name}", "warning", f"serves {what}, is loading {', '.join(deployment.wanted)}")
        else:
            yield Check(f"deployment {deployment.name}", "ok", f"serves {what}")


def _port(settings: Settings) -> Check:
    try:
        family, kind, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        return Check(
            "port", "warning", f"{settings.host} port {settings.port}: {reason}", f"Run: fourfold up --port {settings.port + 1}"
        )
    return Check("port", "ok", f"{settings.host} port {settings.port} is free")


def _variables(environment: Mapping[str, str]) -> Iterator[Check]:
    known = [*OUR_VARIABLES, *(f"FOURFOLD_{field.name.upper()}" for field in dataclasses.fields(Settings))]
    for name in sorted(environment):
        if name.startswith("FOURFOLD_") and name not in known:
            yield Check(
                "environment", "warning", f"{name} means nothing.{did_you_mean(name, known)}", f"Known: {', '.join(known)}."
            )


def _extras() -> Iterator[Check]:
    """Each extra, and whether its libraries are there. None of them is needed."""
    wanted: dict[str, list[str]] = {}
    for requirement in metadata.requires("fourfold") or []:
        if (found := REQUIREMENT.match(requirement)) and found[2] not in FOR_DEVELOPERS:
            wanted.setdefault(found[2], []).append(found[1])
    for extra, libraries in wanted.items():
        versions = {library: _version(library) for library in libraries}
        missing = [library for library, version in versions.items() if version is None]
        if missing:
            yield Check(
                f"extra {extra}", "ok", f"not installed: {', '.join(missing)}", f"If wanted: pip install 'fourfold[{extra}]'"
            )
        else:
            yield Check(f"extra {extra}", "ok", ", ".join(f"{library} {version}" for library, version in versions.items()))


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
