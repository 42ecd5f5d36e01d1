"""Tables of parts: a name, and where its class is. Listing names imports nothing."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from fourfold.core.build import build_part
from fourfold.core.errors import BadSpec, MissingExtra, did_you_mean


@dataclass(frozen=True, slots=True)
class Table:
    """A room's table: part name → "module:attribute". Other packages add lines by the entry point group `fourfold.<noun>`."""

    noun: str
    lines: Mapping[str, str]

    def names(self) -> list[str]:
        """All names, the room's own first, then those of other installed packages."""
        return [*self.lines, *(e.name for e in self._entry_points() if e.name not in self.lines)]

    def resolve(self, name: str, *, path: str = "") -> type[Any]:
        """The class behind a name. Raises BadSpec with a suggestion, MissingExtra if its library is absent."""
        target = self.lines.get(name) or next((e.value for e in self._entry_points() if e.name == name), None)
        if target is None:
            where = f"{path}: " if path else ""
            raise BadSpec(
                f"{where}there is no {self.noun} {name!r}.{did_you_mean(name, self.names())}",
                hint=f"Known: {', '.join(self.names())}.",
            )
        module, _, attribute = target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if str(error.name).startswith("fourfold"):
                raise
            raise MissingExtra(
                f"{self.noun} {name!r} needs {error.name}, which is not installed.", hint=f"Run: pip install {error.name}"
            ) from error

    def build(self, spec: Any, *, path: str = "") -> Any:
        """The part that a spec describes: `"name"`, `{"name": {settings}}` or `{"name": null}`.

        Raises BadSpec that names the path of the setting at fault.
        """
        name, settings = split_spec(spec, path=path or self.noun)
        return build_part(self.resolve(name, path=path), settings, path=f"{path or self.noun}.{name}")

    def _entry_points(self) -> list[Any]:
        return list(entry_points(group=f"fourfold.{self.noun}"))


def split_spec(spec: Any, *, path: str) -> tuple[str, dict[str, Any]]:
    """Name and settings of a part spec."""
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping) and len(spec) == 1:
        ((name, settings),) = spec.items()
        if settings is None:
            return str(name), {}
        if isinstance(settings, Mapping):
            return str(name), {str(k): v for k, v in settings.items()}
        raise BadSpec(f"{path}.{name}: settings are a mapping, not {type(settings).__name__}.")
    raise BadSpec(f"{path}: expected a name or {{name: {{settings}}}}, not {spec!r}.")
