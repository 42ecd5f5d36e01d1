"""The door of questions: what annotators are asked of a document, and the table of their names."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from fourfold.core.errors import BadInput, did_you_mean
from fourfold.core.registry import Table

Row = Mapping[str, Any]
Value = dict[str, Any]


class Question(Protocol):
    """A frozen dataclass whose fields are the settings. A value is plain JSON that holds no text of the document."""

    tasks: ClassVar[tuple[str, ...]]  # of a model that can suggest a value, the best first

    def reads(self) -> tuple[str, ...]:
        """Columns of a document that annotators see beside its text."""
        ...

    def check(self, value: Mapping[str, Any], row: Row) -> Value:
        """The value in the one form that equal answers have. Raises BadInput for one that does not answer the question."""
        ...

    def columns(self, value: Value, row: Row) -> dict[str, Any]:
        """What a row of the resulting dataset gets: strings and lists of strings."""
        ...

    def units(self, value: Value, row: Row) -> dict[Hashable, str]:
        """The decisions that agreement is measured on, each with its category."""
        ...

    def request(self, task: str, row: Row) -> dict[str, Any]:
        """What a model of that task is given."""
        ...

    def suggestion(self, task: str, result: Mapping[str, Any], row: Row) -> tuple[Value, float | None]:
        """The value that its result stands for, and how sure it is."""
        ...

    def studio(self) -> str:
        """Label Studio's labelling configuration."""
        ...

    def to_studio(self, value: Value, row: Row) -> list[dict[str, Any]]:
        """The value as Label Studio's regions."""
        ...

    def from_studio(self, regions: Sequence[Mapping[str, Any]], row: Row) -> Value:
        """The value that Label Studio's regions say. Raises BadInput."""
        ...


QUESTIONS = Table(
    "question",
    {
        "classification": "fourfold.data.questions.classification:Classification",
        "spans": "fourfold.data.questions.spans:Spans",
        "preference": "fourfold.data.questions.preference:Preference",
        "text": "fourfold.data.questions.text:Text",
    },
)


def only(value: Mapping[str, Any], field: str) -> Any:
    """The one field that a value has. Raises BadInput if it has others, or not this one."""
    if set(value) != {field}:
        given = ", ".join(sorted(map(str, value))) or "nothing"
        raise BadInput(f"An answer to this question has the field {field!r}, not {given}.{did_you_mean(given, [field])}")
    return value[field]


def known(label: Any, labels: Sequence[str], path: str) -> str:
    """The label. Raises BadInput if it is none of `labels`."""
    if label not in labels:
        shown = ", ".join(labels[:20]) + (" …" if len(labels) > 20 else "")
        raise BadInput(
            f"{path} is {label!r}, which is no label of this project.{did_you_mean(str(label), labels)}",
            hint=f"Labels: {shown}.",
        )
    return label


def distinct(labels: Sequence[str]) -> None:
    """Raises ValueError unless there are labels, each of them once and not blank."""
    broken = any("\ud800" <= c <= "\udfff" or c == "\0" for label in labels for c in label)
    if not labels or len(set(labels)) < len(labels) or not all(label.strip() for label in labels) or broken:
        raise ValueError("labels is a list of different labels, none of them blank or broken")


def region(regions: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, Any]:
    """The value of the one region of a kind. Raises BadInput if there is none, or several."""
    found = [r["value"] for r in regions if r.get("type") == kind and isinstance(r.get("value"), Mapping)]
    if len(found) != 1:
        raise BadInput(f"It has {len(found)} regions of type {kind!r} where one is wanted.")
    return found[0]
