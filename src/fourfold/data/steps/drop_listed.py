"""Drop documents that hold words of a list."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from fourfold.core.errors import BadSpec
from fourfold.data.steps import mark
from fourfold.data.words import CJK


@dataclass(frozen=True, slots=True)
class DropListed:
    """Documents in which words of `words` stand at least `min_hits` times go, under "listed". Case does not count.

    A word in Latin letters counts as a whole word; one with Chinese characters wherever it stands. The list is yours.
    """

    words: tuple[str, ...]
    min_hits: int = 1

    def __post_init__(self) -> None:
        if not self.words or not all(word.strip() for word in self.words):
            raise BadSpec("words is empty, or holds an empty word.")
        if self.min_hits < 1:
            raise BadSpec(f"min_hits is at least 1, not {self.min_hits}.")

    def __call__(self, table: pa.Table, /) -> pa.Table:
        text = pc.fill_null(table["text"], "")
        hits = pa.array([0] * len(table), pa.int64())
        anywhere = [re.escape(w.strip()) for w in self.words if CJK.search(w)]
        whole = [re.escape(w.strip()) for w in self.words if not CJK.search(w)]
        for pattern in ("|".join(anywhere), rf"(?:^|[^\pL\pN_])(?:{'|'.join(whole)})(?:[^\pL\pN_]|$)" if whole else ""):
            if pattern:
                hits = pc.add(hits, pc.cast(pc.count_substring_regex(text, f"(?i:{pattern})"), pa.int64()))
        return mark(table, pc.greater_equal(hits, self.min_hits), "listed")
