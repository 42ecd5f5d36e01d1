"""ShareGPT: a JSON array of conversations with turns of human and gpt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.data.dataset import Dataset
from fourfold.data.exporting import ROLES, need_columns, rows_of, turns, write_array


@dataclass(frozen=True, slots=True)
class ShareGpt:
    """`{"id", "conversations": [{"from": "human", "value"}, {"from": "gpt", "value"}]}`, of messages or of prompt and
    response.
    """

    messages: str = "messages"
    prompt: str = ""
    response: str = ""

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "json"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        need_columns(dataset, [self.prompt, self.response] if self.prompt else [self.messages], "a conversation")
        return write_array(path, rows_of(dataset), self._item)

    def _item(self, row: dict[str, Any]) -> dict[str, Any] | str:
        found = turns(row, self.messages, self.prompt, self.response)
        if isinstance(found, str):
            return found
        said = [{"from": ROLES.get(turn["role"], turn["role"]), "value": turn["content"]} for turn in found]
        return {"id": row["doc_id"], "conversations": said}
