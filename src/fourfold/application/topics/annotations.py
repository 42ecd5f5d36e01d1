"""Annotation: what people say of documents, side by side, and the dataset that comes of it."""

from __future__ import annotations

from typing import Any, Literal

from fourfold.application import look
from fourfold.application.permissions import action
from fourfold.application.results import AnnotationDetail, Released, Spec
from fourfold.application.topics import Hand
from fourfold.core.nouns import Version
from fourfold.data.annotation_results import (
    LEASE_SECONDS,
    Agreement,
    Disagreement,
    Exported,
    Handed,
    Imported,
    Moved,
    Prelabelled,
)
from fourfold.storage.annotation_projects import Annotation, Guideline, Order
from fourfold.storage.annotation_queue import Answer


class Annotations(Hand):
    """Annotation: what people say of documents, side by side, and the dataset that comes of it."""

    @action("enter")
    def annotations(self) -> list[Annotation]:
        """Every annotation project."""
        from fourfold.storage.annotation_projects import all_annotations

        with self.ledger.database.read() as connection:
            return all_annotations(connection)

    @action("enter")
    def annotation(self, name: str) -> AnnotationDetail:
        """An annotation project: its question, its guideline in every version, and how far it is."""
        return look.annotation(self.ledger, name)

    @action("make")
    def create_annotation(
        self,
        name: str,
        dataset: str,
        question: Spec,
        *,
        guideline: str = "",
        redundancy: int = 1,
        lease_seconds: float = LEASE_SECONDS,
        order: Order = "diverse",
    ) -> Annotation:
        """Ask a question, such as {"classification": {"labels": ["refund", "order"]}}, about every document of a dataset.

        `redundancy` people answer each. `order` of the queue once a model has pre-labelled: dataset, least_confident, diverse.
        """
        from fourfold.data.annotate import start

        return start(
            self.ledger,
            self.actor,
            name,
            self.ledger.version(dataset),
            question,
            guideline=guideline,
            redundancy=redundancy,
            lease_seconds=lease_seconds,
            order=order,
        )

    @action("make")
    def write_guideline(self, name: str, text: str) -> Guideline:
        """A new version of what annotators are told to do; every answer names the one that it followed."""
        from fourfold.data.annotate import checked_text
        from fourfold.storage import annotation_projects as projects

        with self.ledger.write() as connection:
            return projects.write_guideline(connection, self.actor.id, name, checked_text(text, "guideline"))

    @action("label")
    def next_items(self, name: str, *, limit: int = 1) -> Handed:
        """The next documents for whoever asks: those that they hold, then new ones, which nobody else is given meanwhile."""
        from fourfold.data.annotate import hand_out

        return hand_out(self.ledger, self.actor, name, limit)

    @action("label")
    def label_item(
        self,
        name: str,
        doc_id: str,
        value: dict[str, Any] | None,
        *,
        comment: str = "",
        guideline: int | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """Answer a document, such as {"label": "refund"}; null passes it over, with a comment that says why."""
        from fourfold.data.annotate import keep

        return keep(self.ledger, self.actor, name, doc_id, value, comment=comment, guideline=guideline, seconds=seconds)

    @action("label")
    def release_items(self, name: str, *, doc_ids: list[str] | None = None) -> Released:
        """Let go of documents that one holds (null: of all), so that others get them."""
        from fourfold.storage.annotation_queue import give_back

        with self.ledger.write() as connection:
            return Released(give_back(connection, name, self.actor.id, doc_ids))

    @action("read")
    def labels(self, name: str, *, doc_id: str | None = None, history: bool = False) -> list[Answer]:
        """What was answered: by everybody what counts, with `history` every revision; of a document, or of all."""
        return look.labels(self.ledger, name, doc_id=doc_id, history=history)

    @action("read")
    def agreement(self, name: str) -> Agreement:
        """How far annotators agree: Krippendorff's alpha, Cohen's kappa of each two, F1 of spans."""
        from fourfold.data.annotate import agreement

        return agreement(self.ledger, name)

    @action("adjudicate")
    def disagreements(self, name: str, *, limit: int = 50) -> list[Disagreement]:
        """Documents that everybody who should has answered, and on which they differ, or which all passed over."""
        from fourfold.data.annotate import disagreements

        return disagreements(self.ledger, name, look.bounded(limit))

    @action("adjudicate")
    def adjudicate(self, name: str, doc_id: str, value: dict[str, Any] | None, reason: str) -> Answer:
        """Decide a document over what was answered; null leaves it out."""
        from fourfold.data.annotate import adjudicate

        return adjudicate(self.ledger, self.actor, name, doc_id, value, reason=reason)

    @action("make")
    def prelabel(self, name: str, model: str) -> Prelabelled:
        """Let a model suggest an answer for every document, and put those first of which it is least sure."""
        from fourfold.compute.prelabel import prelabel

        return prelabel(self.ledger, self.actor, name, self.ledger.version(model), progress=self.progress)

    @action("make")
    def publish_annotation(self, name: str, dataset: str, *, rule: Literal["agreed", "majority"] = "agreed") -> Version:
        """A version of a dataset with the documents that are decided, their labels, who gave them, when, by which guideline."""
        from fourfold.data.annotated import publish

        return publish(self.ledger, self.actor, name, dataset, rule=rule, progress=self.progress)

    @action("make")
    def import_annotation(self, name: str, tasks: list[dict[str, Any]]) -> Imported:
        """Bring annotations and predictions of Label Studio's tasks into a project."""
        from fourfold.data.label_studio import import_tasks

        return import_tasks(self.ledger, self.actor, name, tasks)

    @action("read")
    def export_annotation(self, name: str) -> Exported:
        """A project as Label Studio's tasks, with annotations and predictions, and the labelling configuration for them."""
        from fourfold.data.label_studio import export_tasks

        return export_tasks(self.ledger, name)

    @action("make")
    def close_annotation(self, name: str, *, reopen: bool = False) -> Annotation:
        """End a project: it hands nothing out and takes no answer until it is opened again."""
        from fourfold.storage.annotation_projects import set_state

        with self.ledger.write() as connection:
            return set_state(connection, self.actor.id, name, "open" if reopen else "closed")

    @action("make")
    def move_annotation(self, name: str, dataset: str, *, forget_missing: bool = False) -> Moved:
        """Go on with another version of the dataset; answers stay with their documents.

        Refused if answers would go, of documents that are not in it or whose text changed, unless `forget_missing`.
        """
        from fourfold.data.annotate import move

        return move(self.ledger, self.actor, name, self.ledger.version(dataset), forget_missing=forget_missing)
