"""Annotation: what people say of documents, side by side, and the dataset that comes of it."""

from __future__ import annotations

from typing import Any, Literal

from fourfold.application.results import AnnotationDetail, Released, Spec
from fourfold.application.sdk import Line
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


class Annotations(Line):
    """Annotation: what people say of documents, side by side, and the dataset that comes of it."""

    def annotations(self) -> list[Annotation]:
        """Every annotation project."""
        return self._do("annotations", {}, list[Annotation])

    def annotation(self, name: str) -> AnnotationDetail:
        """An annotation project: its question, its guideline in every version, and how far it is."""
        return self._do("annotation", {"name": name}, AnnotationDetail)

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
        return self._do(
            "create_annotation",
            {
                "name": name,
                "dataset": dataset,
                "question": question,
                "guideline": guideline,
                "redundancy": redundancy,
                "lease_seconds": lease_seconds,
                "order": order,
            },
            Annotation,
        )

    def write_guideline(self, name: str, text: str) -> Guideline:
        """A new version of what annotators are told to do; every answer names the one that it followed."""
        return self._do("write_guideline", {"name": name, "text": text}, Guideline)

    def next_items(self, name: str, *, limit: int = 1) -> Handed:
        """The next documents for whoever asks: those that they hold, then new ones, which nobody else is given meanwhile."""
        return self._do("next_items", {"name": name, "limit": limit}, Handed)

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
        """Answer a document, such as {"label": "refund"}; None passes it over, with a comment that says why."""
        return self._do(
            "label_item",
            {"name": name, "doc_id": doc_id, "value": value, "comment": comment, "guideline": guideline, "seconds": seconds},
            Answer,
        )

    def release_items(self, name: str, *, doc_ids: list[str] | None = None) -> Released:
        """Let go of documents that one holds (None: of all), so that others get them."""
        return self._do("release_items", {"name": name, "doc_ids": doc_ids}, Released)

    def labels(self, name: str, *, doc_id: str | None = None, history: bool = False) -> list[Answer]:
        """What was answered: by everybody what counts, with `history` every revision; of a document, or of all."""
        return self._do("labels", {"name": name, "doc_id": doc_id, "history": history}, list[Answer])

    def agreement(self, name: str) -> Agreement:
        """How far annotators agree: Krippendorff's alpha, Cohen's kappa of each two, F1 of spans."""
        return self._do("agreement", {"name": name}, Agreement)

    def disagreements(self, name: str, *, limit: int = 50) -> list[Disagreement]:
        """Documents that everybody who should has answered, and on which they differ, or which all passed over."""
        return self._do("disagreements", {"name": name, "limit": limit}, list[Disagreement])

    def adjudicate(self, name: str, doc_id: str, value: dict[str, Any] | None, reason: str) -> Answer:
        """Decide a document over what was answered; None leaves it out."""
        return self._do("adjudicate", {"name": name, "doc_id": doc_id, "value": value, "reason": reason}, Answer)

    def prelabel(self, name: str, model: str) -> Prelabelled:
        """Let a model suggest an answer for every document, and put those first of which it is least sure."""
        return self._do("prelabel", {"name": name, "model": model}, Prelabelled)

    def publish_annotation(self, name: str, dataset: str, *, rule: Literal["agreed", "majority"] = "agreed") -> Version:
        """A version of a dataset with the documents that are decided, their labels, who gave them, when, by which guideline."""
        return self._do("publish_annotation", {"name": name, "dataset": dataset, "rule": rule}, Version)

    def import_annotation(self, name: str, tasks: list[dict[str, Any]]) -> Imported:
        """Bring annotations and predictions of Label Studio's tasks into a project."""
        return self._do("import_annotation", {"name": name, "tasks": tasks}, Imported)

    def export_annotation(self, name: str) -> Exported:
        """A project as Label Studio's tasks, with annotations and predictions, and the labelling configuration for them."""
        return self._do("export_annotation", {"name": name}, Exported)

    def close_annotation(self, name: str, *, reopen: bool = False) -> Annotation:
        """End a project: it hands nothing out and takes no answer until it is opened again."""
        return self._do("close_annotation", {"name": name, "reopen": reopen}, Annotation)

    def move_annotation(self, name: str, dataset: str, *, forget_missing: bool = False) -> Moved:
        """Go on with another version of the dataset; answers stay with their documents.

        Refused if answers would go, of documents that are not in it or whose text changed, unless `forget_missing`.
        """
        return self._do("move_annotation", {"name": name, "dataset": dataset, "forget_missing": forget_missing}, Moved)
