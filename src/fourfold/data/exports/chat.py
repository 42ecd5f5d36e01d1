"""Chat: `{"messages": [{"role", "content"}]}` per line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.data.dataset import Dataset
from fourfold.data.exporting import need_columns, rows_of, turns, write_lines


@dataclass(frozen=True, slots=True)
class Chat:
    """Conversations as the OpenAI API writes them: of the column `messages`, else of the columns `prompt` and `response`."""

    messages: str = "messages"
    prompt: str = ""
    response: str = ""

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "jsonl"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        need_columns(dataset, [self.prompt, self.response] if self.prompt else [self.messages], "a conversation")
        return write_lines(path, rows_of(dataset), self._line)

    def _line(self, row: dict[str, Any]) -> dict[str, Any] | str:
        found = turns(row, self.messages, self.prompt, self.response)
        return found if isinstance(found, str) else {"messages": found}
