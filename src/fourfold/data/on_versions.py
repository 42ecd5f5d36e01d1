"""Parts that stand on a version of the home: a detector on a tagger, a step on a language model or on fitted values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import msgspec

from fourfold.core.nouns import Version
from fourfold.storage.ledger import Ledger

TOLD = ("family", "tasks", "labels")  # of a version's meta, what a part may want to know

Part = TypeVar("Part")


class Files(msgspec.Struct, frozen=True):
    """Where a version's files are on this machine, and what its meta says of them. It crosses to workers as JSON."""

    folder: str
    meta: dict[str, Any]


@runtime_checkable
class OnVersion(Protocol):
    """A part with a setting, named by `ON`, that refers to a version (empty: to none). `on` gives the part that does the work
    with that version's files; the part itself is only the recipe.
    """

    ON: ClassVar[str]

    def on(self, files: Files, /) -> Any: ...


def pinned(ledger: Ledger, parts: Sequence[tuple[str, Part]]) -> tuple[list[tuple[str, Part]], list[Version]]:
    """The parts with each reference written as `name@number`, and the versions that they stand on, each once.

    Raises NotFound for a version that does not exist.
    """
    fixed: list[tuple[str, Part]] = []
    found: dict[str, Version] = {}
    for name, part in parts:
        if reference := reference_of(part):
            version = ledger.version(reference)
            found.setdefault(version.ref, version)
            part = dataclasses.replace(part, **{part.ON: version.ref})  # type: ignore[attr-defined, type-var]
        fixed.append((name, part))
    return fixed, list(found.values())


def reference_of(part: object) -> str:
    """The version that a part refers to, as it was written; empty for one that stands on nothing."""
    return str(getattr(part, part.ON)) if isinstance(part, OnVersion) else ""


def files_of(ledger: Ledger, versions: Sequence[Version]) -> dict[str, Files]:
    """The files of the versions by `name@number`."""
    return {v.ref: Files(str(ledger.materialise(v)), {k: v.meta[k] for k in TOLD if k in v.meta}) for v in versions}


def opened(part: Part, files: Mapping[str, Files]) -> Part:
    """The part that does the work: `part` itself, or what it becomes on its version."""
    reference = reference_of(part)
    return part.on(files[reference]) if reference else part  # type: ignore[attr-defined]
