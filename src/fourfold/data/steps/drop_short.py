"""Drop documents with fewer than `min_words` words."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from fourfold.core.errors import BadSpec
from fourfold.data.steps import mark
from fourfold.data.words import WORD, has_words


@dataclass(frozen=True, slots=True)
class DropShort:
    """Documents with fewer than `min_words` words go, under the reason "short".

    Words as rjieba cuts them in a text with Chinese characters, else between spaces; punctuation alone is none. Where a row has
    `tokens`, those are its words.
    """

    min_words: int = 5

    def __post_init__(self) -> None:
        if self.min_words < 1:
            raise BadSpec(f"min_words is at least 1, not {self.min_words}.")

    def __call__(self, table: pa.Table, /) -> pa.Table:
        texts = table["text"].to_pylist()
        tokens = table["tokens"].to_pylist() if "tokens" in table.column_names else [None] * len(texts)
        short = [not self._long_enough(text or "", known) for text, known in zip(texts, tokens)]
        return mark(table, pa.array(short, pa.bool_()), "short")

    def _long_enough(self, text: str, tokens: list[str] | None) -> bool:
        if tokens is not None:
            return sum(WORD.search(token) is not None for token in tokens) >= self.min_words
        return has_words(text, self.min_words)
