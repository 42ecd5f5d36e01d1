"""What exporters share: rows as plain values, JSON lines, turns of a conversation, and archives of several files."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.core.errors import BadInput, did_you_mean
from fourfold.data.dataset import Dataset

BATCH = 1000
EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every file in an archive: equal data, equal bytes
HUMAN, ASSISTANT, SYSTEM = "human", "gpt", "system"  # ShareGPT's names of roles
ROLES = {"user": HUMAN, "assistant": ASSISTANT, "system": SYSTEM, HUMAN: HUMAN, ASSISTANT: ASSISTANT}

Row = dict[str, Any]


def rows_of(dataset: Dataset) -> Iterator[Row]:
    """The rows in order, with times as ISO 8601."""
    for fragment in dataset.fragments():
        for batch in fragment.table().to_batches(BATCH):
            for row in batch.to_pylist():
                if row.get("fetched_at") is not None:
                    row["fetched_at"] = row["fetched_at"].isoformat()
                yield row


def need_columns(dataset: Dataset, names: Iterable[str], what: str) -> None:
    """Raises BadInput if the dataset lacks one of the columns."""
    fragment = next(dataset.fragments(), None)
    known = [] if fragment is None else pq.read_schema(fragment.path).names
    for name in names:
        if name not in known:
            raise BadInput(
                f"The dataset has no column {name!r}, which {what} is made of.{did_you_mean(name, known)}",
                hint=f"Columns: {', '.join(known)}. Name another with --set.",
            )


def write_lines(path: Path, rows: Iterable[Row], line: Callable[[Row], Any | str]) -> dict[str, int]:
    """A JSON document per row. `line` gives it, or a text: the reason why there is none; how many, by reason."""
    skipped: Counter[str] = Counter()
    with path.open("wb") as file:
        for row in rows:
            found = line(row)
            if isinstance(found, str):
                skipped[found] += 1
            else:
                file.write(msgspec.json.encode(found) + b"\n")
    return dict(skipped)


def write_array(path: Path, rows: Iterable[Row], item: Callable[[Row], Any | str]) -> dict[str, int]:
    """The same as one JSON array."""
    skipped: Counter[str] = Counter()
    with path.open("wb") as file:
        between = b"[\n"
        for row in rows:
            found = item(row)
            if isinstance(found, str):
                skipped[found] += 1
            else:
                file.write(between + msgspec.json.encode(found))
                between = b",\n"
        file.write(b"[]\n" if between == b"[\n" else b"\n]\n")
    return dict(skipped)


def write_parquet(path: Path, tables: Iterable[pa.Table]) -> int:
    """The tables as one Parquet file; rows."""
    writer, rows = None, 0
    try:
        for table in tables:
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table.cast(writer.schema))
            rows += len(table)
    finally:
        if writer is not None:
            writer.close()
    return rows


def archive(path: Path, files: Mapping[str, Path | bytes]) -> None:
    """Files under their names in a zip archive, the same bytes for the same files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, EPOCH)
            with packed.open(info, "w", force_zip64=True) as target:
                if isinstance(content, bytes):
                    target.write(content)
                else:
                    with content.open("rb") as source:
                        while part := source.read(1 << 20):
                            target.write(part)


def turns(row: Row, messages: str, prompt: str, response: str) -> list[dict[str, str]] | str:
    """The turns of a row as `{"role", "content"}`: of its column of messages (role/content, or from/value), else of a
    question and its answer; or the reason why there are none.
    """
    if not prompt:
        return _messages(row.get(messages))
    if not row.get(prompt) or not row.get(response):
        return "no_answer" if row.get(prompt) else "no_question"
    return [{"role": "user", "content": str(row[prompt])}, {"role": "assistant", "content": str(row[response])}]


def _messages(value: Any) -> list[dict[str, str]] | str:
    try:
        items = msgspec.json.decode(value) if isinstance(value, str) else value
        found = [
            {"role": _role(item.get("role", item.get("from"))), "content": str(item.get("content", item.get("value")))}
            for item in items
        ]
    except (msgspec.MsgspecError, AttributeError, TypeError):
        return "no_messages"
    return found or "no_messages"


def _role(role: Any) -> str:
    return {HUMAN: "user", ASSISTANT: "assistant", "bot": "assistant"}.get(str(role), str(role))
