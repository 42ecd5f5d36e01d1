"""What a model says about the rows of a dataset, beside what the rows say: the input of metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fourfold.compute.metrics import Labelled, Likelihoods, Predictions, Segmented, Spans
from fourfold.compute.slices import Facts, language_of
from fourfold.compute.tasks import Tagged, TagInput, TagOptions
from fourfold.core.errors import BadInput
from fourfold.core.progress import Progress
from fourfold.data.dataset import Dataset
from fourfold.data.tokens import gaps

NO_TEXT, NO_TAGS = "no text", "no tokens or tags"
UNEQUAL, BLANK = "tokens and tags differ in number", "a blank token or tag"
NOT_IN_TEXT = "tokens do not follow each other in the text (left out end to end)"
SHOWN = 8  # labels in a message
READ_ROWS = 10_000

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Gold:
    """Where a dataset has what a tagger is measured by: names of list columns, and `known`, the labels that the model can give.

    `columns` are further columns that the model reads of each word.
    """

    tokens: str
    tags: str
    columns: tuple[str, ...]
    known: frozenset[str]

    @property
    def read(self) -> list[str]:
        """All columns to read, each once."""
        return list(dict.fromkeys(("doc_id", "text", "source", self.tokens, self.tags, *self.columns)))


@dataclass(frozen=True, slots=True)
class Predicted:
    """Predictions of one model on one dataset, each kind that its task gives, and what could not be used, by reason."""

    kinds: tuple[Predictions, ...]
    facts: tuple[Facts, ...]
    skipped: Mapping[str, int]
    unknown_labels: Mapping[str, int] = field(default_factory=dict)  # gold labels that the model cannot give → positions
    calibrated: float | None = None  # share of documents whose scores are calibrated


class TextFigures(Protocol):
    """Arrays of shape (documents,), as Likelihoods names them; a document without tokens has 0 tokens."""

    @property
    def log10(self) -> NDArray[np.float64]: ...
    @property
    def tokens(self) -> NDArray[np.int64]: ...
    @property
    def unknown(self) -> NDArray[np.int64]: ...
    @property
    def log10_unknown(self) -> NDArray[np.float64]: ...


class LanguageModel(Protocol):
    """A model of a family that serves `score`, as it is evaluated: all documents of a dataset at once, in order."""

    def perplexity(self, data: Dataset, /) -> TextFigures: ...


class Tagger(Protocol):
    """A model of a family that serves `tag`."""

    def tag(self, inputs: Sequence[TagInput], options: TagOptions, /) -> list[Tagged]: ...


def predict_tags(model: Tagger, rows: Dataset, gold: Gold, *, batch: int, total: int, progress: Progress) -> Predicted:
    """Labels of the rows' own tokens, and words and labels found in the rows' raw texts.

    A model that reads further columns is given no raw text, which has none. Raises BadInput if no row has tags, or if the model
    knows none of the labels.
    """
    skipped: Counter[str] = Counter()
    kept: list[Row] = []
    given: list[Tagged] = []
    found: list[Tagged | None] = []
    for read, some in batches(rows, gold.read, batch):
        usable = [_tagged_row(row, gold) for row in some if _is_usable(row, gold, skipped)]
        given += model.tag([TagInput(r["text"], r["doc_id"], r["tokens"], r["columns"]) for r in usable], TagOptions())
        raw = [bool(row["offsets"]) and not gold.columns for row in usable]
        answers = iter(model.tag([TagInput(r["text"], r["doc_id"]) for r, is_raw in zip(usable, raw) if is_raw], TagOptions()))
        found += [next(answers) if is_raw else None for is_raw in raw]
        kept += usable
        progress(read, total, "documents")
    skipped[NOT_IN_TEXT] = sum(not row["offsets"] for row in kept)
    if not kept:
        raise BadInput(f"No row has both {gold.tokens!r} and {gold.tags!r}.", hint="Evaluate on a dataset with labels.")
    unknown = Counter(tag for row in kept for tag in row["tags"] if tag not in gold.known)
    _check_known(unknown, kept, gold)
    facts = tuple(Facts(r["doc_id"], language_of(r["text"]), len(r["tags"]), r["file"]) for r in kept)
    kinds = (labelled(kept, given), *segmented(kept, found))
    calibrated = sum(result.calibrated for result in given) / len(given)
    return Predicted(kinds, facts, +skipped, dict(unknown.most_common()), calibrated)


def batches(rows: Dataset, columns: Sequence[str], size: int) -> Iterator[tuple[int, list[Row]]]:
    """Rows in order, at most `size` at a time; before them, how many were read so far."""
    read = 0
    for fragment in rows.fragments():
        for part in fragment.table(columns).to_batches(size):
            read += part.num_rows
            values = [part.column(name).to_pylist() for name in columns]
            yield read, [dict(zip(columns, row)) for row in zip(*values)]


def _is_usable(row: Row, gold: Gold, skipped: Counter[str]) -> bool:
    lists = [row[name] or [] for name in (gold.tokens, gold.tags, *gold.columns)]
    reason = None
    if not lists[0] or not lists[1]:
        reason = NO_TAGS
    elif len({len(values) for values in lists}) > 1:
        reason = UNEQUAL
    elif not all(isinstance(item, str) and item.strip() for values in lists for item in values):
        reason = BLANK
    if reason:
        skipped[reason] += 1
    return reason is None


def _tagged_row(row: Row, gold: Gold) -> Row:
    """The row under fixed names. Where its words do not make up its text, they do with spaces between."""
    tokens = row[gold.tokens]
    offsets = offsets_of(row["text"] or "", tokens)
    return {
        "doc_id": row["doc_id"],
        "text": row["text"] if offsets else " ".join(tokens),
        "tokens": tokens,
        "tags": row[gold.tags],
        "columns": {name: row[name] for name in gold.columns} or None,
        "offsets": offsets,
        "file": file_of(row["source"]),
    }


def _check_known(unknown: Counter[str], kept: Sequence[Row], gold: Gold) -> None:
    if unknown.total() == sum(len(row["tags"]) for row in kept):
        theirs = ", ".join(label for label, _ in unknown.most_common(SHOWN))
        ours = ", ".join(sorted(gold.known)[:SHOWN])
        raise BadInput(
            f"The model knows none of the labels of column {gold.tags!r}: the data has {theirs}; the model gives {ours}.",
            hint="Evaluate on data with the model's label set, or train a model on this one.",
        )


def offsets_of(text: str, tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Start and end of each token in the text; none if tokens and white space do not make up the text."""
    spaces = gaps(text, tokens)
    if spaces is None:
        return []
    ends = np.cumsum([len(space) + len(token) for space, token in zip(spaces, tokens)]).tolist()
    return [(end - len(token), end) for end, token in zip(ends, tokens)]


