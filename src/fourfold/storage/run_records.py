"""What a run leaves beside its version: the history of its metrics, step by step, and its log.

Points are rows as they come, and are rolled into Parquet once there are many or the run has ended; a log is JSON Lines. Both
lie in the stores under manifests that `run_record` keeps, so that backups, replicas, scrubs and garbage collection know them.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from fourfold.core.errors import FourfoldError
from fourfold.core.ids import new_id
from fourfold.storage import artifacts, guard, schema
from fourfold.storage.database import Database
from fourfold.storage.materialised import Materialised
from fourfold.storage.stores import Stores

log = logging.getLogger(__name__)

FLUSH_POINTS, FLUSH_SECONDS = 500, 5.0  # points of a run that wait for their transaction, and how long
ROLL_POINTS = 20_000  # rows of a run that become a Parquet file
MOST_LINES = 10_000  # of a run's log; later ones are counted, not kept
STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}

Point = tuple[str, int, float, float]  # name, step, Unix time, value


class Place(Protocol):
    """Where records are kept: a home's folder, database and stores. A ledger is one."""

    home: Path
    database: Database
    blobs: Stores


class Recorder:
    """Keeps the points that a verb tells of its run, and what its thread logs meanwhile. `close()` puts both into stores."""

    def __init__(self, place: Place, run_id: str) -> None:
        self.place = place
        self.run_id = run_id
        self.points: dict[tuple[str, int], Point] = {}
        self.written = 0
        self.lines = _Lines()
        self._flushed = time.monotonic()
        logging.getLogger("fourfold").addHandler(self.lines)

    def point(self, step: int, figures: Mapping[str, float]) -> None:
        """Figures of a step; equal names of an equal step are overwritten. A moment later they can be looked at."""
        now = time.time()
        self.points |= {(name, step): (name, step, now, float(value)) for name, value in figures.items()}
        if len(self.points) >= FLUSH_POINTS or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the points that wait."""
        points, self.points, self._flushed = list(self.points.values()), {}, time.monotonic()
        if points:
            self.place.database.repeat(lambda connection: append(connection, self.run_id, points))
            self.written += len(points)
        if self.written >= ROLL_POINTS:
            roll(self.place, self.run_id)
            self.written = 0

    def failed(self, error: BaseException) -> None:
        """Note where an error came from, unless it is one that says all by itself."""
        if not isinstance(error, FourfoldError | KeyboardInterrupt):
            frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
            self.lines.add({"at": time.time(), "level": "ERROR", "message": type(error).__name__, "frames": frames})

    def close(self) -> None:
        """Put what was recorded into the stores. What cannot be put there is logged: the run itself has ended."""
        logging.getLogger("fourfold").removeHandler(self.lines)
        try:
            self.flush()
            if self.written:
                roll(self.place, self.run_id)
            if self.lines.kept:
                text = b"".join(msgspec.json.encode(line) + b"\n" for line in self.lines.all())
                _store(self.place, self.run_id, "log", len(self.lines.kept), lambda path: path.write_bytes(text))
        except (FourfoldError, OSError) as error:
            log.warning("records of run %s are not all kept: %s", self.run_id, error)


class _Lines(logging.Handler):
    """Log records of the thread that made it, as mappings."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[dict[str, Any]] = []
        self.left_out = 0
        self.thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self.thread:
            return
        more = {key: value for key, value in vars(record).items() if key not in STANDARD and _is_plain(value)}
        line = {"at": record.created, "level": record.levelname, "logger": record.name, "message": record.getMessage(), **more}
        self.add(line)

    def add(self, line: dict[str, Any]) -> None:
        if len(self.kept) < MOST_LINES:
            self.kept.append(line)
        else:
            self.left_out += 1

    def all(self) -> list[dict[str, Any]]:
        note = {"at": time.time(), "level": "INFO", "message": f"{self.left_out:,} more lines are left out"}
        return [*self.kept, *([note] if self.left_out else [])]


def append(connection: sa.Connection, run_id: str, points: list[Point]) -> None:
    """Write points of a run, in place of those of the same name and step."""
    p = schema.metric_point
    gone = p.delete().where(p.c.run_id == run_id, p.c.name == sa.bindparam("old_name"), p.c.step == sa.bindparam("old_step"))
    connection.execute(gone, [{"old_name": name, "old_step": step} for name, step, _, _ in points])
    rows = [{"run_id": run_id, "name": name, "step": step, "at": at, "value": value} for name, step, at, value in points]
    connection.execute(p.insert(), rows)


