"""Values as people write them → values of a type."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import Any, Literal

import msgspec
import pyarrow as pa

from fourfold.data.fragments import STRINGS

FieldType = Literal["str", "int", "float", "bool", "date", "list"]
TYPES: dict[str, pa.DataType] = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.string(),  # ISO 8601
    "list": STRINGS,
}
YES, NO = ("true", "yes", "y", "1", "是", "真", "对", "有"), ("false", "no", "n", "0", "否", "假", "错", "无")
DATES = (
    re.compile(r"(?P<y>\d{4})[-/.年](?P<m>\d{1,2})[-/.月](?P<d>\d{1,2})日?"),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"),
    re.compile(r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})"),
)
TIME = re.compile(r"[T ]\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?$")
THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")


def typed(value: Any, kind: FieldType) -> Any:
    """The value as `kind`; None if it is none. Texts are read as people write them: 1,234 and １２３４ are integers, 是 is
    true, 2026年3月1日 is the date 2026-03-01, and a text of several lines, or a JSON array, is a list.
    """
    return READERS[kind](value)


def _text(value: Any) -> str | None:
    if isinstance(value, list):
        return "\n".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _integer(value: Any) -> int | None:
    found = _number(value)
    whole = found is not None and found == int(found) and abs(found) < 1 << 63
    return (
        value if isinstance(value, int) and not isinstance(value, bool) else int(found) if found is not None and whole else None
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool | list):
        return None
    if isinstance(value, int | float):
        return float(value)
    plain = unicodedata.normalize("NFKC", str(value)).strip()
    try:
        found = float(plain.replace(",", "") if THOUSANDS.fullmatch(plain) else plain.replace("_", "x"))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _boolean(value: Any) -> bool | None:
    plain = str(value).strip().casefold()
    return True if plain in YES else False if plain in NO else None


def _date(value: Any) -> str | None:
    plain = TIME.sub("", unicodedata.normalize("NFKC", str(value)).strip())
    for pattern in DATES:
        if match := pattern.fullmatch(plain):
            try:
                return date(int(match["y"]), int(match["m"]), int(match["d"])).isoformat()
            except ValueError:
                return None
    return None


def _list(value: Any) -> list[str] | None:
    if isinstance(value, list):
        return value
    plain = str(value).strip()
    if plain.startswith("["):
        try:
            return msgspec.json.decode(plain, type=list[str])
        except msgspec.MsgspecError:
            return None
    return [line.strip() for line in plain.split("\n") if line.strip()]


READERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "int": _integer,
    "float": _number,
    "bool": _boolean,
    "date": _date,
    "list": _list,
}
