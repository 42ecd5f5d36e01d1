"""The door of cleaning steps: what a step is, and the table of their names."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from fourfold.core.registry import Table

DROPPED = "dropped"  # column that a step fills with a reason; rows with a reason leave the table after the step
DETAIL = "dropped_detail"  # column beside it, where there is more to say: which document a duplicate equals
TOLD = b"fourfold"  # of a barrier's marks: what `told` wrote
FIGURES, FITTED = "figures", "fitted.json"


class Step(Protocol):
    """A frozen dataclass: fields are settings, calling cleans a table.

    Row-local unless it is a Barrier. A step keeps the order of rows and never removes one by itself: it marks them with `mark`,
    so that each lost row is counted under a reason.
    """

    def __call__(self, table: pa.Table, /) -> pa.Table: ...


@runtime_checkable
class Barrier(Protocol):
    """A step that must see the whole dataset. `keys` is row-local and gives what it needs of each row (a digest, not the text),
    so that the whole fits in memory; it is then called once, with the keys of all rows in order, and marks rows of these.
    """

    def keys(self, table: pa.Table, /) -> pa.Table: ...
    def __call__(self, table: pa.Table, /) -> pa.Table: ...


@runtime_checkable
class Rewriting(Barrier, Protocol):
    """A barrier that changes rows once it has seen the whole: `apply` gets rows of a fragment and their part of the marks."""

    def apply(self, table: pa.Table, marks: pa.Table, /) -> pa.Table: ...


def mark(
    table: pa.Table, rows: pa.Array | pa.ChunkedArray, reason: str, details: pa.Array | pa.ChunkedArray | None = None
) -> pa.Table:
    """The table with `reason` in the column `dropped` where `rows` (booleans) is true; earlier reasons stay.

    `details` (strings, one per row) are kept beside the reason.
    """
    if details is not None:
        table = table.append_column(DETAIL, details)
    reasons = pc.if_else(rows, pa.scalar(reason), pa.scalar(None, pa.string()))
    if DROPPED in table.column_names:
        reasons = pc.coalesce(table[DROPPED], reasons)
        return table.set_column(table.column_names.index(DROPPED), DROPPED, reasons)
    return table.append_column(DROPPED, reasons)


def told(marks: pa.Table, *, figures: Mapping[str, Any], fitted: Mapping[str, Any] | None = None) -> pa.Table:
    """A barrier's marks with what it has to say: `figures` for the version's meta, and what it learnt, for its fitted.json."""
    said = {FIGURES: figures, **({} if fitted is None else {FITTED: fitted})}
    return marks.replace_schema_metadata({TOLD: msgspec.json.encode(said)})


STEPS = Table(
    "step",
    {
        "normalise": "fourfold.data.steps.normalise:Normalise",
        "drop_short": "fourfold.data.steps.drop_short:DropShort",
        "drop_duplicates": "fourfold.data.steps.drop_duplicates:DropDuplicates",
        "simplify": "fourfold.data.steps.simplify:Simplify",
        "drop_boilerplate": "fourfold.data.steps.drop_boilerplate:DropBoilerplate",
        "keep_languages": "fourfold.data.steps.keep_languages:KeepLanguages",
        "gopher_quality": "fourfold.data.steps.gopher_quality:GopherQuality",
        "gopher_repetition": "fourfold.data.steps.gopher_repetition:GopherRepetition",
        "fineweb_quality": "fourfold.data.steps.fineweb_quality:FinewebQuality",
        "keep_length": "fourfold.data.steps.keep_length:KeepLength",
        "drop_listed": "fourfold.data.steps.drop_listed:DropListed",
        "drop_near_duplicates": "fourfold.data.steps.drop_near_duplicates:DropNearDuplicates",
        "sample": "fourfold.data.steps.sample:Sample",
        "c4_quality": "fourfold.data.steps.c4_quality:C4Quality",
        "split_sentences": "fourfold.data.steps.split_sentences:SplitSentences",
        "convert": "fourfold.data.steps.convert:Convert",
        "fill": "fourfold.data.steps.fill:Fill",
        "split": "fourfold.data.steps.split:Split",
        "keep_perplexity": "fourfold.compute.steps.keep_perplexity:KeepPerplexity",  # by name: what needs a model lies above
    },
)
