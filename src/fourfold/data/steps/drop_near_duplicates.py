"""Drop documents that are nearly the same as another, found by MinHash."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fourfold.core.errors import BadSpec
from fourfold.data.minhash import ERROR, Sketches, best_of, clusters, keys_of
from fourfold.data.steps import mark


@dataclass(frozen=True, slots=True)
class DropNearDuplicates:
    """Of documents that are alike one stays: the longest, of equally long ones the earliest. The others go under
    "near_duplicate", and the detail of each names the one that stays.

    Two are alike if the Jaccard index of their shingles is about `similarity` or more: runs of `words` words, in Chinese
    texts of `characters` characters. Pairs come from MinHash with 21 bands of 6 (Broder 1997; Leskovec et al.), and
    count once the estimate from all 128 values says so. What is alike to a document of a cluster belongs to the cluster.
    """

    similarity: float = 0.8
    words: int = 3
    characters: int = 5

    def __post_init__(self) -> None:
        if not 0.5 <= self.similarity <= 1:
            raise BadSpec(f"similarity is between 0.5 and 1, not {self.similarity}.")
        if not 1 <= self.words <= 20 or not 1 <= self.characters <= 20:
            raise BadSpec(f"words and characters are between 1 and 20, not {self.words} and {self.characters}.")

    def keys(self, table: pa.Table, /) -> pa.Table:
        """`doc_id`, the length of the text in code points, and its MinHash of 512 bytes."""
        return keys_of(table["text"], self.words, self.characters).add_column(0, "doc_id", table["doc_id"])

    def __call__(self, table: pa.Table, /) -> pa.Table:
        keys = table if "sketch" in table.column_names else self.keys(table)
        lengths = keys["length"].to_numpy()
        which = clusters(Sketches(keys["sketch"]), np.flatnonzero(lengths >= 0), self.similarity - ERROR)
        kept = best_of(which, lengths)
        return mark(
            keys.select(["doc_id"]),
            pa.array(kept != np.arange(len(kept))),
            "near_duplicate",
            keys["doc_id"].take(pa.array(kept)),
        )
