"""What a verb left out of a dataset: file, number, reason; and the rows themselves, looked up where they still stand."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fourfold.core.errors import BadInput, did_you_mean
from fourfold.data.dataset import Dataset
from fourfold.data.fragments import DROPS, raw_path

LONGEST = 4000  # characters of a raw line that are shown


@dataclass(frozen=True, slots=True)
class Drop:
    """A row that went no further: where it stood, its document, which step took it out and why, and its text where it can
    still be found: in the dataset that the step read, or in the raw file; None where it is nowhere.
    """

    source: str
    line: int | None
    doc_id: str | None
    step: str
    reason: str
    detail: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class DropPage:
    """Some of the rows that were left out of a dataset; `total` of them, and how many `by_reason` there are in all."""

    dataset: str
    total: int
    by_reason: dict[str, int]
    rows: list[Drop]


def drops(
    ref: str, folder: Path, before: Sequence[Path], *, reason: str | None, step: str | None, limit: int, offset: int
) -> DropPage:
    """Rows `offset` … of the drop log of the version in `folder`; `before`: the folders of the datasets that it was made from.

    Raises BadInput for a reason or step that dropped nothing.
    """
    path = folder / "drops.parquet"
    log = pq.read_table(path) if path.exists() else DROPS.empty_table()
    counts = log["reason"].value_counts().to_pylist()
    by_reason = {one["values"]: one["counts"] for one in sorted(counts, key=lambda one: (-one["counts"], one["values"]))}
    for name, value in (("reason", reason), ("step", step)):
        if value is not None:
            known = sorted(pc.unique(log[name]).to_pylist())
            if value not in known:
                said = f"Known: {', '.join(known)}." if known else "It dropped nothing."
                raise BadInput(f"{ref} dropped nothing under the {name} {value!r}.{did_you_mean(value, known)}", hint=said)
            log = log.filter(pc.equal(log[name], value))
    page = log.slice(offset, limit).to_pylist()
    texts = _texts(before, {row["doc_id"] for row in page if row["doc_id"]})
    rows = [Drop(**row, text=texts.get(row["doc_id"] or "") or _raw(folder, row["source"], row["line"])) for row in page]
    return DropPage(ref, len(log), by_reason, rows)


def _texts(folders: Iterable[Path], doc_ids: set[str]) -> dict[str, str]:
    """Texts of documents, from the first dataset that holds each."""
    found: dict[str, str] = {}
    for folder in folders:
        for fragment in Dataset(folder).fragments():
            if not doc_ids - found.keys():
                return found
            wanted = pc.is_in(pq.read_table(fragment.path, columns=["doc_id"])["doc_id"], value_set=pa.array(sorted(doc_ids)))
            if pc.any(wanted).as_py():
                rows = pq.read_table(fragment.path, columns=["doc_id", "text"]).filter(wanted).to_pylist()
                found = {row["doc_id"]: row["text"] or "" for row in rows} | found
    return found


def _raw(folder: Path, source: str, line: int | None) -> str | None:
    """The line of a raw file, as far as its bytes are text; None for a whole file, a packed one, or one that was not kept."""
    path = folder / "raw" / raw_path(source)
    if line is None or not path.is_file():
        return None
    with path.open("rb") as file:
        if file.read(4)[:2] in (b"\x1f\x8b", b"PK") or source != raw_path(source):
            return None
        file.seek(0)
        for number, raw in enumerate(file, start=1):
            if number == line:
                return raw[: 4 * LONGEST].decode("utf-8", "backslashreplace").rstrip("\r\n")[:LONGEST]
    return None
