"""Finding a request's record, and sealing complete logs into Parquet segments that the ledger keeps."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.application.serving.request_log import (
    Closed,
    Opened,
    RequestId,
    Torn,
    closed_path,
    open_path,
    read_log,
    segment_name,
)
from fourfold.core.errors import NotFound
from fourfold.storage.ledger import Ledger

log = logging.getLogger(__name__)

ROW_GROUP_ROWS = 4096
COLUMNS = {
    pa.int64(): ("offset", "at_ms", "inputs", "input_bytes", "input_tokens"),
    pa.string(): ("actor", "deployment", "version", "digest", "task", "step", "trace", "input_hash", "code", "error"),
    pa.float64(): ("confidence", "queue_ms", "model_ms", "total_ms"),
    pa.binary(): ("summary", "content_inputs", "content_results"),
}
SCHEMA = pa.schema([(name, kind) for kind, names in COLUMNS.items() for name in names])  # `offset` is the first


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a request. `code` is "open" while it runs, and stays so if the front died before its end.

    `input_hash` is BLAKE3 of the texts, keyed by the home's salt. `summary` holds labels and scores, one entry per input, no
    text. `content_inputs` (msgpack) and `content_results` (JSON) are there only where the deployment keeps content.
    """

    id: str
    at_ms: int
    actor: str
    deployment: str
    version: str
    digest: str
    task: str
    step: str
    trace: str
    inputs: int
    input_hash: str
    input_bytes: int
    code: str
    error: str
    confidence: float | None
    input_tokens: int
    summary: Any
    queue_ms: float
    model_ms: float
    total_ms: float
    content_inputs: bytes | None
    content_results: bytes | None


def find(home: Path, ledger: Ledger, request_id: str) -> Record:
    """The record of a request, the one answered a moment ago included. Raises BadInput if it is no id, NotFound without a
    record.

    One read in a segment that is still a log, one row group in a sealed one.
    """
    wanted = RequestId.parse(request_id)
    if not wanted.recorded:
        raise NotFound(f"{request_id} has no record: it was refused before it reached a model.", hint="Its reply says why.")
    name = segment_name(wanted.front, wanted.segment)
    row = _in_logs(home, name, wanted) or _in_segment(ledger, name, wanted)
    if row is None or row["at_ms"] != wanted.at_ms:
        raise NotFound(
            f"There is no record of {request_id}.", hint="It was asked on another home, or its record was lost on a full disk."
        )
    return _record(request_id, row)


def _in_logs(home: Path, name: str, wanted: RequestId) -> dict[str, Any] | None:
    for path in (open_path(home, name), closed_path(home, name)):  # in the order in which a file moves
        try:
            return _at(path, wanted.offset)
        except FileNotFoundError:
            continue
    return None


def _at(path: Path, offset: int) -> dict[str, Any] | None:
    """The row of the record at `offset`. Its end stands at most as many records further as were in flight then."""
    records = read_log(path, Torn(), start=offset)
    found = next(records, None)
    if found is None or found[0] != offset or not isinstance(found[1], Opened):
        return None
    closed = next((r for _, r in records if isinstance(r, Closed) and r.opened == offset), None)
    return _row(offset, found[1], closed)


def _in_segment(ledger: Ledger, name: str, wanted: RequestId) -> dict[str, Any] | None:
    try:
        path = ledger.open_segment(name)
    except NotFound:
        return None
    with pq.ParquetFile(path) as file:
        for index in range(file.num_row_groups):
            bounds = file.metadata.row_group(index).column(0).statistics
            if bounds.min <= wanted.offset <= bounds.max:
                rows = file.read_row_group(index)
                at = rows["offset"].to_numpy().searchsorted(wanted.offset)
                row = rows.slice(int(at), 1).to_pylist()
                return row[0] if row and row[0]["offset"] == wanted.offset else None
    return None


def _record(request_id: str, row: dict[str, Any]) -> Record:
    summary = msgspec.msgpack.decode(row["summary"]) if row["summary"] else []
    fields = {**row, "id": request_id, "summary": summary}
    return Record(**{name: fields[name] for name in Record.__dataclass_fields__})


def _row(offset: int, opened: Opened, closed: Closed | None) -> dict[str, Any]:
    end = closed or Closed(offset, "open", "", None, 0, b"", 0.0, 0.0, 0.0)
    row = {name: getattr(opened, name) for name in Opened.__struct_fields__ if name != "content"}
    row |= {name: getattr(end, name) for name in Closed.__struct_fields__ if name not in ("opened", "content")}
    return {"offset": offset, **row, "content_inputs": opened.content, "content_results": end.content}


# ---- sealing ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sealed:
    """A log that became a segment: its rows, those of them that never ended, and damaged records that were passed over."""

    name: str
    rows: int
    unfinished: int
    torn: int


def seal(home: Path, ledger: Ledger) -> list[Sealed]:
    """Turn every complete log into a segment of the ledger. The log goes only after the ledger has it."""
    return [sealed for path in sorted((home / "requests" / "closed").glob("*.log")) if (sealed := _seal(path, ledger))]


def _seal(path: Path, ledger: Ledger) -> Sealed | None:
    part = path.with_name(f"{path.stem}.{os.getpid()}.parquet")
    torn = Torn()
    rows = unfinished = 0
    first = last = 0
    try:
        with pq.ParquetWriter(part, SCHEMA, compression="zstd") as writer:
            for group in _groups(_rows(path, torn)):
                first, last = first or group[0]["at_ms"], group[-1]["at_ms"]
                rows += len(group)
                unfinished += sum(row["code"] == "open" for row in group)
                writer.write_table(pa.Table.from_pylist(group, schema=SCHEMA))
        if rows:
            front = int(path.stem.partition("-")[0])
            ledger.add_segment(part, name=path.stem, front=front, rows=rows, first_at=first / 1000, last_at=last / 1000)
    finally:
        part.unlink(missing_ok=True)
    path.unlink()
    if torn.records:
        log.warning("segment %s: %d damaged records were passed over", path.stem, torn.records)
    return Sealed(path.stem, rows, unfinished, torn.records) if rows or torn.records else None


def _rows(path: Path, torn: Torn) -> Iterator[dict[str, Any]]:
    """A log's rows in order of offset. A request waits for its end, and those behind it wait with it."""
    waiting: dict[int, tuple[Opened, Closed | None]] = {}
    for offset, record in read_log(path, torn):
        if isinstance(record, Opened):
            waiting[offset] = (record, None)
        elif record.opened in waiting:
            waiting[record.opened] = (waiting[record.opened][0], record)
            yield from _ended(waiting)
    for offset, (opened, closed) in waiting.items():
        yield _row(offset, opened, closed)


def _ended(waiting: dict[int, tuple[Opened, Closed | None]]) -> Iterator[dict[str, Any]]:
    while waiting:
        offset, (opened, closed) = next(iter(waiting.items()))
        if closed is None:
            return
        del waiting[offset]
        yield _row(offset, opened, closed)


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == ROW_GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group
