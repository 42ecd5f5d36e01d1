"""Prodigy tasks: text, tokens, spans, answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.data.dataset import Dataset
from fourfold.data.exporting import rows_of, write_lines
from fourfold.data.gold_spans import located, spans_of

META = ("doc_id", "source")


@dataclass(frozen=True, slots=True)
class Prodigy:
    """A task per line: `text`, `tokens` with their offsets, `spans` with offsets and tokens, `label` where there is one,
    `answer`.
    """

    spans: str = "spans"
    label: str = "label"

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "jsonl"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        return write_lines(path, rows_of(dataset), self._task)

    def _task(self, row: dict[str, Any]) -> dict[str, Any] | str:
        places = located(row)
        tokens = [{"text": text, "start": start, "end": end, "id": i} for i, (text, start, end) in enumerate(places)]
        task: dict[str, Any] = {"text": row["text"] or "", "tokens": tokens, "meta": {name: row[name] for name in META}}
        if self.spans in row and (found := spans_of(row, self.spans)) is not None:
            task["spans"] = []
            for span in found:
                inside = [i for i, (_, start, end) in enumerate(places) if start < span.end and span.start < end]
                at = {"token_start": inside[0], "token_end": inside[-1]} if inside else {}
                task["spans"].append({"start": span.start, "end": span.end, **at, "label": span.entity})
        if row.get(self.label) is not None:
            task["label"] = str(row[self.label])
        return {**task, "answer": "accept"}
