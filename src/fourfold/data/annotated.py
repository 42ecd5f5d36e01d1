"""What was annotated as a dataset version: the decided documents with their labels, who gave them, when, by which guideline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.core.errors import BadInput, BadSpec, NotFound, did_you_mean
from fourfold.core.fingerprint import fingerprint
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.data.annotate import agreement, question_of
from fourfold.data.dataset import Dataset
from fourfold.data.decisions import Decision, Rule, by_document, decide
from fourfold.data.fragments import STRINGS, Log, columns_of, place_of, write_table
from fourfold.data.questions import Question
from fourfold.storage import annotation_projects as projects
from fourfold.storage import annotation_queue as queue
from fourfold.storage.annotation_projects import Annotation, Guideline, encode
from fourfold.storage.annotation_queue import Answer
from fourfold.storage.artifacts import room_for
from fourfold.storage.ledger import Ledger

STEP = "annotate"
WHEN = pa.timestamp("ms", tz="UTC")
ANSWERS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("annotator", pa.string()),
        ("role", pa.string()),
        ("revision", pa.int64()),
        ("value", pa.string()),  # JSON
        ("comment", pa.string()),
        ("guideline", pa.int64()),
        ("suggested_by", pa.string()),
        ("at", WHEN),
        ("seconds", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class State:
    """A project at one moment: what counts of each person, and what came of it for each document."""

    project: Annotation
    answers: Mapping[str, Sequence[Answer]]
    decisions: Mapping[str, Decision]
    guidelines: Sequence[Guideline]

    @property
    def counting(self) -> list[Answer]:
        """The answers of the documents that are decided."""
        return [each for doc_id, d in self.decisions.items() if d.value is not None for each in self.answers[doc_id]]


def publish(
    ledger: Ledger, actor: Actor, project: str, name: str, *, rule: Rule = "agreed", progress: Progress = silent
) -> Version:
    """A version of the dataset `name` with the decided documents of a project; the others are listed under their reason.

    It is made from the annotated dataset and from the models whose suggestions annotators had in sight. Raises BadInput if no
    document is decided.
    """
    if rule not in get_args(Rule):
        raise BadSpec(f"rule is {rule!r}.{did_you_mean(rule, get_args(Rule))}", hint=f"Known: {', '.join(get_args(Rule))}.")
    state = state_of(ledger, project, rule)
    dataset = ledger.version(state.project.version_id)
    followed = sorted({each.guideline for each in state.counting})
    spec = {
        "annotation": project,
        "question": state.project.question,
        "rule": rule,
        "guidelines": followed,
        "state": fingerprint([msgspec.to_builtins(each) for each in state.counting]),
    }
    models = _models(ledger, state.counting)
    with (
        ledger.run(
            STEP, kind="dataset", name=name, spec=spec, inputs=[dataset, *models], actor=actor, progress=progress
        ) as run,
        room_for(f"the dataset {name}"),
    ):
        question = question_of(state.project)
        run.meta.update(_write(Dataset(ledger.materialise(dataset)), run.folder, state, question, dataset, run.progress))
        run.meta["annotation"] = {**_about(ledger, state, followed), "dataset": dataset.ref, "models": [m.ref for m in models]}
        run.metrics({key: run.meta[key] for key in ("rows", "rows_before")})
    return run.version


def state_of(ledger: Ledger, name: str, rule: Rule) -> State:
    """A project as it is now. Raises Erased if its dataset is."""
    with ledger.database.read() as connection:
        project = projects.one(connection, name)
        answers = by_document(queue.answers(connection, name))
        guidelines = projects.guidelines(connection, name)
    if project.state == "erased":
        with ledger.write() as connection:
            projects.open_one(connection, name)  # says under which receipt
    outcome = {doc_id: decide(given, project.redundancy, rule) for doc_id, given in answers.items()}
    return State(project, answers, outcome, guidelines)


def _models(ledger: Ledger, answers: Sequence[Answer]) -> list[Version]:
    """The versions that suggested something; names that an import brought along are none of this home."""
    found: list[Version] = []
    for by in sorted({each.suggested_by for each in answers if each.suggested_by and "@" in each.suggested_by}):
        try:
            found.append(ledger.version(by))
        except NotFound:
            continue
    return found


def _about(ledger: Ledger, state: State, followed: Sequence[int]) -> dict[str, Any]:
    counting = state.counting
    return {
        "project": state.project.name,
        "guidelines": list(followed),
        "annotators": sorted({each.annotator for each in counting}),
        "answers": len(counting),
        "decided": dict(Counter(d.why for d in state.decisions.values() if d.value is not None).most_common()),
        "first_at": min(each.at for each in counting),
        "last_at": max(each.at for each in counting),
        "alpha": agreement(ledger, state.project.name).alpha,
    }


def _write(dataset: Dataset, folder: Path, state: State, question: Question, of: Version, progress: Progress) -> dict[str, Any]:
    log, rows, before = Log(), 0, 0
    schema: pa.Schema | None = None
    for fragment in dataset.fragments():
        table = pq.read_table(fragment.path)
        before += len(table)
        table = _decided(table, state, question, log)
        if len(table):
            schema = table.schema if schema is None else schema
            rows += len(table)
            write_table(table, folder / fragment.path.name)
        progress(before, of.meta.get("rows"), "documents")
    figures = log.write(folder, changes=False)
    if schema is None:
        reasons = ", ".join(f"{count} {reason}" for reason, count in figures["drops"].items())
        raise BadInput(
            f"No document of {state.project.name} is decided: {reasons}.",
            hint=f"Run: fourfold annotate next {state.project.name}, or fourfold annotate disagreements {state.project.name}",
        )
    _write_answers(folder, state)
    return {"rows": rows, "rows_before": before, "columns": columns_of(schema), **figures}


def _decided(table: pa.Table, state: State, question: Question, log: Log) -> pa.Table:
    """The rows that are decided, with what the question adds; a column that was in its place becomes `label_`."""
    kept: list[int] = []
    added: list[dict[str, Any]] = []
    seen: set[str] = set()
    for i, row in enumerate(table.to_pylist()):
        doc_id = row["doc_id"]
        decision = state.decisions.get(doc_id, Decision(None, "unlabelled"))
        if decision.value is None or doc_id in seen:
            path, line = place_of(row["source"])
            log.drop(path, line, doc_id, STEP, "repeated" if decision.value is not None else decision.why)
            continue
        seen.add(doc_id)
        kept.append(i)
        added.append({**question.columns(dict(decision.value), row), **_who(state.answers[doc_id], decision)})
    table = table.take(pa.array(kept, pa.int64()))
    for name in added[0] if added else ():
        table = _with_column(table, name, [each[name] for each in added])
    return table


def _who(answers: Sequence[Answer], decision: Decision) -> dict[str, Any]:
    deciding = [each for each in answers if each.role == "adjudicator"] if decision.why == "adjudicated" else answers
    agreeing = [each for each in deciding if each.value == decision.value]
    last = max(agreeing, key=lambda each: each.at)
    return {
        "annotators": sorted({each.annotator for each in agreeing}),
        "annotated_at": round(last.at * 1000),
        "guideline": last.guideline,
        "decided": decision.why,
    }


KINDS = {"annotators": STRINGS, "annotated_at": WHEN, "guideline": pa.int64(), "tokens": STRINGS, "tags": STRINGS}
REPLACED = (*KINDS, "decided", "spans")  # what an earlier annotation said is in the version that this one is made from


def _with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    array = pa.array(values, KINDS.get(name, pa.string()))
    if name not in table.column_names:
        return table.append_column(name, array)
    place = table.column_names.index(name)
    if name in REPLACED:
        return table.set_column(place, name, array)
    before = table[name]
    table = table.set_column(place, name, array)
    free = f"{name}_"
    while free in table.column_names:
        free += "_"
    return table.append_column(free, before)


def _write_answers(folder: Path, state: State) -> None:
    rows = [
        {**msgspec.to_builtins(each), "value": None if each.value is None else encode(each.value), "at": round(each.at * 1000)}
        for each in state.counting
    ]
    write_table(pa.Table.from_pylist(rows, schema=ANSWERS), folder / "annotations.parquet")
    used = {each.guideline for each in state.counting}
    texts = [msgspec.to_builtins(each) for each in state.guidelines if each.number in used]
    (folder / "guidelines.json").write_bytes(msgspec.json.format(msgspec.json.encode(texts), indent=2) + b"\n")
