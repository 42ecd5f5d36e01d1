"""Pre-label: what a model suggests for the documents of an annotation project, and which of them to ask people about first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import msgspec
import numpy as np

from fourfold.compute.calibrate import Calibration, choose_calibration
from fourfold.compute.families import FAMILIES
from fourfold.compute.rows import check_kind
from fourfold.compute.tasks import TASKS
from fourfold.core.errors import BadInput
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.data.annotate import question_of, rows_of
from fourfold.data.annotation_results import Prelabelled
from fourfold.data.decisions import by_document, decide
from fourfold.data.questions import Question, Row
from fourfold.data.queue_order import diverse, least_confident
from fourfold.storage import annotation_projects as projects
from fourfold.storage import annotation_queue as queue
from fourfold.storage import runs
from fourfold.storage.annotation_projects import AnnotationItem, Order, Suggestion
from fourfold.storage.ledger import Ledger
from fourfold.storage.steps import StepDone

BATCH = 256
MIN_ANSWERS = 50  # answered documents with a confidence that calibrate the others


def prelabel(ledger: Ledger, actor: Actor, name: str, model: Version, *, progress: Progress = silent) -> Prelabelled:
    """Let a model suggest a value for every document of a project, and order the queue by how sure it is.

    Confidences of an uncalibrated model are calibrated on the documents that people have answered, once there are enough.
    Raises BadInput if the model serves no task that can answer the question; then nothing is changed.
    """
    check_kind(model, "model", "annotate prelabel")
    with ledger.database.read() as connection:
        project = projects.one(connection, name)
        items = projects.items(connection, name)
        answers = by_document(queue.answers(connection, name))
    with ledger.write() as connection:
        projects.open_one(connection, name)  # says why it takes nothing any more
    question = question_of(project)
    task = task_for(model, question, project.question)
    dataset = ledger.version(project.version_id)
    spec = {"annotation": name, "model": model.ref, "task": task, "order": project.order}
    try:
        with ledger.run("prelabel", name=name, spec=spec, inputs=[dataset, model], actor=actor, progress=progress) as run:
            rows = rows_of(ledger, project, items)
            found, without, calibrated = suggestions(ledger, model, task, question, items, rows, run.progress)
            known = {doc_id: decide(given, project.redundancy, "majority").value for doc_id, given in answers.items()}
            agreed = {s.doc_id: s.value == known[s.doc_id] for s in found if known.get(s.doc_id) is not None}
            found, errors = (found, {}) if calibrated else calibrated_on(found, agreed)
            ranks = order_of(project.order, items, found, rows)
            run.also(lambda connection: projects.still_about(connection, name, dataset.id))
            run.also(lambda connection: projects.suggest(connection, name, found, instead=True))
            run.also(lambda connection: projects.rank(connection, name, ranks))
            share = sum(agreed.values()) / len(agreed) if agreed else None
            outcome = Prelabelled(
                name, model.ref, task, len(found), without, project.order, calibrated or bool(errors), share, **errors
            )
            run.metrics(msgspec.to_builtins(outcome))
    except StepDone:  # a worker before this one did it, and died before it could say so
        with ledger.database.read() as connection:
            done = runs.latest(connection, name, ledger.recipe("prelabel", spec, [dataset, model]))
        assert done is not None
        return msgspec.convert(done.metrics, Prelabelled)
    return outcome


def task_for(model: Version, question: Question, spec: Mapping[str, Any]) -> str:
    """The task by which the model can answer. Raises BadInput."""
    serves = model.meta.get("tasks", ())
    for task in question.tasks:
        if task in serves and task in TASKS and not (task == "rank" and "tag" in serves):  # a tagger ranks its own words alone
            return task
    raise BadInput(
        f"{model.ref} cannot pre-label a question of {next(iter(spec))}: it serves {', '.join(serves) or 'no task'}, and that "
        f"takes {' or '.join(question.tasks)}.",
        hint="Run: fourfold versions --kind model",
    )


def suggestions(
    ledger: Ledger,
    model: Version,
    task: str,
    question: Question,
    items: Sequence[AnnotationItem],
    rows: Mapping[str, Row],
    progress: Progress,
) -> tuple[list[Suggestion], dict[str, int], bool]:
    """What the model says of each item, what it says nothing of, by reason, and whether all its confidences are calibrated."""
    types = TASKS[task]
    found: list[Suggestion] = []
    without: Counter[str] = Counter()
    calibrated = True
    wanted = [item.doc_id for item in items if (rows[item.doc_id]["text"] or "").strip()]
    without["no text"] = len(items) - len(wanted)
    family = FAMILIES.build(model.meta["spec"]["family"], path=model.ref)
    with closing(family.load(ledger.materialise(model))) as loaded:
        for batch in _batches(wanted):
            given = [msgspec.convert(question.request(task, rows[doc_id]), types.input) for doc_id in batch]
            for doc_id, result in zip(batch, getattr(loaded, task)(given, types.options())):
                said = msgspec.to_builtins(result)
                calibrated &= bool(said.get("calibrated"))
                try:
                    value, confidence = question.suggestion(task, said, rows[doc_id])
                except BadInput:
                    without["no answer to this question"] += 1
                    continue
                found.append(Suggestion(doc_id, value, model.ref, confidence))
            progress(len(found), len(items), "documents")
    return found, dict(+without), calibrated and bool(found)


def calibrated_on(found: list[Suggestion], agreed: Mapping[str, bool]) -> tuple[list[Suggestion], dict[str, float]]:
    """The suggestions with confidences calibrated on those that people have answered, and the errors before and after; as they
    are, if there are too few."""
    sure = [s for s in found if s.confidence is not None and s.doc_id in agreed]
    if len(sure) < MIN_ANSWERS:
        return found, {}
    confidence = np.array([s.confidence for s in sure], np.float64)
    correct = np.array([agreed[s.doc_id] for s in sure], np.bool_)
    choice = choose_calibration(confidence, correct, np.arange(len(sure), dtype=np.int64))
    errors = {"ece_before": choice.ece_before, "ece_after": choice.ece_after}
    return [_calibrated(s, choice.calibration) for s in found], errors


def order_of(order: Order, items: Sequence[AnnotationItem], found: Sequence[Suggestion], rows: Mapping[str, Row]) -> list[str]:
    """The doc_ids of all items as they are to be handed out: open ones by the project's order, the others behind them."""
    by_place = sorted(items, key=lambda item: (item.fragment, item.row))
    ahead = [item.doc_id for item in by_place if item.state == "open"]
    behind = [item.doc_id for item in by_place if item.state != "open"]
    by_id = {s.doc_id: s.confidence for s in found}
    confidences = [by_id.get(doc_id) for doc_id in ahead]
    if order == "dataset":
        return [*ahead, *behind]
    if order == "least_confident":
        return [*(ahead[i] for i in least_confident(confidences)), *behind]
    texts = [rows[doc_id]["text"] or "" for doc_id in ahead]
    return [*(ahead[i] for i in diverse(confidences, texts, [rows[doc_id]["text"] or "" for doc_id in behind])), *behind]


def _calibrated(one: Suggestion, calibration: Calibration) -> Suggestion:
    if one.confidence is None:
        return one
    return Suggestion(one.doc_id, one.value, one.by, float(calibration.apply(np.array([one.confidence]))[0]))


def _batches(doc_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(doc_ids), BATCH):
        yield doc_ids[start : start + BATCH]
