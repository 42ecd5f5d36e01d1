"""The median of the values that are known."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from fourfold.data.fitting import Column, as_type, number


@dataclass(frozen=True, slots=True)
class Median:
    """The median of the column's known numbers in the split train; of integers, rounded to one."""

    @property
    def reads_row(self) -> bool:
        """It looks at the column alone."""
        return False

    def fit(self, column: Column, /) -> Any:
        """The median. Raises BadInput for a column that holds no numbers, or none that is known."""
        return as_type(median(number(column)), column.type)

    def fill(self, column: Column, fitted: Any, /) -> list[Any]:
        """The values, and the median for those that are missing."""
        return [fitted if value is None else value for value in column.values]
