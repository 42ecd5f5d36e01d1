"""The platform's own request records as dialogues, of deployments that keep content."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow.parquet as pq

from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.ids import base32
from fourfold.data.detectors import DETECTORS
from fourfold.data.scrub import Actions, Scrubber
from fourfold.data.sources import RawFile, Visit

COLUMNS = (
    "offset", "at_ms", "deployment", "version", "task", "code", "content_inputs", "content_results",
)  # fmt: skip
BATCH_ROWS = 1_000


class Memory(msgspec.Struct, frozen=True):
    """What a version knows: how it read the request log, and which segments when."""

    what: str = ""
    segments: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Requests:
    """The request records of `deployments` as dialogues: what was asked, what was answered, and how it ended.

    Records are taken where the deployment keeps content (its limit `record_content`), and nowhere else; with `mask` personal
    data is masked before anything is written. Later visits read what was sealed since.
    """

    deployments: tuple[str, ...] = ()  # names, or `*` for all
    mask: bool = True  # personal data, by the detector `patterns`; false: a later `deidentify` must
    formats: dict[str, dict[str, Any]] = field(default_factory=dict)
    endings: dict[str, str] = field(default_factory=dict)
    splits: dict[str, Literal["train", "dev", "test"]] = field(default_factory=dict)
    max_file_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        if not self.deployments:
            raise BadSpec("deployments is empty.", hint="For example deployments='[\"support\"]'")
        if self.max_file_bytes < 1:
            raise BadSpec(f"max_file_bytes is at least 1, not {self.max_file_bytes}.")

    def __call__(self) -> Iterator[RawFile]:
        raise BadSpec("requests is visited, not called.", hint="Run: fourfold collect NAME --source requests")

    def visit(self, visit: Visit, /) -> Iterator[RawFile]:
        """A raw file for each sealed segment of the request log, in order of time.

        Raises BadInput if no request was recorded with its content.
        """
        what = f"{sorted(self.deployments)} mask={self.mask}"
        before = _remembered(visit, what)
        read: dict[str, float] = {}
        scrubber = Scrubber([DETECTORS.build("patterns")], Actions("mask", {}, bytes(32))) if self.mask else None
        taken = left = 0
        for n, (name, open_segment) in enumerate(visit.segments(), 1):
            path, known = f"requests/{name}.dialogue", before.segments.get(name)
            lies = visit.previous.raw / path if visit.previous is not None else None
            if known is not None:
                read[name] = known
                if lies is not None and lies.is_file():
                    taken += 1
                    yield RawFile(path, lies.read_bytes(), known, fetched_at=known)
                continue
            lines, without = self._segment(name, open_segment(), scrubber)
            read[name], left, taken = visit.now(), left + without, taken + len(lines)
            if lines:
                yield RawFile(path, b"\n".join(lines) + b"\n", read[name], fetched_at=read[name])
            visit.progress(n, None, "segments")
        if left:
            yield RawFile("requests", None, time.time(), "not_recorded", f"{left} requests of deployments that keep no content")
        if not taken:
            raise BadInput(
                f"No request of {', '.join(self.deployments)} was recorded with its content.",
                hint="Deploy with --limit record_content=true; a segment of the log can be read once it is sealed.",
            )
        visit.memory.write_bytes(msgspec.json.encode(Memory(what, read)) + b"\n")

    def _segment(self, name: str, path: Path, scrubber: Scrubber | None) -> tuple[list[bytes], int]:
        """A line for each conversation of a segment, and how many requests were left out for want of content."""
        lines, without = [], 0
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(COLUMNS)):
                for row in batch.to_pylist():
                    if "*" not in self.deployments and row["deployment"] not in self.deployments:
                        continue
                    if row["content_inputs"] is None:
                        without += 1
                        continue
                    lines += [msgspec.json.encode(one) for one in _conversations(name, row, scrubber)]
        return lines, without


def _conversations(segment: str, row: Mapping[str, Any], scrubber: Scrubber | None) -> Iterator[dict[str, Any]]:
    """One for each input of a request: what was asked, and what was answered if it was."""
    front, _, number = segment.partition("-")
    request = ((row["at_ms"] << 16 | int(front)) << 24 | int(number)) << 40 | row["offset"]  # as the front numbers them
    inputs = msgspec.msgpack.decode(row["content_inputs"])
    results = msgspec.json.decode(row["content_results"]) if row["content_results"] else []
    for at, one in enumerate(inputs):
        result = results[at] if at < len(results) else None
        messages = _asked(one)
        if result is not None:
            messages.append({"role": "assistant", "content": _answered(result, masked=scrubber is not None)})
        if scrubber is not None:
            texts = scrubber.column("text", [message["content"] for message in messages]).values
            messages = [{**message, "content": text} for message, text in zip(messages, texts)]
        yield {
            "messages": messages,
            "outcome": row["code"],
            "request_id": f"req_{base32(request, 26)}",
            "deployment": row["deployment"],
            "version": row["version"],
            "task": row["task"],
            "date": datetime.fromtimestamp(row["at_ms"] / 1000, UTC).isoformat(timespec="milliseconds"),
        }


def _asked(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages = one.get("messages")
    if isinstance(messages, list):
        return [{"role": str(m.get("role", "user")), "content": str(m.get("content") or "")} for m in messages]
    said = [str(one.get(name) or "") for name in ("text", "query")]
    said += [str(item.get("text") or "") for item in one.get("items") or ()]
    return [{"role": "user", "content": "\n".join(part for part in said if part)}]


def _answered(result: Any, *, masked: bool) -> str:
    """The text that was generated; of other tasks the result as JSON, masked without the pieces of text that it repeats."""
    if isinstance(result, Mapping) and isinstance(result.get("text"), str):
        return result["text"]
    return msgspec.json.encode(_without_text(result) if masked else result).decode()


def _without_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_text(one) for name, one in value.items() if name != "text"}
    return [_without_text(one) for one in value] if isinstance(value, list) else value


def _remembered(visit: Visit, what: str) -> Memory:
    """What the version before knew; nothing if it took other requests, or took them otherwise."""
    if visit.previous is None or not visit.previous.memory.is_file():
        return Memory()
    found = msgspec.json.decode(visit.previous.memory.read_bytes(), type=Memory)
    return found if found.what == what else Memory()
