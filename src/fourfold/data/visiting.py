"""What a visit to a source over the network stands on: its state on disk, and what the version before remembers."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fourfold.core.errors import Conflict, NotFound
from fourfold.core.fingerprint import fingerprint
from fourfold.core.nouns import Version
from fourfold.data.connections import connections_folder
from fourfold.data.sources import Previous, Visit
from fourfold.storage.ledger import Ledger
from fourfold.storage.runs import OpenRun

MEMORY = "memory.jsonl"


def state_folder(home: Path, name: str, source: Mapping[str, Any]) -> Path:
    """Where the state of collecting `source` into `name` lies until a version has been made."""
    return home / "sources" / "state" / fingerprint({"name": name, "source": source})[:32]


@contextmanager
def kept_state(home: Path, name: str, source: Mapping[str, Any]) -> Iterator[Path]:
    """The state folder, held by one run at a time. Raises Conflict if another run has it."""
    folder = state_folder(home, name, source)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go when the process ends, however it ends
        except BlockingIOError as error:
            raise Conflict(f"{name} is being collected from this source already.", hint="Run: fourfold runs") from error
        yield folder


def forget_state(home: Path, name: str, source: Mapping[str, Any]) -> None:
    """Remove the state of a collecting that ended well."""
    shutil.rmtree(state_folder(home, name, source), ignore_errors=True)


def forget_states_of(ledger: Ledger, version: Version) -> None:
    """Remove what an interrupted collecting of the sources of a dataset left: pages that never came into a version.

    What is being collected now keeps its own.
    """
    run = ledger.find_run(version.run_id)
    folder = state_folder(ledger.home, run.name, run.spec["source"]) if run.verb == "collect" else None
    if folder is None or not folder.is_dir():
        return
    try:
        with kept_state(ledger.home, run.name, run.spec["source"]):
            shutil.rmtree(folder)
    except Conflict:
        return


def visit_of(ledger: Ledger, name: str, source: Mapping[str, Any], state: Path, run: OpenRun) -> Visit:
    """The visit that a run makes."""
    previous = _previous(ledger, name, source)
    return Visit(
        state,
        run.folder / MEMORY,
        previous,
        connections_folder(ledger.home),
        lambda: _segments(ledger),
        run.progress,
    )


def _segments(ledger: Ledger) -> Iterator[tuple[str, Callable[[], Path]]]:
    """Sealed segments of the request log: their names, and how to open each."""
    for segment in ledger.segments():
        yield segment.name, partial(ledger.open_segment, segment.name)


def _previous(ledger: Ledger, name: str, source: Mapping[str, Any]) -> Previous | None:
    """The newest version of the dataset, if a source of the same kind left it."""
    version = _newest(ledger, name)
    if version is None or next(iter(_source_of(ledger, version)), None) != next(iter(source)):
        return None
    folder = ledger.materialise(version)
    return Previous(folder / "raw", folder / MEMORY)


def _newest(ledger: Ledger, name: str) -> Version | None:
    return next(iter(ledger.versions(name=name, kind="dataset", limit=1)), None)


def _source_of(ledger: Ledger, version: Version) -> Mapping[str, Any]:
    try:
        return ledger.find_run(version.run_id).spec.get("source", {})
    except NotFound:
        return {}
