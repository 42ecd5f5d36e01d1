"""Rows without the value go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fourfold.data.fitting import Column


@dataclass(frozen=True, slots=True)
class Drop:
    """Rows in which the value is missing go, under "missing"."""

    @property
    def reads_row(self) -> bool:
        """It looks at the column alone."""
        return False

    def fit(self, column: Column, /) -> Any:
        """There is nothing to learn."""
        return None

    def fill(self, column: Column, fitted: Any, /) -> list[Any]:
        """The values as they are."""
        return list(column.values)
