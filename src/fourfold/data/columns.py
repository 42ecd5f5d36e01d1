"""Which columns of a record make its text and its label, and what a field may hold."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from fourfold.core.errors import BadInput, did_you_mean

# Names of text columns that are taken without being told, first match first (compared without case).
TEXT_NAMES = (
    *("text", "body", "content", "query", "message", "sentence", "utterance", "question", "comment", "review", "description"),
    *("正文", "微博正文", "微博内容", "内容", "文本", "问题", "留言", "messages", "prompt", "instruction"),
)
NOT_WRITTEN = ("doc_id", "source", "source_digest", "split", "annotators", "dropped", "dropped_detail")


def pick_text(names: Sequence[str], wanted: str | Sequence[str] | None, *, format_name: str) -> list[str]:
    """The columns whose values, joined by newlines, are a record's text.

    `wanted` as set by the user, else the first of TEXT_NAMES, else the only column there is.
    Raises BadInput that lists the columns, and names the setting.
    """
    chosen = [wanted] if isinstance(wanted, str) else list(wanted or ())
    listed = ", ".join(names)
    for name in chosen:
        if name not in names:
            raise BadInput(
                f"There is no column {name!r} for the text.{did_you_mean(name, names)}",
                hint=f"Columns: {listed}. Set formats.{format_name}.text.",
            )
    if chosen:
        return chosen
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    for guess in TEXT_NAMES:
        if guess in by_lower:
            return [by_lower[guess]]
    if len(names) == 1:
        return [names[0]]
    raise BadInput(
        f"It is not clear which column holds the text. Columns: {listed}.",
        hint=f"Name it (formats: {{{format_name}: {{text: {names[-1]}}}}}), or exclude the file.",
    )


def plain(value: Any) -> Any:
    """The value as a field may hold it: str, int, float, bool, list of str or None; whatever else is nested becomes JSON.

    Integers beyond 64 bits become strings; NaN and infinities become None.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | Mapping):
        return msgspec.json.encode(value).decode()
    return str(value)


def simple(value: Any) -> Any:
    """The value with times and decimals, also nested ones, as strings."""
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): simple(item) for key, item in value.items()}
    if isinstance(value, list):
        return [simple(item) for item in value]
    return value if value is None or isinstance(value, str | bool | int | float | bytes) else str(value)


def text_of(values: Sequence[Any]) -> str:
    """The values of the text columns, joined by newlines; empty ones are left out. Of chat messages, their contents."""
    parts = []
    for value in values:
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            parts += [item["content"] for item in value if isinstance(item.get("content"), str)]
        elif value is not None:
            found = plain(value)
            parts.append("\n".join(found) if isinstance(found, list) else str(found))
    return "\n".join(part for part in parts if part.strip())


def with_label(fields: dict[str, Any], label: str | None) -> dict[str, Any]:
    """The fields with the column `label` renamed to "label". A column called "label" that is in its way becomes "label_"."""
    if label is None or label not in fields or label == "label":
        return fields
    renamed = {"label_" if name == "label" else name: value for name, value in fields.items() if name != label}
    return {"label": fields[label], **renamed}


def text_columns(schema: pa.Schema, wanted: Sequence[str] = ()) -> list[str]:
    """The columns that hold what people wrote: strings and lists of strings, provenance and `split` apart; or those `wanted`.

    Raises BadInput for a wanted column that does not exist or holds no text.
    """
    kinds = (pa.string(), pa.list_(pa.string()))  # list types are equal whatever their items are called
    names = [field.name for field in schema if field.type in kinds and field.name not in NOT_WRITTEN]
    for name in wanted:
        if name not in names:
            raise BadInput(
                f"There is no column of text {name!r}.{did_you_mean(name, names)}", hint=f"Columns of text: {', '.join(names)}."
            )
    return list(wanted) or names


def map_json(value: str, function: Callable[[str], str], *, everything: bool = False) -> str:
    """The string with `function` applied; of a JSON array or object, applied to each string in it.

    `everything`: also to keys, and to numbers, which become strings if `function` changes them.
    """
    if value[:1] in ("[", "{"):
        try:
            inner = msgspec.json.decode(value)
        except (msgspec.MsgspecError, RecursionError):
            return function(value)
        mapped = _mapped(inner, function, everything)
        return value if mapped == inner else msgspec.json.encode(mapped).decode()
    return function(value)


def _mapped(value: Any, function: Callable[[str], str], everything: bool) -> Any:
    if isinstance(value, str):
        return function(value)
    if isinstance(value, list):
        return [_mapped(item, function, everything) for item in value]
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for key, item in value.items():
            name = base = function(key) if everything else key
            n = 2
            while name in found:  # two keys with one mask
                name, n = f"{base}_{n}", n + 1
            found[name] = _mapped(item, function, everything)
        return found
    if everything and isinstance(value, int | float) and not isinstance(value, bool):
        digits = number_as_text(value)
        mapped = function(digits)
        return value if mapped == digits else mapped
    return value


def number_as_text(value: float) -> str:
    """The number as people write it: 13800000000, not 1.38e+10."""
    return str(int(value)) if float(value).is_integer() else repr(value)
