"""Spec → part: a frozen dataclass whose fields are the settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from fourfold.core.errors import BadSpec, did_you_mean

T = TypeVar("T")


def build_part(cls: type[T], settings: Mapping[str, Any], *, path: str) -> T:
    """An instance of the dataclass `cls` with `settings`, strictly typed (an int passes for a float, nothing else bends).

    Raises BadSpec that gives the path, the field and the closest known name.
    """
    fields = [f.name for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]
    for name in settings:  # msgspec passes over unknown keys of dataclasses
        if name not in fields:
            known = f"Known: {', '.join(fields)}." if fields else "It has no settings."
            raise BadSpec(f"{path} has no setting {name!r}.{did_you_mean(name, fields)}", hint=known)
    try:
        return msgspec.convert(dict(settings), cls)
    except msgspec.ValidationError as error:
        what, where = placed(error)
        field = next((f for f in dataclasses.fields(cls) if where.split("[")[0] == f".{f.name}"), None)  # type: ignore[arg-type]
        hint = "" if field is None else f"It is of type {field.type}{_default(field)}."
        raise BadSpec(f"{path}{where}: {what}.", hint=hint) from error


def placed(error: msgspec.ValidationError) -> tuple[str, str]:
    """What does not fit, and where: `.steps[0].name`, or an empty string for the whole."""
    what, _, where = str(error).partition(" - at `$")
    return what.rstrip("."), where.removesuffix("`")


def _default(field: dataclasses.Field[Any]) -> str:
    return "" if field.default is dataclasses.MISSING else f", by default {field.default!r}"


def settings_of(part: Any) -> dict[str, Any]:
    """All settings of a part with defaults filled in, as plain JSON values."""
    return msgspec.to_builtins(part)
