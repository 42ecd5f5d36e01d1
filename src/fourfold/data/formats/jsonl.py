"""JSON Lines, or one JSON array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from fourfold.core.errors import BadInput
from fourfold.data.columns import pick_text, plain, text_of, with_label
from fourfold.data.decode import AUTO, SURROGATES, check_encoding, lines_of
from fourfold.data.formats import BadLine, Record

SPACE = " \t\n\r"


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
        lines = lines_of(data, self.encoding)
        text: list[str] | None = None
        trouble: BadInput | None = None
        for line, value in self._values(lines.lines, lines.broken):
            if isinstance(value, BadLine):
                yield value
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

    def _values(self, lines: list[str], broken: frozenset[int]) -> Iterator[tuple[int, Any]]:
        first = next((line.lstrip()[:1] for line in lines if line.strip()), "")
        if first == "[":
            yield from _array("\n".join(lines))
            return
        for i, raw in enumerate(lines):
            if i in broken:
                yield i + 1, BadLine(i + 1, "invalid_bytes")
            elif raw.strip():
                yield i + 1, _object(i + 1, raw)

    def _record(self, line: int, value: dict[str, Any], text: list[str]) -> Record | BadLine:
        body = text_of([value.get(name) for name in text])
        if not body:
            return BadLine(line, "no_text")
        fields = {name: plain(found) for name, found in value.items() if name not in text or isinstance(found, list | dict)}
        return Record(body, line, with_label(fields, self.label))


def _object(line: int, raw: str) -> Any:
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        try:  # what Python itself writes and msgspec refuses: NaN, integers beyond 64 bits, lone surrogates
            value = json.loads(raw, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            return BadLine(line, "not_json")
        if SURROGATES.search(json.dumps(value, ensure_ascii=False)):
            return BadLine(line, "invalid_bytes")
    return value if isinstance(value, dict) else BadLine(line, "not_an_object")


def _array(text: str) -> Iterator[tuple[int, Any]]:
    """The objects of an array with their lines. What follows a syntax error cannot be told apart: it ends the file."""
    decoder = json.JSONDecoder(parse_constant=lambda _: None)
    at, line = text.index("[") + 1, text.count("\n", 0, text.index("["))
    while True:
        start = at
        while at < len(text) and text[at] in SPACE + ",":
            at += 1
        line += text.count("\n", start, at)
        if at < len(text) and text[at] == "]":
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            yield line + 1, BadLine(line + 1, "not_json", "the rest of the array is left out")
            return
        spoilt = SURROGATES.search(text, at, end) or SURROGATES.search(json.dumps(value, ensure_ascii=False))
        if spoilt:
            yield line + 1, BadLine(line + 1, "invalid_bytes")
        else:
            yield line + 1, value if isinstance(value, dict) else BadLine(line + 1, "not_an_object")
        line += text.count("\n", at, end)
        at = end
