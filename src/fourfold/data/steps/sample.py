"""Keep a share of the documents."""

from __future__ import annotations

from dataclasses import dataclass

import blake3
import pyarrow as pa

from fourfold.core.errors import BadSpec
from fourfold.data.steps import mark


@dataclass(frozen=True, slots=True)
class Sample:
    """Keeps about `share` of the documents, by the hash of `doc_id` and `seed`; the others go under "not_sampled".

    The same documents on every machine; whatever is in a smaller share is in a larger one of the same seed, too.
    """

    share: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise BadSpec(f"share is above 0 and at most 1, not {self.share}.")

    def __call__(self, table: pa.Table, /) -> pa.Table:
        prefix, bound = f"sample {self.seed} ", self.share * 2**64
        digests = (blake3.blake3((prefix + doc_id).encode()).digest(8) for doc_id in table["doc_id"].to_pylist())
        out = [int.from_bytes(digest, "big") >= bound for digest in digests]
        return mark(table, pa.array(out, pa.bool_()), "not_sampled")
