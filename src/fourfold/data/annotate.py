"""Annotate: people answer a question about the documents of a dataset, side by side, under a guideline.

The state of a project is rows of the ledger (storage.annotation_projects, storage.annotation_queue); texts are read from the
dataset when somebody who may see them looks. `annotated` makes a dataset version of what was answered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.core.build import settings_of
from fourfold.core.errors import BadInput, Conflict
from fourfold.core.nouns import Actor, Version
from fourfold.core.registry import split_spec
from fourfold.data import decisions
from fourfold.data.agreement import measure
from fourfold.data.annotation_results import LEASE_SECONDS, Agreement, Disagreement, Handed, ItemToLabel, Moved
from fourfold.data.dataset import Dataset
from fourfold.data.decisions import UNDECIDED, decide
from fourfold.data.fragments import fragment_path
from fourfold.data.questions import QUESTIONS, Question
from fourfold.storage import annotation_projects as projects
from fourfold.storage import annotation_queue as queue
from fourfold.storage.annotation_projects import Annotation, AnnotationItem, Order, Place
from fourfold.storage.annotation_queue import Answer
from fourfold.storage.ledger import Ledger

LONGEST = 20_000  # characters of a guideline or comment
Row = dict[str, Any]


def start(
    ledger: Ledger,
    actor: Actor,
    name: str,
    dataset: Version,
    question: Any,
    *,
    guideline: str = "",
    redundancy: int = 1,
    lease_seconds: float = LEASE_SECONDS,
    order: Order = "diverse",
) -> Annotation:
    """A new project that asks `question` (`{"classification": {"labels": [...]}}`) about every document of a dataset.

    Raises BadSpec for a wrong question, BadInput if a column that it shows is missing, Conflict if the name is taken.
    """
    asked = QUESTIONS.build(question, path="annotate")
    spec = {split_spec(question, path="annotate")[0]: settings_of(asked)}
    places = list(places_of(ledger, dataset, asked))
    with ledger.write() as connection:
        return projects.create(
            connection,
            actor.id,
            name,
            dataset.id,
            spec,
            places,
            guideline=checked_text(guideline, "guideline"),
            redundancy=redundancy,
            lease_seconds=lease_seconds,
            order=order,
        )


def hand_out(ledger: Ledger, actor: Actor, name: str, limit: int) -> Handed:
    """The next items for a person: those that they hold, then new ones. Nobody else is given them meanwhile."""
    with ledger.write() as connection:
        held = queue.take(connection, name, actor.id, limit)
    with ledger.database.read() as connection:
        project = projects.one(connection, name)
        left = projects.count_open(connection, name)
    rows = rows_of(ledger, project, [h.item for h in held])
    items = [
        ItemToLabel(
            h.item.doc_id, rows[h.item.doc_id]["text"] or "", shown(rows[h.item.doc_id]), _mapping(h.item.suggestion),
            h.item.suggested_by, h.item.confidence, project.guideline, h.until,
        )
        for h in held
    ]  # fmt: skip
    return Handed(items, left)


def keep(
    ledger: Ledger,
    actor: Actor,
    name: str,
    doc_id: str,
    value: Mapping[str, Any] | None,
    *,
    comment: str = "",
    guideline: int | None = None,
    seconds: float | None = None,
) -> Answer:
    """Keep a person's answer; None passes the document over, which takes a comment.

    Raises BadInput for a value that does not answer the question, Conflict if the item has no room for this person any more.
    """
    checked = _checked(ledger, name, doc_id, value)
    comment = checked_text(comment, "comment")
    if value is None and not comment.strip():
        raise BadInput("A document is passed over with a comment that says why.", hint='For example: "two languages".')
    with ledger.write() as connection:
        return queue.answer(connection, name, actor.id, doc_id, checked, comment=comment, guideline=guideline, seconds=seconds)


def adjudicate(ledger: Ledger, actor: Actor, name: str, doc_id: str, value: Mapping[str, Any] | None, *, reason: str) -> Answer:
    """Decide a document over what was answered; None leaves it out of every result."""
    checked = _checked(ledger, name, doc_id, value)
    if not checked_text(reason, "reason").strip():
        raise BadInput("A decision has a reason.", hint="It is kept with the decision, for whoever asks later.")
    with ledger.write() as connection:
        return queue.adjudicate(connection, name, actor.id, doc_id, checked, reason=reason)


def disagreements(ledger: Ledger, name: str, limit: int) -> list[Disagreement]:
    """Documents that everybody who should has answered and that are not decided, in the order of the queue."""
    with ledger.database.read() as connection:
        project = projects.one(connection, name)
        items = {item.doc_id: item for item in projects.items(connection, name) if item.state == "done"}
        said = decisions.by_document(queue.answers(connection, name))
    found: list[tuple[AnnotationItem, str]] = []
    for doc_id, item in items.items():
        outcome = decide(said.get(doc_id, []), project.redundancy, "agreed")
        if outcome.why in UNDECIDED:
            found.append((item, outcome.why))
    found = found[:limit]
    rows = rows_of(ledger, project, [item for item, _ in found])
    return [
        Disagreement(item.doc_id, rows[item.doc_id]["text"] or "", shown(rows[item.doc_id]), why, said[item.doc_id])
        for item, why in found
    ]


def agreement(ledger: Ledger, name: str) -> Agreement:
    """How far people agree on the documents that at least two of them answered; adjudications do not count."""
    with ledger.database.read() as connection:
        project = projects.one(connection, name)
        answers = [a for a in queue.answers(connection, name) if a.role == "annotator" and a.value is not None]
        said = {doc_id: given for doc_id, given in decisions.by_document(answers).items() if len(given) > 1}
        items = projects.items(connection, name, list(said))
    question = question_of(project)
    rows = rows_of(ledger, project, items)
    people: dict[str, dict[Any, str]] = {}
    spans: dict[str, dict[Any, frozenset[Any]]] = {}
    for doc_id, given in said.items():
        for each in given:
            value = dict(each.value or {})
            units = question.units(value, rows[doc_id])
            people.setdefault(each.annotator, {}).update({(doc_id, unit): label for unit, label in units.items()})
            if "spans" in value:
                marked = frozenset((s["start"], s["end"], s["label"]) for s in value["spans"])
                spans.setdefault(each.annotator, {})[doc_id] = marked
    same = sum(all(each.value == given[0].value for each in given) for given in said.values())
    return measure(people, spans, len(said), same)


def move(ledger: Ledger, actor: Actor, name: str, dataset: Version, *, forget_missing: bool = False) -> Moved:
    """Go on with another version of the dataset, as after more was collected or somebody was forgotten; answers stay with their
    documents.

    Raises Conflict, and changes nothing, if answers would go: of documents that it does not hold, or whose spans do not fit its
    text any more. `forget_missing` lets them go.
    """
    with ledger.database.read() as connection:
        project = projects.one(connection, name)
        items = {item.doc_id: item for item in projects.items(connection, name)}
        said = decisions.by_document(queue.answers(connection, name))
    question = question_of(project)
    places = list(places_of(ledger, dataset, question))
    there = {doc_id: AnnotationItem(doc_id, f, r, 0, "", 0, None, None, None) for doc_id, f, r in places}
    rows = rows_in(ledger, dataset, question, [there[doc_id] for doc_id in said if doc_id in there])
    unfit = [doc_id for doc_id in said if doc_id in there and not _fits(question, said[doc_id], rows[doc_id])]
    gone = [doc_id for doc_id in said if doc_id not in there and doc_id in items]
    if (gone or unfit) and not forget_missing:
        raise Conflict(
            f"{dataset.ref} does not hold {len(gone)} of the {len(said)} answered documents of {name}, and the answers of "
            f"{len(unfit)} do not fit its text.",
            hint="Nothing was changed. Let those answers go with --forget-missing.",
        )
    with ledger.write() as connection:
        projects.open_one(connection, name)
        kept, new, lost = projects.move(connection, actor.id, name, dataset.id, places, unfit)
    return Moved(dataset.ref, kept, new, lost)


# Documents


def question_of(project: Annotation) -> Question:
    """The question that a project asks."""
    return QUESTIONS.build(project.question, path=project.name)


def places_of(ledger: Ledger, dataset: Version, question: Question) -> Iterator[Place]:
    """Where each document of a dataset is; of equal ids the first. Raises BadInput if a column that is shown is missing."""
    if dataset.kind != "dataset":
        raise BadInput(f"{dataset.ref} is a {dataset.kind}, not a dataset.", hint="Run: fourfold versions --kind dataset")
    seen: set[str] = set()
    for fragment in Dataset(ledger.materialise(dataset)).fragments():
        number = int(fragment.path.stem.rpartition("-")[2])
        for row, doc_id in enumerate(fragment.table(["doc_id", "text", *question.reads()])["doc_id"].to_pylist()):
            if doc_id not in seen:
                seen.add(doc_id)
                yield doc_id, number, row


def rows_of(ledger: Ledger, project: Annotation, items: Collection[AnnotationItem]) -> dict[str, Row]:
    """The rows of a project's items by doc_id, as far as its question reads them."""
    return rows_in(ledger, ledger.version(project.version_id), question_of(project), items) if items else {}


