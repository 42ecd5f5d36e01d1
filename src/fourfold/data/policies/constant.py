"""The same value wherever it is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fourfold.core.errors import BadSpec
from fourfold.data.fitting import Column, as_type


@dataclass(frozen=True, slots=True)
class Constant:
    """`value` wherever one is missing; of a column of lists, a list."""

    value: str | int | float | bool | list[str]

    @property
    def reads_row(self) -> bool:
        """It looks at the column alone."""
        return False

    def fit(self, column: Column, /) -> Any:
        """The value as the column's type. Raises BadSpec if it is of another."""
        found = as_type(self.value, column.type)
        if found is None:
            raise BadSpec(f"fill.columns.{column.name}: {self.value!r} does not fit a column of {column.type}.")
        return found

    def fill(self, column: Column, fitted: Any, /) -> list[Any]:
        """The values, and the constant for those that are missing."""
        return [fitted if value is None else value for value in column.values]
