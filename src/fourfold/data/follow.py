"""Follow a document: from raw bytes through every dataset that it passed to the last, and from a raw file to what came of it.

Nothing of this is stored: logs say which step changed or dropped a document, and the change itself is worked out again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.core.errors import FourfoldError, NotFound, did_you_mean
from fourfold.core.fingerprint import digest_bytes
from fourfold.data.dataset import Dataset
from fourfold.data.fragments import place_of, raw_path
from fourfold.data.on_versions import OnVersion
from fourfold.data.steps import DROPPED, STEPS, Barrier, Step

LINES, CHARACTERS = 20, 2000  # of a raw file that are shown where a document begins in it
ONE_BYTE_LINES = ("utf-8", "utf_8", "ascii", "gb", "latin", "iso-8859", "cp125", "big5")  # a line ends with one byte of its own
NOT_COMPARED = ("fetched_at", "source_digest")


@dataclass(frozen=True, slots=True)
class Change:
    """What a step (or several, where only all together can be told) made of a column."""

    step: str
    column: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Drop:
    """Why a document, or a line that became none, goes no further."""

    step: str
    reason: str
    detail: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """A dataset that a document passed: the row as it left it (None: it was dropped there), and what changed on the way in."""

    dataset: str  # name@number
    doc_id: str
    row: dict[str, Any] | None
    changes: tuple[Change, ...] = ()
    drop: Drop | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """The bytes that a document was made of: a file of a collected dataset, whether it is still what its digest says, and the
    beginning of the document in it (empty where the file is not text).
    """

    dataset: str
    path: str  # within the dataset's raw files
    place: str  # what lies within it, for an archive
    line: int | None
    digest: str
    size_bytes: int
    verified: bool
    format: str
    encoding: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Way:
    """The way of a document: its raw bytes (None if no dataset of the chain holds them) and the datasets, in order."""

    doc_id: str
    raw: Raw | None
    stages: tuple[Stage, ...]


@dataclass
class Passed:
    """A dataset of the chain, opened: its folder and what its run was told."""

    ref: str
    folder: Path
    verb: str
    spec: Mapping[str, Any]
    inputs: tuple[str, ...] = field(default_factory=tuple)  # datasets that it was made from

    @cached_property
    def places(self) -> dict[str, tuple[int, int]]:
        """Document → fragment and row."""
        return {
            doc_id: (n, row)
            for n, path in enumerate(self.fragments)
            for row, doc_id in enumerate(pq.read_table(path, columns=["doc_id"])["doc_id"].to_pylist())
        }

    @cached_property
    def by_source(self) -> dict[str, list[str]]:
        """Source (path#line) → documents."""
        found: dict[str, list[str]] = {}
        for path in self.fragments:
            table = pq.read_table(path, columns=["doc_id", "source"])
            for doc_id, source in zip(table["doc_id"].to_pylist(), table["source"].to_pylist()):
                found.setdefault(source, []).append(doc_id)
        return found

    @cached_property
    def fragments(self) -> list[Path]:
        return [fragment.path for fragment in Dataset(self.folder).fragments()]

    @cached_property
    def tables(self) -> dict[int, pa.Table]:
        return {}

    @cached_property
    def files(self) -> list[dict[str, Any]]:
        """The raw files that it holds, if it was collected."""
        return _log(self.folder / "files.parquet")

    @cached_property
    def raws(self) -> dict[str, tuple[bytes, str]]:
        return {}

    def raw(self, path: str) -> tuple[bytes, str]:
        """A raw file and its digest."""
        if path not in self.raws:
            self.raws.clear()  # one file in memory at a time
            data = (self.folder / "raw" / path).read_bytes()
            self.raws[path] = (data, digest_bytes(data))
        return self.raws[path]

    @cached_property
    def drops(self) -> list[dict[str, Any]]:
        return _log(self.folder / "drops.parquet")

    @cached_property
    def drop_of(self) -> dict[str, Drop]:
        return {
            row["doc_id"]: Drop(row["step"], row["reason"], row["detail"] or "", row["line"])
            for row in self.drops
            if row["doc_id"] is not None
        }

    @cached_property
    def changed_by(self) -> dict[str, set[str]]:
        """Document → the steps that changed it."""
        found: dict[str, set[str]] = {}
        for row in _log(self.folder / "changes.parquet"):
            found.setdefault(row["doc_id"], set()).add(row["step"])
        return found

    @cached_property
    def steps(self) -> list[tuple[str, Step | None]]:
        """Names and parts of a clean run's steps; None for one that cannot be built any more."""
        return [(name, _built({name: settings})) for spec in self.spec.get("steps", ()) for name, settings in spec.items()]

    def knows(self, doc_id: str) -> bool:
        """Whether the document is here, or was dropped here."""
        return doc_id in self.places or doc_id in self.drop_of

    def one(self, doc_id: str) -> pa.Table | None:
        """The row of a document as a table, or None."""
        place = self.places.get(doc_id)
        if place is None:
            return None
        n, row = place
        if n not in self.tables:
            self.tables.clear()  # one fragment in memory at a time
            self.tables[n] = pq.read_table(self.fragments[n])
        return self.tables[n].slice(row, 1)


class Chain:
    """A dataset and all that it was made from, opened once: follows as many documents as are asked for."""

    def __init__(self, passed: Sequence[Passed]) -> None:
        """`passed`: the dataset first, what it was made from after it, down to what was collected."""
        self._last = passed[0].ref
        self._passed = {one.ref: one for one in passed}

    def follow(self, doc_id: str) -> Way:
        """The way of a document that is in the last dataset, or was dropped on the way there. Raises NotFound."""
        found = next((one for one in self._passed.values() if one.knows(doc_id)), None)
        if found is None:
            raise NotFound(f"{self._last} and what it was made from know no document {doc_id!r}.",
                           hint=f"Run: fourfold documents {self._last}")  # fmt: skip
        stages = [*self._back(found, doc_id)][::-1]
        raw = next((self._raw(self._passed[s.dataset], s) for s in stages if s.row is not None), None)
        return Way(doc_id, raw, (*stages, *self._onward(found, doc_id)))

    def documents(self) -> list[str]:
        """Every document of every dataset of the chain, also those that were dropped."""
        found = [doc_id for one in self._passed.values() for doc_id in (*one.places, *one.drop_of)]
        return list(dict.fromkeys(found))

    def of_file(self, path: str) -> tuple[Raw, list[Way], list[Drop]]:
        """A raw file (by its path or digest), the ways of all documents that came of it, in order, and what in it became none.

        Raises NotFound.
        """
        known: list[str] = []
        for one in reversed(self._passed.values()):
            known += [file["path"] for file in one.files]
            file = next((f for f in one.files if path in (f["path"], f["digest"])), None)
            if file is not None:
                inside = [
                    doc_id
                    for source, doc_ids in one.by_source.items()
                    if raw_path(place_of(source)[0]) == file["path"]
                    for doc_id in doc_ids
                ]
                lost = [
                    Drop(row["step"], row["reason"], row["detail"] or "", row["line"])
                    for row in one.drops
                    if row["doc_id"] is None and raw_path(row["source"]) == file["path"]
                ]
                return _raw_file(one, file, "", None), [self.follow(doc_id) for doc_id in inside], lost
        raise NotFound(f"No raw file {path!r} is behind {self._last}.{did_you_mean(path, known)}",
                       hint=f"Run: fourfold describe {self._last}")  # fmt: skip

    def _back(self, at: Passed, doc_id: str) -> Iterator[Stage]:
        """The stages up to `at`, the last first. A document whose id is new there is followed by where its text came from."""
        row = at.one(doc_id)
        drop = None if row is not None else at.drop_of.get(doc_id)
        origin = next(
            ((self._passed[ref], found) for ref in at.inputs for found in [self._named(ref, doc_id, row)] if found), None
        )
        if origin is None:
            yield Stage(at.ref, doc_id, _plain(row), (), drop)
            return
        before, earlier = origin
        yield Stage(at.ref, doc_id, _plain(row), tuple(_changes(at, before.one(earlier), row, earlier)), drop)
        yield from self._back(before, earlier)

    def _named(self, ref: str, doc_id: str, row: pa.Table | None) -> str | None:
        """What the document is called in the dataset `ref`."""
        before = self._passed[ref]
        if doc_id in before.places:
            return doc_id
        if row is None:
            return None
        there = before.by_source.get(row["source"][0].as_py(), [])
        return there[0] if len(there) == 1 else None

    def _onward(self, at: Passed, doc_id: str) -> Iterator[Stage]:
        """The later datasets in which the document stands under the same id, where `at` is not the last."""
        for one in reversed(self._passed.values()):
            if at.ref in one.inputs and one.knows(doc_id):
                row = one.one(doc_id)
                drop = None if row is not None else one.drop_of.get(doc_id)
                yield Stage(one.ref, doc_id, _plain(row), tuple(_changes(one, at.one(doc_id), row, doc_id)), drop)
                yield from self._onward(one, doc_id)
                return

    def _raw(self, at: Passed, stage: Stage) -> Raw | None:
        """The raw file of a document of a dataset that holds raw files."""
        assert stage.row is not None
        inside, line = place_of(stage.row["source"])
        path = raw_path(inside)
        file = next((f for f in at.files if f["path"] == path), None)
        return None if file is None else _raw_file(at, file, inside[len(path) :].removeprefix("!/"), line)


def _raw_file(at: Passed, file: Mapping[str, Any], place: str, line: int | None) -> Raw:
    data, digest = at.raw(file["path"])
    encoding = file.get("encoding") or ""
    excerpt = "" if place or not encoding or data[:4] == b"PAR1" or data[:2] == b"\x1f\x8b" else _excerpt(data, encoding, line)
    verified = digest == file["digest"]
    return Raw(at.ref, file["path"], place, line, file["digest"], len(data), verified, file["format"], encoding, excerpt)


def _excerpt(data: bytes, encoding: str, line: int | None) -> str:
    try:
        lines = data.split(b"\n") if encoding.startswith(ONE_BYTE_LINES) else data.decode(encoding, "replace").split("\n")
        begun = (line or 1) - 1
        shown = lines[begun : begun + LINES]
        return "\n".join(one.decode(encoding, "replace") if isinstance(one, bytes) else one for one in shown)[:CHARACTERS]
    except LookupError:
        return ""


def _log(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist() if path.exists() else []


def _plain(row: pa.Table | None) -> dict[str, Any] | None:
    return None if row is None else row.to_pylist()[0]


def _built(spec: dict[str, Any]) -> Step | None:
    try:
        return STEPS.build(spec)
    except FourfoldError:  # a step of another release, or of a package that is not installed here
        return None


def _changes(at: Passed, before: pa.Table | None, after: pa.Table | None, doc_id: str) -> Iterator[Change]:
    """What a run changed in a document, step by step where its steps can be done again."""
    if before is None:
        return
    if at.verb != "clean":
        if after is not None:
            yield from _compared(at.verb, before, after)
        return
    by = at.changed_by.get(doc_id, set())
    found, rest, together = _again(at, before, by, at.drop_of.get(doc_id))
    if after is None:
        yield from found
    elif together or not _differ(rest, after):
        yield from found
        yield from _compared(", ".join(together), rest, after) if together else ()
    else:  # the steps of this release make something else of it: what is kept is what happened
        yield from _compared(", ".join(name for name, _ in at.steps if name in by), before, after)


def _again(at: Passed, row: pa.Table, by: set[str], drop: Drop | None) -> tuple[list[Change], pa.Table, list[str]]:
    """The changes of the steps that can be done again on one row, the row after them, and the steps from the first that cannot
    (it took the whole dataset to do it) onwards.
    """
    found: list[Change] = []
    together: list[str] = []
    for name, step in at.steps:
        done = None if together else _done(step, row)
        if done is not None:
            found += _compared(name, row, done)
            row = done
        elif name in by:
            together.append(name)
        if drop is not None and name == drop.step:
            break
    return found, row, together


def _done(step: Step | None, row: pa.Table) -> pa.Table | None:
    """The row after a step; None for one that takes the whole dataset, or a version that it stands on."""
    if step is None or isinstance(step, Barrier | OnVersion):
        return None
    try:
        done = step(row)
    except FourfoldError:  # the dataset then had what this row of it has not
        return None
    return done.drop_columns([column for column in done.column_names if column.startswith(DROPPED)])


def _differ(one: pa.Table, other: pa.Table) -> bool:
    return next(_compared("", one, other), None) is not None


def _compared(step: str, before: pa.Table, after: pa.Table) -> Iterator[Change]:
    """The columns that differ, in order; one that is new or gone counts, provenance does not."""
    names = dict.fromkeys([*before.column_names, *after.column_names])
    for name in names:
        if name in NOT_COMPARED:
            continue
        one, other = (table[name][0].as_py() if name in table.column_names else None for table in (before, after))
        if one != other:
            yield Change(step, name, one, other)
