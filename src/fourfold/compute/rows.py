"""The rows of a dataset version that a verb works on."""

from __future__ import annotations

from collections.abc import Mapping

from fourfold.core.errors import BadInput, BadSpec, did_you_mean
from fourfold.core.nouns import Kind, Version
from fourfold.data.dataset import SPLITS, Dataset

ALL = "all"


def check_kind(version: Version, kind: Kind, verb: str) -> None:
    """Raises BadInput unless the version is of that kind."""
    if version.kind != kind:
        raise BadInput(f"{version.ref} is a {version.kind}; {verb} needs a {kind}.", hint="Run: fourfold versions")


def count_rows(dataset: Dataset) -> dict[str, int]:
    """How many rows each split has, and `all`. Raises BadInput if the dataset holds no fragment."""
    counts = {split: dataset.of(split).table(["doc_id"]).num_rows for split in SPLITS}
    return {**counts, ALL: sum(counts.values())}


def select(dataset: Dataset, counts: Mapping[str, int], split: str, *, of: Version, path: str) -> Dataset:
    """The dataset seen through `split`, which may be `all`. Raises BadSpec for another word, BadInput if it has no row."""
    if split not in counts:
        raise BadSpec(f"{path}.split is {split!r}.{did_you_mean(split, counts)}", hint=f"Known: {', '.join(counts)}.")
    if counts[split] == 0:
        had = ", ".join(f"{name} {n}" for name, n in counts.items() if name != ALL)
        raise BadInput(
            f"{of.ref} has no row in split {split!r} (rows: {had}).",
            hint="Collect more documents." if counts[ALL] == 0 else "Choose another split, or split 'all'.",
        )
    return dataset if split == ALL else dataset.of(split)
