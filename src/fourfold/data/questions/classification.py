"""One label for a whole document."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from xml.sax.saxutils import quoteattr

from fourfold.core.errors import BadInput
from fourfold.data.questions import Row, Value, distinct, known, only, region


@dataclass(frozen=True, slots=True)
class Classification:
    """Which one of `labels` fits the document; an answer is {"label": "refund"}.

    The result has it in the column `into`. `show` are further columns that annotators see.
    """

    labels: tuple[str, ...]
    into: str = "label"
    show: tuple[str, ...] = ()

    tasks: ClassVar[tuple[str, ...]] = ("rank",)

    def __post_init__(self) -> None:
        distinct(self.labels)

    def reads(self) -> tuple[str, ...]:
        return self.show

    def check(self, value: Mapping[str, Any], row: Row) -> Value:
        return {"label": known(only(value, "label"), self.labels, "label")}

    def columns(self, value: Value, row: Row) -> dict[str, Any]:
        return {self.into: value["label"]}

    def units(self, value: Value, row: Row) -> dict[Hashable, str]:
        return {"label": value["label"]}

    def request(self, task: str, row: Row) -> dict[str, Any]:
        return {"query": f"{row['text']} ", "items": [{"text": label} for label in self.labels]}

    def suggestion(self, task: str, result: Mapping[str, Any], row: Row) -> tuple[Value, float | None]:
        best = result["ranking"][0]
        return {"label": best["text"]}, best["score"]

    def studio(self) -> str:
        choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in self.labels)
        return f'<View><Text name="text" value="$text"/><Choices name="answer" toName="text">{choices}</Choices></View>'

    def to_studio(self, value: Value, row: Row) -> list[dict[str, Any]]:
        return [{"from_name": "answer", "to_name": "text", "type": "choices", "value": {"choices": [value["label"]]}}]

    def from_studio(self, regions: Sequence[Mapping[str, Any]], row: Row) -> Value:
        chosen = region(regions, "choices").get("choices")
        if not isinstance(chosen, list) or len(chosen) != 1:
            raise BadInput("It has several labels, or none, where one is wanted.")
        return self.check({"label": chosen[0]}, row)