def roll(place: Place, run_id: str) -> int:
    """Turn the points of a run that are rows into one Parquet file in the stores; returns how many."""
    p = schema.metric_point.c
    with place.database.read() as connection:
        query = sa.select(p.name, p.step, p.at, p.value).where(p.run_id == run_id).order_by(p.name, p.step)
        points = [tuple(row) for row in connection.execute(query)]
    if points:
        gone = schema.metric_point.delete().where(p.run_id == run_id, p.name == sa.bindparam("n"), p.step == sa.bindparam("s"))
        gone = gone.where(p.at == sa.bindparam("t"))  # one that was overwritten meanwhile stays
        keys = [{"n": name, "s": step, "t": at} for name, step, at, _ in points]
        _store(
            place, run_id, "metrics", len(points), lambda path: _parquet(path, points), lambda c: c.execute(gone, keys)
        )  # fmt: skip
    return len(points)


def roll_ended(place: Place) -> int:
    """Roll what runs left that were killed; returns how many points."""
    p, r = schema.metric_point.c, schema.run.c
    with place.database.read() as connection:
        query = sa.select(p.run_id).join(schema.run, r.id == p.run_id).where(r.state != "running").distinct()
        ended = list(connection.execute(query).scalars())
    return sum(roll(place, run_id) for run_id in ended)


def history(database: Database, materialised: Materialised, run_id: str, name: str | None = None) -> dict[str, list[Point]]:
    """The points of a run's metrics, or of the one of that name, in order of step."""
    import pyarrow.parquet as pq  # a home that trains nothing does without

    p = schema.metric_point.c
    with database.read() as connection:
        files = _manifests(connection, run_id, "metrics")
        query = sa.select(p.name, p.step, p.at, p.value).where(p.run_id == run_id)
        rows = [tuple(row) for row in connection.execute(query if name is None else query.where(p.name == name))]
    found: dict[tuple[str, int], Point] = {}
    for manifest in files:
        wanted = None if name is None else [("name", "=", name)]
        table = pq.read_table(materialised.open(manifest) / "metrics", filters=wanted)
        points = zip(*(table[column].to_pylist() for column in ("name", "step", "at", "value")), strict=True)
        found |= {(point[0], point[1]): point for point in points}
    found |= {(row[0], row[1]): row for row in rows}
    series: dict[str, list[Point]] = {}
    for key in sorted(found):
        series.setdefault(key[0], []).append(found[key])
    return series


def log_lines(database: Database, materialised: Materialised, run_id: str) -> list[dict[str, Any]]:
    """What was logged during a run, oldest first."""
    with database.read() as connection:
        files = _manifests(connection, run_id, "log")
    texts = [(materialised.open(manifest) / "log").read_bytes() for manifest in files]
    return [msgspec.json.decode(line) for text in texts for line in text.splitlines()]


def _manifests(connection: sa.Connection, run_id: str, kind: str) -> list[str]:
    r = schema.run_record.c
    query = sa.select(r.manifest).where(r.run_id == run_id, r.kind == kind).order_by(r.part)
    return list(connection.execute(query).scalars())


def _store(
    place: Place,
    run_id: str,
    kind: str,
    rows: int,
    write: Callable[[Path], Any],
    also: Callable[[sa.Connection], Any] = lambda connection: None,
) -> None:
    """A file into the stores, and the row that keeps it, in one transaction with `also`."""
    folder = place.home / "work" / new_id("record")
    folder.mkdir(parents=True)

    def commit(manifest: artifacts.Manifest, check: guard.Guard) -> None:
        with place.database.write() as connection:
            check(connection)
            artifacts.insert(connection, manifest)
            r = schema.run_record
            last = connection.execute(sa.select(sa.func.max(r.c.part)).where(r.c.run_id == run_id, r.c.kind == kind)).scalar()
            row = {"run_id": run_id, "kind": kind, "part": (last or 0) + 1, "manifest": manifest.digest, "rows": rows}
            connection.execute(r.insert(), row)
            also(connection)
            guard.release(connection, folder.name)

    try:
        write(folder / kind)
        guard.publish(place.database, place.blobs, folder, folder.name, commit)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _parquet(path: Path, points: list[Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = (("name", pa.string()), ("step", pa.int64()), ("at", pa.float64()), ("value", pa.float64()))
    columns = zip(types, zip(*points, strict=True), strict=True)
    table = pa.table({name: pa.array(list(values), kind) for (name, kind), values in columns})
    pq.write_table(table, path, compression="zstd")


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool) or value is None
