"""Collect: a source's files → a dataset version that holds the raw bytes, the documents, and what was left out."""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import blake3
import msgspec
import pyarrow as pa

from fourfold.core.build import settings_of
from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.fingerprint import digest_bytes, fingerprint
from fourfold.core.ids import ALPHABET
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.core.registry import split_spec
from fourfold.data.formats import BadLine, Record
from fourfold.data.fragments import LEADING, FragmentWriter, Log, columns_of, within, write_table
from fourfold.data.reading import Opened, Reader
from fourfold.data.sources import SOURCES, RawFile, Source, incremental
from fourfold.data.steps import DETAIL, DROPPED
from fourfold.data.terms import terms
from fourfold.data.visiting import forget_state, kept_state, visit_of
from fourfold.storage.artifacts import room_for
from fourfold.storage.ledger import Ledger

STEP = "collect"
RESERVED = (*LEADING, DROPPED, DETAIL)
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "development", "valid", "val", "validation"), "dev"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
}
NOT_BAD = frozenset({"hidden", "unknown_format", "empty_file", "empty"})  # left out, and nothing wrong with them
CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET.encode())
Spec = str | Mapping[str, Any]


def collect(
    ledger: Ledger,
    actor: Actor,
    name: str,
    source_spec: Spec,
    *,
    max_bad_lines: int | None = None,
    max_bad_share: float | None = None,
    licence: str | None = None,
    purpose: str | None = None,
    progress: Progress = silent,
) -> Version:
    """Read everything that a source holds into a new version of the dataset `name`.

    `licence` and `purpose` are kept with the version, and inherited by every version made from it. A source that is visited
    goes on where a killed run of the same name and settings ended. Raises BadSpec for a wrong setting, BadInput if no document
    is found or a limit that was set is passed, Conflict if the same is being collected now.
    """
    source = SOURCES.build(source_spec, path="source")
    visited = incremental(source)
    limits = Limits(max_bad_lines, max_bad_share)
    spec = {
        "source": {split_spec(source_spec, path="source")[0]: settings_of(source)},
        "max_bad_lines": max_bad_lines,
        "max_bad_share": max_bad_share,
    }
    declared = terms(licence, purpose)
    spec |= declared  # only what is declared: recipes of before stay what they were
    with ExitStack() as held:
        run = held.enter_context(
            ledger.run(STEP, kind="dataset", name=name, spec=spec, inputs=[], actor=actor, progress=progress)
        )
        held.enter_context(room_for(f"the dataset {name}"))
        files: Iterable[RawFile] | None = None
        if visited is not None:
            state = held.enter_context(kept_state(ledger.home, name, spec["source"]))
            files = visited.visit(visit_of(ledger, name, spec["source"], state, run))
        run.meta.update(collect_into(run.folder, source, limits, files=files, progress=run.progress), **declared)
        run.metrics({key: run.meta[key] for key in ("rows", "files", "bad")})
    if visited is not None:
        forget_state(ledger.home, name, spec["source"])
    return run.version


def contents(source: Source) -> str:
    """Fingerprint of what a source holds now: equal to `meta["contents"]` of a version collected from the same bytes."""
    reader = Reader(source)
    read = (file for file in source() if not isinstance(reader.open(file), str))  # the others leave nothing in a version
    return _contents({file.path: digest_bytes(file.data or b"") for file in read})


@dataclass(frozen=True, slots=True)
class Limits:
    """How many bad lines and unreadable files are too many; None is no limit. `max_bad_share` is of good and bad together."""

    max_bad_lines: int | None = None
    max_bad_share: float | None = None

    def __post_init__(self) -> None:
        if self.max_bad_lines is not None and self.max_bad_lines < 0:
            raise BadSpec(f"max_bad_lines is at least 0, not {self.max_bad_lines}.")
        if self.max_bad_share is not None and not 0 <= self.max_bad_share <= 1:
            raise BadSpec(f"max_bad_share is between 0 and 1, not {self.max_bad_share}.")

    def check(self, bad: int, good: int, where: str, *, at_end: bool = False) -> None:
        """Raises BadInput with the figures. The share is looked at when everything has been read."""
        if self.max_bad_lines is not None and bad > self.max_bad_lines:
            raise BadInput(
                f"{bad} bad lines (the last: {where}) among {good} good ones: more than max_bad_lines = {self.max_bad_lines}.",
                hint="Repair the file, set its encoding or text column, or raise max_bad_lines.",
            )
        if at_end and self.max_bad_share is not None and bad > self.max_bad_share * (bad + good):
            raise BadInput(
                f"{bad} of {bad + good} lines are bad ({bad / (bad + good):.1%}; the last: {where}): "
                f"more than max_bad_share = {self.max_bad_share}.",
                hint="Repair the files, set their encoding or text column, or raise max_bad_share.",
            )


@dataclass(slots=True)
class _Collected:
    """What has been found so far."""

    folder: Path
    reader: Reader
    limits: Limits
    fetched_at: datetime
    writer: FragmentWriter
    log: Log = field(default_factory=Log)
    digests: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[Any]] = field(default_factory=dict)
    renamed: set[str] = field(default_factory=set)
    bad: int = 0
    last_bad: str = ""


