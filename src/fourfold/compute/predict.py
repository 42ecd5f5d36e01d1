"""Predict: a model over the rows of a dataset, into a new dataset version with what it says of each, and how sure it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from fourfold import __version__
from fourfold.compute.families import FAMILIES
from fourfold.compute.rows import ALL, check_kind, count_rows, select
from fourfold.compute.tasks import TASKS, RankInput, Tagged, TagInput, Task, TextInput
from fourfold.core.errors import BadInput, BadSpec, did_you_mean
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.data.dataset import Dataset, Fragment
from fourfold.data.fragments import STRINGS, columns_of, fragment_path
from fourfold.data.workspace import workspace
from fourfold.storage.artifacts import room_for
from fourfold.storage.ledger import Ledger

PART_ROWS = 2_000  # rows that a killed prediction loses at most
BATCH_ROWS = 256  # rows that the model is given at once
NO_TEXT = "no text"
PREDICTED = "predicted_"

FLOATS, INTS = pa.list_(pa.field("element", pa.float64())), pa.list_(pa.field("element", pa.int64()))


@dataclass(frozen=True, slots=True)
class Columns:
    """What a task adds to a row: columns, and their values from its result. `confidence` is null where a task gives none."""

    types: Mapping[str, pa.DataType]
    of: Callable[[Any], dict[str, Any]]


def _tagged(result: Tagged) -> dict[str, Any]:
    scores = [token.score for token in result.tokens]
    spans = result.spans or []
    return {
        "tokens": [token.text for token in result.tokens], "labels": [token.label for token in result.tokens],
        "starts": [token.start for token in result.tokens], "ends": [token.end for token in result.tokens],
        "scores": scores, "spans": [span.text for span in spans], "span_labels": [span.label for span in spans],
        "confidence": min(scores, default=None),
    }  # fmt: skip


def _best_first(found: Sequence[Any]) -> dict[str, Any]:
    scores = [one.score for one in found]
    return {"texts": [one.text for one in found], "scores": scores, "confidence": scores[0] if scores else None}


LISTED = {"texts": STRINGS, "scores": FLOATS}
COLUMNS = {
    "tag": Columns(
        {"tokens": STRINGS, "labels": STRINGS, "starts": INTS, "ends": INTS, "scores": FLOATS, "spans": STRINGS,
         "span_labels": STRINGS}, _tagged,
    ),
    "rank": Columns(LISTED, lambda result: _best_first(result.ranking)),
    "suggest": Columns(LISTED, lambda result: _best_first(result.suggestions)),
    "score": Columns(
        {"log10_probability": pa.float64(), "perplexity": pa.float64(), "unknown_tokens": pa.int64()},
        lambda result: {key: getattr(result, key) for key in ("log10_probability", "perplexity", "unknown_tokens")},
    ),
    "generate": Columns(
        {"text": pa.string(), "tokens": pa.int64(), "finish_reason": pa.string()},
        lambda result: {key: getattr(result, key) for key in ("text", "tokens", "finish_reason")},
    ),
}  # fmt: skip


def predict(
    ledger: Ledger,
    actor: Actor,
    name: str,
    model: Version,
    dataset: Version,
    *,
    task: str | None = None,
    column: str = "text",
    split: str = ALL,
    options: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Version:
    """The dataset version `name`: the rows of a split of `dataset` with what `model` says of the texts in `column`.

    `task` is the model's first unless named; `options` are those of the task. Added are columns `predicted_…` and `confidence`
    (of tags the least sure word's, of rankings and suggestions the first's). A prediction that was killed is taken up after the
    rows that it had done. Raises BadSpec for an unknown task, option or split, BadInput for an unknown column.
    """
    check_kind(model, "model", "predict")
    check_kind(dataset, "dataset", "predict")
    chosen = _task(model, task)
    wanted = _options(chosen, options or {})
    spec = {"task": chosen.name, "column": column, "split": split, "options": msgspec.to_builtins(wanted)}
    inputs = [dataset, model]
    with (
        workspace(ledger.home, ledger.recipe(f"predict {__version__}", spec, inputs)) as space,
        ledger.run("predict", kind="dataset", name=name, spec=spec, inputs=inputs, actor=actor, progress=progress) as run,
        room_for(f"the dataset {name}"),
    ):
        whole = Dataset(ledger.materialise(dataset))
        counts = count_rows(whole)
        rows = select(whole, counts, split, of=dataset, path="predict")
        family = FAMILIES.build(model.meta["spec"]["family"], path=model.ref)
        with closing(family.load(ledger.materialise(model))) as loaded:
            ask = getattr(loaded, chosen.name)
            work = _Work(COLUMNS[chosen.name], lambda inputs: ask(inputs, wanted), chosen, column, space)
            schema = work.all(rows, run.folder, counts[split], run.progress)
        run.meta.update({"rows": counts[split], "columns": columns_of(schema), "skipped": dict(work.skipped)})
        run.meta.update({"model": model.ref, "dataset": dataset.ref, "task": chosen.name})
        run.metrics({"rows": counts[split], "resumed_rows": work.resumed})
    return run.version


def _task(model: Version, name: str | None) -> Task:
    tasks: Sequence[str] = model.meta["tasks"]
    name = name or tasks[0]
    if name not in tasks or name not in COLUMNS:
        raise BadSpec(f"{model.ref} does not {name}.{did_you_mean(name, tasks)}", hint=f"It serves {', '.join(tasks)}.")
    return TASKS[name]


def _options(task: Task, options: Mapping[str, Any]) -> Any:
    known = task.options.__struct_fields__
    for key in options:
        if key not in known:
            hint = f"Known: {', '.join(known)}." if known else ""
            raise BadSpec(f"predict.options: {task.name} has no option {key!r}.{did_you_mean(key, known)}", hint=hint)
    try:
        return msgspec.convert(dict(options), task.options)
    except msgspec.ValidationError as error:
        raise BadSpec(f"predict.options: {error}.") from error


class _Work:
    """Predictions part by part; what is done lies in `space` until all of it is."""

    def __init__(self, columns: Columns, ask: Callable[[list[Any]], list[Any]], task: Task, column: str, space: Path) -> None:
        self.columns, self.ask, self.task, self.column, self.space = columns, ask, task, column, space
        self.skipped: Counter[str] = Counter()
        self.resumed = self.done = 0

    def all(self, rows: Dataset, folder: Path, total: int, progress: Progress) -> pa.Schema:
        """Write the fragments of `folder`; their schema."""
        schema: pa.Schema | None = None
        for number, fragment in enumerate(rows.fragments()):
            parts = list(self._parts(number, fragment, total, progress))
            if not parts:
                continue
            schema = schema or pq.read_schema(parts[0])
            with pq.ParquetWriter(fragment_path(folder, number), schema, compression="zstd") as writer:
                for part in parts:
                    writer.write_table(pq.read_table(part).cast(schema))
        assert schema is not None, "a split with rows has a fragment with rows"
        return schema

    def _parts(self, number: int, fragment: Fragment, total: int, progress: Progress) -> Iterator[Path]:
        table = fragment.table()
        if self.column not in table.column_names:
            fragment.table([self.column])  # raises BadInput with the columns that there are
        for first in range(0, table.num_rows, PART_ROWS):
            some = table.slice(first, PART_ROWS)
            path = self.space / f"{number:05}-{first:08}.parquet"
            if path.is_file():
                self.resumed += some.num_rows
            else:
                beside = path.with_suffix(".tmp")
                pq.write_table(self._predicted(some), beside)
                beside.replace(path)  # a part is whole or not there
            self.skipped.update({NO_TEXT: some[self.column].null_count} if some[self.column].null_count else {})
            self.done += some.num_rows
            progress(self.done, total, "documents")
            yield path

    def _predicted(self, table: pa.Table) -> pa.Table:
        types = {PREDICTED + key: kind for key, kind in self.columns.types.items()}
        values: dict[str, list[Any]] = {key: [] for key in (*types, "confidence")}
        for batch in table.to_batches(BATCH_ROWS):
            found = iter(self._results(batch))
            for text in batch.column(self.column).to_pylist():
                of = {} if text is None else self.columns.of(next(found))
                for key in types:
                    values[key].append(of.get(key.removeprefix(PREDICTED)))
                values["confidence"].append(of.get("confidence"))
        for key, kind in {**types, "confidence": pa.float64()}.items():
            if key in table.column_names:
                table = table.drop_columns([key])  # of an earlier prediction
            table = table.append_column(pa.field(key, kind), pa.array(values[key], kind))
        return table

    def _results(self, batch: pa.RecordBatch) -> list[Any]:
        texts = [text for text in batch.column(self.column).to_pylist() if text is not None]
        if any(not isinstance(text, str) for text in texts):
            raise BadInput(f"Column {self.column!r} holds no text.", hint="Name a column of texts with --column.")
        made: dict[type, Callable[[str], Any]] = {TagInput: TagInput, RankInput: RankInput, TextInput: TextInput}
        return self.ask([made[self.task.input](text) for text in texts]) if texts else []
