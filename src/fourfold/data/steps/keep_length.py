"""Keep documents of a certain length."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from fourfold.core.errors import BadSpec
from fourfold.data.steps import mark


@dataclass(frozen=True, slots=True)
class KeepLength:
    """Documents of less than `min_characters` code points go ("too_short"), and of more than `max_characters` ("too_long")."""

    min_characters: int = 1
    max_characters: int = 1_000_000

    def __post_init__(self) -> None:
        if not 0 <= self.min_characters <= self.max_characters:
            raise BadSpec(f"min_characters is {self.min_characters}, max_characters {self.max_characters}: nothing is between.")

    def __call__(self, table: pa.Table, /) -> pa.Table:
        length = pc.fill_null(pc.utf8_length(table["text"]), 0)
        table = mark(table, pc.less(length, self.min_characters), "too_short")
        return mark(table, pc.greater(length, self.max_characters), "too_long")
