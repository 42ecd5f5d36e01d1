"""The most frequent value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from fourfold.data.fitting import Column, known, scalar


@dataclass(frozen=True, slots=True)
class Mode:
    """The most frequent known value of the split train; of equally frequent ones, the one that stands first."""

    @property
    def reads_row(self) -> bool:
        """It looks at the column alone."""
        return False

    def fit(self, column: Column, /) -> Any:
        """The value. Raises BadInput if none is known."""
        return Counter(known(scalar(column))).most_common(1)[0][0]

    def fill(self, column: Column, fitted: Any, /) -> list[Any]:
        """The values, and the most frequent one for those that are missing."""
        return [fitted if value is None else value for value in column.values]
