"""The sentences of a dataset's fragments, a batch at a time."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes the functions of pyarrow.compute when it is imported
from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fourfold.compute.ngram.text import Sentences, Unit, read_texts, read_tokens
from fourfold.data.dataset import Fragment

TOKENS = "tokens"  # lists of words, where documents are annotated


def read_fragment(fragment: Fragment, column: str, unit: Unit, batch: int) -> tuple[int, Iterator[Sentences]]:
    """The number of rows, and their sentences in batches of about `batch` characters; `documents` are rows of the fragment.

    Words come from the column `tokens` in rows that have it, if `unit` is "word" and `column` is "text". Raises BadInput
    if there is no `column`.
    """
    names = pq.read_schema(fragment.path).names
    with_tokens = unit == "word" and column == "text" and TOKENS in names
    table = fragment.table([column, TOKENS] if with_tokens else [column])
    return table.num_rows, _batches(table, column, unit, batch)


def _batches(table: pa.Table, column: str, unit: Unit, batch: int) -> Iterator[Sentences]:
    text = pc.fill_null(table[column].cast(pa.string()), "")
    annotated = np.zeros(len(text), bool)
    if TOKENS in table.column_names:
        annotated = pc.greater(pc.fill_null(pc.list_value_length(table[TOKENS]), 0), 0).to_numpy()
    ends = np.cumsum(pc.utf8_length(text).to_numpy()) // batch
    for rows in np.split(np.arange(len(text)), np.flatnonzero(np.diff(ends)) + 1):
        for chosen, read in ((rows[~annotated[rows]], _texts), (rows[annotated[rows]], _tokens)):
            if len(chosen):
                found = read(table, column, unit, chosen)
                yield Sentences(found.words, found.ids, chosen[found.documents])


def _texts(table: pa.Table, column: str, unit: Unit, rows: np.ndarray) -> Sentences:
    return read_texts(pc.fill_null(table[column].cast(pa.string()).take(pa.array(rows)), "").to_pylist(), unit)


def _tokens(table: pa.Table, column: str, unit: Unit, rows: np.ndarray) -> Sentences:
    return read_tokens(pa.concat_arrays(table[TOKENS].take(pa.array(rows)).chunks).cast(pa.list_(pa.string())))
