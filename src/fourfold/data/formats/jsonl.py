"""JSON Lines, or one JSON array of objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fourfold.core.errors import BadInput
from fourfold.data.columns import pick_text, plain, text_of, with_label
from fourfold.data.decode import AUTO, check_encoding
from fourfold.data.formats import BadLine, Record
from fourfold.data.json_lines import Bad, values_of


@dataclass(frozen=True, slots=True)
class Jsonl:
    """One object per line. Strings, numbers, booleans and lists of strings become fields; whatever is nested, chat `messages`
    included, is kept as a JSON string. A file that begins with `[` is read as one array of objects.
    """

    text: str | tuple[str, ...] = ()  # keys of the text, joined by newlines; default: text, body, content, query, …
    label: str | None = None  # key that becomes `label`
    encoding: str = AUTO

    def __post_init__(self) -> None:
        check_encoding(self.encoding)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        text: list[str] | None = None
        trouble: BadInput | None = None
        for line, value in values_of(data, self.encoding):
            if isinstance(value, Bad):
                yield BadLine(*value)
                continue
            if text is None:
                try:
                    text = pick_text(list(value), self.text, format_name="jsonl")
                except BadInput as error:  # this object may lack what the next one has
                    trouble = trouble or error
                    yield BadLine(line, "no_text")
                    continue
            yield self._record(line, value, text)
        if text is None and trouble is not None:
            raise trouble

    def _record(self, line: int, value: dict[str, Any], text: list[str]) -> Record | BadLine:
        body = text_of([value.get(name) for name in text])
        if not body:
            return BadLine(line, "no_text")
        fields = {name: plain(found) for name, found in value.items() if name not in text or isinstance(found, list | dict)}
        return Record(body, line, with_label(fields, self.label))