def collect_into(
    folder: Path,
    source: Source,
    limits: Limits = Limits(),
    *,
    files: Iterable[RawFile] | None = None,
    now: Callable[[], float] = time.time,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write a source's documents, raw bytes and drop log into `folder`; the figures for the version's meta.

    `files` is what was found, where the source was asked already. Raises BadInput if there is no document, or a limit is
    passed.
    """
    found = _Collected(folder, Reader(source), limits, _moment(now()), FragmentWriter(folder))
    for n, file in enumerate(source() if files is None else files, start=1):
        _take(found, file)
        progress(n, None, "files")
    if not found.writer.rows:
        raise _nothing(found)
    limits.check(found.bad, found.writer.rows, found.last_bad, at_end=True)
    schema = found.writer.close()
    write_table(pa.table(found.files), folder / "files.parquet")
    used = found.files
    meta = {
        "rows": found.writer.rows,
        "columns": columns_of(schema),
        "files": len(found.digests),
        "size_bytes_raw": sum(used["size_bytes"]),
        "bad": found.bad,
        "formats": dict(Counter(used["format"])),
        "encodings": dict(Counter(e for e in used["encoding"] if e)),
        "contents": _contents(found.digests),
        **found.log.write(folder, changes=False),
    }
    if found.writer.clashes:
        meta["type_clashes"] = found.writer.clashes
    if found.renamed:
        meta["renamed"] = sorted(found.renamed)
    return meta


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds * 1000) / 1000, UTC)


def document_id(path: str, content: bytes, occurrence: int) -> str:
    """`doc_` + 26 base-32 digits (130 bits) of BLAKE3 over the file's path, the record's own content, and its number among
    equal records of the file: it does not depend on where in the file the record stands.
    """
    digest = blake3.blake3(b"\x00".join((path.encode(), str(occurrence).encode(), content))).digest(20)
    return "doc_" + base64.b32encode(digest)[:26].translate(CROCKFORD).decode()


def _take(found: _Collected, file: RawFile) -> None:
    opened = found.reader.open(file)
    if isinstance(opened, str):
        _leave_out(found, file.path, None, opened, file.detail)
        return
    assert file.data is not None
    target = found.folder / "raw" / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.data)
    digest = found.digests[file.path] = digest_bytes(file.data)
    rows, bad, any_line = found.writer.rows, found.bad, False
    seen: Counter[bytes] = Counter()
    for record in opened.records:
        any_line = True
        if isinstance(record, Record):
            record = _add(found, file, digest, record, opened, seen)
        if isinstance(record, BadLine):
            _leave_out(found, within(file.path, record.place), record.line, record.reason, record.detail)
    if not any_line:
        _leave_out(found, file.path, None, "empty_file")
    _note(found, file, digest, opened, found.writer.rows - rows, found.bad - bad)


def _add(found: _Collected, file: RawFile, digest: str, record: Record, opened: Opened, seen: Counter[bytes]) -> BadLine | None:
    """One more document. A BadLine if it cannot be stored."""
    path, fields = file.path, {**file.fields, **record.fields}
    try:
        content = msgspec.json.encode([record.text, record.fields], order="deterministic")
    except UnicodeEncodeError:  # lone surrogates
        return BadLine(record.line, "invalid_bytes", place=record.place)
    key = blake3.blake3(record.place.encode("utf-8", "replace") + b"\x00" + content).digest(16)
    row: dict[str, Any] = {
        "doc_id": document_id(within(path, record.place), content, seen[key]),
        "text": record.text,
        "source": f"{within(path, record.place)}#{record.line}",
        "source_digest": digest,
        "fetched_at": found.fetched_at if file.fetched_at is None else _moment(file.fetched_at),
    }
    seen[key] += 1
    if opened.split:
        row["split"] = opened.split
    for name, value in fields.items():
        if name == "split" and "split" not in row and isinstance(value, str) and value.strip().lower() in SPLIT_WORDS:
            row["split"] = SPLIT_WORDS[value.strip().lower()]
        else:
            row[_free_name(found, name, fields)] = value
    found.writer.add(row, len(content))
    return None


def _free_name(found: _Collected, name: str, names: Mapping[str, Any]) -> str:
    """The field's name; one that the dataset needs for itself gets underscores."""
    if name not in RESERVED and name != "split":
        return name
    free = f"{name}_"
    while free in names:
        free += "_"
    found.renamed.add(f"{name} → {free}")
    return free


def _leave_out(found: _Collected, path: str, line: int | None, reason: str, detail: str = "") -> None:
    found.log.drop(path, line, None, STEP, reason, detail)
    if reason not in NOT_BAD:
        found.bad += 1
        found.last_bad = f"{path}:{line} {reason}" if line else f"{path} {reason}"
        found.limits.check(found.bad, found.writer.rows, found.last_bad)


def _note(found: _Collected, file: RawFile, digest: str, opened: Opened, rows: int, bad: int) -> None:
    assert file.data is not None
    values = {
        "path": file.path,
        "digest": digest,
        "size_bytes": len(file.data),
        "format": opened.format,
        "encoding": opened.encoding,
        "rows": rows,
        "bad": bad,
    }
    for name, value in values.items():
        found.files.setdefault(name, []).append(value)


def _contents(digests: Mapping[str, str]) -> str:
    return fingerprint(sorted(digests.items()))


def _nothing(found: _Collected) -> BadInput:
    reasons = ", ".join(f"{n} × {reason}" for reason, n in found.log.reasons.most_common())
    if not reasons:
        return BadInput("The source holds no file.", hint="Check the path, and the patterns of include and exclude.")
    return BadInput(
        f"The source holds no document that can be read. Left out: {reasons}.",
        hint="Check the path, the file endings (endings: {dat: csv}) and the text column (formats: {csv: {text: body}}).",
    )
