"""Label Studio tasks: texts with the annotations that there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.data.dataset import Dataset
from fourfold.data.exporting import rows_of, write_array
from fourfold.data.gold_spans import spans_of

LEFT_OUT = ("text", "tokens", "source_digest", "fetched_at")


@dataclass(frozen=True, slots=True)
class LabelStudio:
    """A JSON array of tasks: the text and fields under `data`, labelled spans (column `spans`) and the label (column
    `label`) as `annotations`, by the names that a labelling configuration gives them.
    """

    spans: str = "spans"
    label: str = "label"
    from_name: str = "label"  # of the spans' Labels tag
    choice_name: str = "choice"  # of the label's Choices tag
    to_name: str = "text"

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "json"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        return write_array(path, rows_of(dataset), self._task)

    def _task(self, row: dict[str, Any]) -> dict[str, Any]:
        data = {k: v for k, v in row.items() if k not in (*LEFT_OUT, self.spans, self.label) and v is not None}
        task: dict[str, Any] = {"data": {self.to_name: row["text"] or "", **data}}
        result = self._result(row)
        return {**task, "annotations": [{"result": result}]} if result else task

    def _result(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        text = row["text"] or ""
        found: list[dict[str, Any]] = []
        for i, span in enumerate((spans_of(row, self.spans) or []) if self.spans in row else []):
            value = {"start": span.start, "end": span.end, "text": text[span.start : span.end], "labels": [span.entity]}
            found.append(
                {"id": f"s{i}", "from_name": self.from_name, "to_name": self.to_name, "type": "labels", "value": value}
            )
        if row.get(self.label) is not None:
            value = {"choices": [str(row[self.label])]}
            found.append(
                {"id": "c0", "from_name": self.choice_name, "to_name": self.to_name, "type": "choices", "value": value}
            )
        return found
