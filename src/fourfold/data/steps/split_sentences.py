"""Divide texts into sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from fourfold.data.fragments import STRINGS
from fourfold.data.sentences import sentences


@dataclass(frozen=True, slots=True)
class SplitSentences:
    """Each sentence on a line of its own (`into` "lines", as a language model reads them), or in the list column
    `sentences`.

    Ends are 。！？… and, before white space, . ! ? with what closes behind them; known abbreviations, initials and small
    letters behind a mark end none. `min_characters`: shorter ones are joined to the one before.
    """

    into: Literal["lines", "column"] = "lines"
    min_characters: int = 1

    def __call__(self, table: pa.Table, /) -> pa.Table:
        found = [self._joined(sentences(text or "")) for text in table["text"].to_pylist()]
        if self.into == "lines":
            texts = [None if t is None else "\n".join(one) for t, one in zip(table["text"].to_pylist(), found)]
            return table.set_column(table.column_names.index("text"), "text", pa.array(texts, pa.string()))
        column = pa.array(found, STRINGS)
        if "sentences" in table.column_names:
            return table.set_column(table.column_names.index("sentences"), "sentences", column)
        return table.append_column("sentences", column)

    def _joined(self, found: list[str]) -> list[str]:
        joined: list[str] = []
        for sentence in found:
            if joined and len(sentence) < self.min_characters:
                joined[-1] += (" " if joined[-1][-1].isascii() and sentence[0].isascii() else "") + sentence
            else:
                joined.append(sentence)
        return joined
