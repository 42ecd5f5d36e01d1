"""Dialogues: chat messages, ShareGPT or alpaca, one a line or in one JSON array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from fourfold.data.columns import plain
from fourfold.data.decode import AUTO, check_encoding
from fourfold.data.dialogues import Kind, dialogue_of
from fourfold.data.formats import BadLine, Record
from fourfold.data.json_lines import Bad, values_of


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Each conversation as one document: what was said, a message a line. Fields: `messages` (JSON, roles `system`, `user`,
    `assistant`, `tool`), `turns` (how often the user spoke), `roles`, `outcome`, and the record's others.
    """

    kind: Kind = "auto"  # messages, sharegpt or alpaca; auto: as each record looks
    outcome: str = ""  # the key of how it ended; default: outcome, resolution, rating, feedback, …
    encoding: str = AUTO

    def __post_init__(self) -> None:
        check_encoding(self.encoding)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        for line, value in values_of(data, self.encoding):
            if isinstance(value, Bad):
                yield BadLine(*value)
                continue
            found = dialogue_of(value, self.kind, self.outcome)
            if isinstance(found, str):
                yield BadLine(line, found)
                continue
            fields: dict[str, Any] = {
                "messages": msgspec.json.encode(found.messages).decode(), "turns": found.turns, "roles": found.roles,
            }  # fmt: skip
            if found.outcome is not None:
                fields["outcome"] = found.outcome if isinstance(found.outcome, str) else str(plain(found.outcome))
            yield Record(found.text, line, fields | {n: plain(value) for n, value in found.fields.items() if n not in fields})
