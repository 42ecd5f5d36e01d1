"""Labelled spans of a row, in the forms that people have them: Presidio, Prodigy and Label Studio spans, or BIO tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fourfold.core.errors import BadInput
from fourfold.data.detectors import Finding
from fourfold.data.tokens import gaps
from fourfold.data.words import pieces

START, END = ("start", "start_position", "start_offset"), ("end", "end_position", "end_offset")
LABEL = ("label", "entity_type", "entity", "type", "labels")


def spans_of(row: Mapping[str, Any], column: str) -> list[Finding] | None:
    """The labelled spans of a row in order of start; None if the row is not labelled.

    `column` holds a JSON list of objects with start, end and label (also as Presidio, doccano and Label Studio call them), or a
    list of BIO tags beside the row's `tokens`. Raises BadInput for what is neither, and for a span beyond the text.
    """
    value = row[column]
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(item, str) for item in value) and "tokens" in row:
        return _of_tags(row, value)
    try:
        items = msgspec.json.decode(value) if isinstance(value, str) else value
        found = [_span(item, len(row["text"])) for item in items if _is_span(item)]
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"Column {column!r} of document {row['doc_id']} holds no labelled spans.",
            hint='Spans are a list such as [{"start": 3, "end": 14, "label": "CN_MOBILE"}], or BIO tags beside tokens.',
        ) from error
    return sorted(found, key=lambda f: f.start)


def _is_span(item: Any) -> bool:
    """Label Studio's results hold choices and relations, too."""
    return not isinstance(item, Mapping) or item.get("type") not in ("choices", "relation", "textarea", "rating")


def _span(item: Any, length: int) -> Finding:
    if not isinstance(item, Mapping):
        raise TypeError("no object")
    inner = item["value"] if isinstance(item.get("value"), Mapping) else item
    start, end, label = (_first(inner, names) for names in (START, END, LABEL))
    label = label[0] if isinstance(label, list) else label
    if not 0 <= start < end <= length:
        raise ValueError(f"a span from {start} to {end} in a text of {length}")
    return Finding(start, end, str(label), 1.0)


def _first(item: Mapping[str, Any], names: Sequence[str]) -> Any:
    for name in names:
        if name in item:
            return item[name]
    raise KeyError(names[0])


def _of_tags(row: Mapping[str, Any], tags: Sequence[str]) -> list[Finding] | None:
    """Spans of BIO tags; None where the tokens do not make up the text."""
    spaces = gaps(row["text"], row["tokens"] or [])
    if spaces is None or len(tags) != len(row["tokens"] or []):
        return None
    found: list[Finding] = []
    at, before = 0, "O"
    for space, token, tag in zip(spaces, row["tokens"], tags):
        start = at + len(space)
        at = start + len(token)
        mark, _, label = tag.partition("-")
        if mark == "I" and before[2:] == label and found:
            found[-1] = Finding(found[-1].start, at, label, 1.0)
        elif mark in ("B", "I"):
            found.append(Finding(start, at, label, 1.0))
        before = tag
    return found


def located(row: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """The words of a row with their places: its tokens where they make up the text, else as they are cut."""
    return _placed(row["text"] or "", row.get("tokens"), ())


def bio(row: Mapping[str, Any], column: str) -> tuple[list[str], list[str]]:
    """Words of a row and their BIO tags by its labelled spans; a word that a span begins or ends in is cut there. Empty if the
    row is not labelled.
    """
    spans = spans_of(row, column)
    if spans is None:
        return [], []
    borders = sorted({place for span in spans for place in (span.start, span.end)})
    places = _placed(row["text"] or "", None, borders)
    tags = []
    for _, start, end in places:
        span = next((s for s in spans if s.start < end and start < s.end), None)
        tags.append("O" if span is None else f"{'B' if start == span.start else 'I'}-{span.entity}")
    return [text for text, _, _ in places], tags


def _placed(text: str, tokens: Sequence[str] | None, borders: Sequence[int]) -> list[tuple[str, int, int]]:
    spaces = gaps(text, tokens) if tokens else None
    found: list[tuple[str, int, int]] = []
    if tokens and spaces is not None:
        at = 0
        for space, token in zip(spaces, tokens):
            found.append((token, at + len(space), at + len(space) + len(token)))
            at = found[-1][2]
        return found
    for start, end in zip([0, *borders], [*borders, len(text)]):
        at = start
        for piece in pieces(text[start:end]):
            at = text.index(piece, at)
            found.append((piece, at, at + len(piece)))
            at += len(piece)
    return found
