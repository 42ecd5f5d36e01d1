"""Label Studio's tasks: annotations and predictions brought into a project, and a project as tasks for it.

https://labelstud.io/guide/task_format: `data`, `annotations[].result[]` and `predictions[].{model_version, score, result[]}`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from fourfold.core.errors import BadInput, Conflict, NotFound
from fourfold.core.nouns import Actor
from fourfold.data.annotate import checked_text, question_of, rows_of, shown
from fourfold.data.annotation_results import Exported, Imported
from fourfold.data.decisions import by_document
from fourfold.data.questions import Question, Row
from fourfold.storage import annotation_projects as projects
from fourfold.storage import annotation_queue as queue
from fourfold.storage.annotation_projects import AnnotationItem, Suggestion
from fourfold.storage.annotation_queue import Answer
from fourfold.storage.ledger import Ledger

TASKS_AT_ONCE = 200  # in one transaction
PREFIX = "label-studio:"
Task = Mapping[str, Any]


def export_tasks(ledger: Ledger, name: str) -> Exported:
    """Every document of a project as a task: with its answers as annotations and its suggestion as a prediction."""
    with ledger.database.read() as connection:
        project = projects.one(connection, name)
        items = projects.items(connection, name)
        said = by_document(queue.answers(connection, name))
    question = question_of(project)
    rows = rows_of(ledger, project, items)
    tasks = [
        _task(number, item, rows[item.doc_id], said.get(item.doc_id, []), question)
        for number, item in enumerate(items, start=1)
    ]
    return Exported(question.studio(), tasks)


def import_tasks(ledger: Ledger, actor: Actor, name: str, tasks: Sequence[Task]) -> Imported:
    """Bring annotations and predictions of tasks into a project; a task is known by its `doc_id`, else by its exact text.

    An annotation becomes the answer of `label-studio:WHO`, one that is ground truth a decision of `actor`, a prediction a
    suggestion. What cannot be used is counted, and the rest goes on; bringing the same again changes nothing.
    """
    with ledger.write() as connection:
        project = projects.open_one(connection, name)
        items = {item.doc_id: item for item in projects.items(connection, name)}
    question = question_of(project)
    rows = rows_of(ledger, project, list(items.values()))
    by_text = _by_text(rows)
    done = Imported(tasks=len(tasks))
    rest = iter(enumerate(tasks, start=1))
    while some := list(islice(rest, TASKS_AT_ONCE)):
        with ledger.write() as connection:
            for number, task in some:
                path = f"task {task.get('id', number) if isinstance(task, Mapping) else number}"
                row = _row(task, path, rows, by_text, done)
                if row is None:
                    continue
                for each in _listed(task, "annotations"):
                    _bring_annotation(connection, actor, name, each, row, question, path, done)
                _bring_prediction(connection, name, _listed(task, "predictions"), row, question, path, done)
    return done


# Out


def _task(number: int, item: AnnotationItem, row: Row, answers: Sequence[Answer], question: Question) -> dict[str, Any]:
    data = {"text": row["text"] or "", "doc_id": item.doc_id, **shown(dict(row))}
    for side in ("a", "b"):  # the columns of a pair have names of their own
        column = getattr(question, side, None)
        if column is not None:
            data[side] = row[column]
    predictions = []
    if item.suggestion is not None:
        result = question.to_studio(dict(item.suggestion), row)
        predictions = [{"model_version": item.suggested_by, "score": item.confidence, "result": result}]
    annotations = [_annotation(n, each, row, question) for n, each in enumerate(answers, start=1)]
    return {"id": number, "data": data, "annotations": annotations, "predictions": predictions}


def _annotation(number: int, each: Answer, row: Row, question: Question) -> dict[str, Any]:
    return {
        "id": number,
        "annotator": each.annotator,
        "result": [] if each.value is None else question.to_studio(dict(each.value), row),
        "was_cancelled": each.value is None,
        "ground_truth": each.role == "adjudicator",
        "created_at": datetime.fromtimestamp(each.at, UTC).isoformat(),
        "lead_time": each.seconds,
        "comment": each.comment,
    }


# In


def _by_text(rows: Mapping[str, Row]) -> dict[str, str]:
    """doc_id of each text that only one document has."""
    count = Counter(row["text"] for row in rows.values())
    return {row["text"]: doc_id for doc_id, row in rows.items() if count[row["text"]] == 1}


def _row(task: Task, path: str, rows: Mapping[str, Row], by_text: Mapping[str, str], done: Imported) -> Row | None:
    data = task.get("data") if isinstance(task, Mapping) else None
    if not isinstance(data, Mapping):
        done.leave("no task", f"{path} has no data")
        return None
    doc_id = data.get("doc_id")
    if doc_id not in rows:
        doc_id = next((by_text[value] for value in data.values() if isinstance(value, str) and value in by_text), None)
    if doc_id is None:
        done.leave("no such document", f"{path}: the project has no document of its doc_id, and not exactly one of its text")
        return None
    return rows[doc_id]


def _bring_annotation(
    connection: Any, actor: Actor, name: str, each: Task, row: Row, question: Question, path: str, done: Imported
) -> None:
    cancelled = bool(each.get("was_cancelled"))
    comment = str(each.get("comment") or ("passed over in Label Studio" if cancelled else ""))
    try:
        value = None if cancelled else question.from_studio(_listed(each, "result"), row)
        if each.get("ground_truth"):
            _bring_decision(connection, actor, name, row["doc_id"], value, comment, done)
            return
        queue.answer(
            connection, name, _who(each), row["doc_id"], value, comment=checked_text(comment, "comment"),
            seconds=_number(each.get("lead_time")), at=_time(each.get("created_at")),
        )  # fmt: skip
        done.answers += 1
    except (BadInput, Conflict, NotFound) as error:
        done.leave("no room" if isinstance(error, Conflict) else "no answer to this question", f"{path}: {error.message}")


def _bring_decision(
    connection: Any, actor: Actor, name: str, doc_id: str, value: dict[str, Any] | None, comment: str, done: Imported
) -> None:
    decided = [a for a in queue.answers(connection, name, [doc_id]) if a.role == "adjudicator"]
    if not decided or decided[-1].value != value:
        reason = checked_text(comment, "comment") or "ground truth in Label Studio"
        queue.adjudicate(connection, name, actor.id, doc_id, value, reason=reason)
    done.decisions += 1


def _bring_prediction(
    connection: Any, name: str, predictions: Sequence[Task], row: Row, question: Question, path: str, done: Imported
) -> None:
    """The surest of a task's predictions, of equal ones the last."""
    if not predictions:
        return
    best = max(reversed(predictions), key=lambda p: _share(p.get("score")) or 0.0)
    try:
        value = question.from_studio(_listed(best, "result"), row)
    except BadInput as error:
        done.leave("no answer to this question", f"{path}: its prediction: {error.message}")
        return
    by = str(best.get("model_version") or "") or f"{PREFIX}prediction"
    projects.suggest(connection, name, [Suggestion(row["doc_id"], value, by, _share(best.get("score")))])
    done.suggestions += 1


def _listed(task: Task, field: str) -> list[Task]:
    value = task.get(field)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _who(each: Task) -> str:
    """Who answered: as our own export says, else Label Studio's number or address of the person."""
    if isinstance(each.get("annotator"), str):
        return checked_text(each["annotator"], "annotator")
    by = each.get("completed_by")
    if isinstance(by, Mapping):
        by = by.get("id") or by.get("email")
    return checked_text(f"{PREFIX}{'somebody' if by is None else by}", "annotator")


def _time(value: Any) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except ValueError:
        return None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _share(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None
