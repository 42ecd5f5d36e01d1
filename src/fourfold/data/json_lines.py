"""JSON Lines, or one JSON array: the objects of a file with their lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from fourfold.data.decode import SURROGATES, lines_of

SPACE = " \t\n\r"


class Bad(NamedTuple):
    """What is no object: its line, why, and detail."""

    line: int
    reason: str
    detail: str = ""


def values_of(data: bytes, encoding: str) -> Iterator[tuple[int, dict[str, Any] | Bad]]:
    """One object per line; a file that begins with `[` is read as one array of objects."""
    found = lines_of(data, encoding)
    first = next((line.lstrip()[:1] for line in found.lines if line.strip()), "")
    if first == "[":
        yield from _array("\n".join(found.lines))
        return
    for i, raw in enumerate(found.lines):
        if i in found.broken:
            yield i + 1, Bad(i + 1, "invalid_bytes")
        elif raw.strip():
            yield i + 1, _object(i + 1, raw)


def _object(line: int, raw: str) -> Any:
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        try:  # what Python itself writes and msgspec refuses: NaN, integers beyond 64 bits, lone surrogates
            value = json.loads(raw, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            return Bad(line, "not_json")
        if SURROGATES.search(json.dumps(value, ensure_ascii=False)):
            return Bad(line, "invalid_bytes")
    return value if isinstance(value, dict) else Bad(line, "not_an_object")


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
            yield line + 1, Bad(line + 1, "not_json", "the rest of the array is left out")
            return
        spoilt = SURROGATES.search(text, at, end) or SURROGATES.search(json.dumps(value, ensure_ascii=False))
        if spoilt:
            yield line + 1, Bad(line + 1, "invalid_bytes")
        else:
            yield line + 1, value if isinstance(value, dict) else Bad(line + 1, "not_an_object")
        line += text.count("\n", at, end)
        at = end