def rows_in(ledger: Ledger, dataset: Version, question: Question, items: Collection[AnnotationItem]) -> dict[str, Row]:
    """The rows of a dataset that items stand for, by doc_id."""
    folder = ledger.materialise(dataset)
    columns = list(dict.fromkeys(("doc_id", "text", *question.reads())))
    by_fragment: dict[int, list[int]] = {}
    for item in items:
        by_fragment.setdefault(item.fragment, []).append(item.row)
    found: dict[str, Row] = {}
    for number, rows in by_fragment.items():
        table = pq.read_table(fragment_path(folder, number), columns=columns).take(pa.array(rows))
        found |= {row["doc_id"]: row for row in table.to_pylist()}
    return found


def shown(row: Row) -> dict[str, Any]:
    """What annotators see of a row beside its text."""
    return {name: value for name, value in row.items() if name not in ("doc_id", "text")}


def checked_text(text: str, what: str) -> str:
    """The text. Raises BadInput if no database can hold it, or if it is too long."""
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text) or len(text) > LONGEST:
        raise BadInput(f"The {what} is no text of at most {LONGEST} characters.", hint="Take out NULs and broken characters.")
    return text


def _checked(ledger: Ledger, name: str, doc_id: str, value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The value in its one form. Raises NotFound for a document that the project does not have."""
    with ledger.database.read() as connection:
        project = projects.one(connection, name)
        if project.state == "open":
            item = projects.item(connection, name, checked_text(doc_id, "doc_id"))
    if project.state != "open":
        with ledger.write() as connection:
            projects.open_one(connection, name)  # says why not
    if value is None:
        return None
    return question_of(project).check(value, rows_of(ledger, project, [item])[doc_id])  # type: ignore[possibly-undefined]


def _fits(question: Question, answers: Sequence[Answer], row: Row) -> bool:
    try:
        return all(each.value is None or question.check(each.value, row) == each.value for each in answers)
    except BadInput:
        return False


def _mapping(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)
