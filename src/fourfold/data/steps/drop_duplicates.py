"""Drop documents that repeat an earlier one."""

from __future__ import annotations

import re
from dataclasses import dataclass

import blake3
import numpy as np
import pyarrow as pa

from fourfold.data.columns import text_columns
from fourfold.data.steps import mark

DIGEST_BYTES = 16
BESIDE_CHINESE = re.compile("(?<=[\u3000-\u9fff\uff00-\uffef]) | (?=[\u3000-\u9fff\uff00-\uffef])")


@dataclass(frozen=True, slots=True)
class DropDuplicates:
    """The first of equal documents stays; the others go under the reason "duplicate", which names the one that stays.

    Documents are equal if their `columns` are, upper and lower case and white space apart. Of each document 16 bytes are held.
    """

    columns: tuple[str, ...] = ("text",)
    ignore_case: bool = True
    ignore_space: bool = True

    def keys(self, table: pa.Table, /) -> pa.Table:
        """`doc_id` and a digest of what is compared."""
        values = [table[name].to_pylist() for name in text_columns(table.schema, self.columns)]
        digests = [blake3.blake3(self._key(row)).digest(DIGEST_BYTES) for row in zip(*values)]
        return pa.table({"doc_id": table["doc_id"], "key": pa.array(digests, pa.binary(DIGEST_BYTES))})

    def __call__(self, table: pa.Table, /) -> pa.Table:
        keys = table if "key" in table.column_names else self.keys(table)
        digests = np.frombuffer(b"".join(keys["key"].to_pylist()), dtype=f"V{DIGEST_BYTES}")
        _, first, which = np.unique(digests, return_index=True, return_inverse=True)
        original = first[which]
        repeated = original != np.arange(len(digests))
        equals = keys["doc_id"].take(pa.array(original))
        return mark(table, pa.array(repeated), "duplicate", equals)

    def _key(self, row: tuple[str | list[str] | None, ...]) -> bytes:
        return "\x00".join(self._plain("\x01".join(v) if isinstance(v, list) else v or "") for v in row).encode()

    def _plain(self, text: str) -> str:
        if self.ignore_case:
            text = text.casefold()
        return BESIDE_CHINESE.sub("", " ".join(text.split())) if self.ignore_space else text
