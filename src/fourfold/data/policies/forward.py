"""The value of the row before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fourfold.data.fitting import Column, known


@dataclass(frozen=True, slots=True)
class Forward:
    """The last known value of the rows before, in their order, whatever file they are of; before the first, the first known
    one.

    When serving, a value that is missing in the first row of a request is the last one that the split train has.
    """

    @property
    def reads_row(self) -> bool:
        """It looks at the column alone."""
        return False

    def fit(self, column: Column, /) -> Any:
        """The first and the last known value. Raises BadInput if none is known."""
        values = known(column)
        return {"first": values[0], "last": values[-1]}

    def fill(self, column: Column, fitted: Any, /) -> list[Any]:
        """The values, each missing one as the one before it."""
        last = fitted["last"] if not any(column.train) else fitted["first"]  # rows of a request are of no split
        filled = []
        for value in column.values:
            last = last if value is None else value
            filled.append(last)
        return filled