def file_of(source: str | None) -> str:
    """The file of a row's `source`, which is `path#line`."""
    return (source or "").rpartition("#")[0] or (source or "unknown")


def labelled(gold: Sequence[Row], given: Sequence[Tagged]) -> Labelled:
    """Positions of all documents, one after the other."""
    golds = [tag for row in gold for tag in row["tags"]]
    tokens = [token for result in given for token in result.tokens]
    assert len(tokens) == len(golds), "a model gives one label per given token"
    guesses = [token.label for token in tokens]
    labels = tuple(sorted({*golds, *guesses}))
    index = {label: i for i, label in enumerate(labels)}
    return Labelled(
        doc_ids=tuple(row["doc_id"] for row in gold),
        bounds=np.cumsum([0, *(len(row["tags"]) for row in gold)]),
        labels=labels,
        gold=np.array([index[label] for label in golds], np.int64),
        predicted=np.array([index[label] for label in guesses], np.int64),
        confidence=np.array([token.score for token in tokens], np.float64),
    )


def segmented(gold: Sequence[Row], found: Sequence[Tagged | None]) -> tuple[Segmented, ...]:
    """Words of the raw texts of those documents whose gold words are in their text; none if there is no such document."""
    pairs = [(row, result) for row, result in zip(gold, found) if result is not None]
    if not pairs:
        return ()
    truth = [(d, start, end, tag) for d, (row, _) in enumerate(pairs) for (start, end), tag in zip(row["offsets"], row["tags"])]
    guess = [(d, token.start, token.end, token.label) for d, (_, result) in enumerate(pairs) for token in result.tokens]
    labels = tuple(sorted({word[3] for word in (*truth, *guess)}))
    index = {label: i for i, label in enumerate(labels)}

    def spans(words: list[tuple[int, int, int, str]]) -> Spans:
        table = np.array([(d, start, end, index[label]) for d, start, end, label in words], np.int64)
        return Spans(*table.reshape(-1, 4).T)

    return (Segmented(tuple(row["doc_id"] for row, _ in pairs), labels, spans(truth), spans(guess)),)


def predict_likelihoods(model: LanguageModel, rows: Dataset, *, column: str, total: int, progress: Progress) -> Predicted:
    """Probabilities of the rows' texts, which stand in `column`. Raises BadInput if no row has text."""
    progress(0, total, "documents")
    read = [row for _, some in batches(rows, ["doc_id", column, "source"], READ_ROWS) for row in some]
    found = model.perplexity(rows)
    progress(total, total, "documents")
    full = np.flatnonzero(found.tokens)
    if not len(full):
        raise BadInput(f"No row has text in column {column!r}.", hint="Evaluate on a dataset with texts.")
    texts = [read[i] for i in full.tolist()]
    likelihoods = Likelihoods(
        doc_ids=tuple(row["doc_id"] for row in texts),
        log10=found.log10[full],
        tokens=found.tokens[full],
        unknown=found.unknown[full],
        log10_unknown=found.log10_unknown[full],
        characters=np.array([len(row[column] or "") for row in texts], np.int64),
    )
    facts = tuple(
        Facts(row["doc_id"], language_of(row[column] or ""), tokens, file_of(row["source"]))
        for row, tokens in zip(texts, likelihoods.tokens.tolist())
    )
    blank = len(read) - len(full)
    return Predicted((likelihoods,), facts, {NO_TEXT: blank} if blank else {})
