"""Which of two texts is better."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fourfold.core.errors import BadInput
from fourfold.data.questions import Row, Value, known, only, region

TIE = "tie"


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of the texts in the columns `a` and `b` answers the document better; an answer is {"preferred": "a"}, "b" or "tie".

    The result has `prompt`, `chosen` and `rejected`, as preference training reads them, and `preferred`; of a tie the chosen
    and the rejected are missing. `ties` false refuses a tie.
    """

    a: str = "answer_a"
    b: str = "answer_b"
    ties: bool = True
    show: tuple[str, ...] = ()

    tasks: ClassVar[tuple[str, ...]] = ("rank",)

    def reads(self) -> tuple[str, ...]:
        return (self.a, self.b, *self.show)

    def check(self, value: Mapping[str, Any], row: Row) -> Value:
        return {"preferred": known(only(value, "preferred"), ("a", "b", TIE) if self.ties else ("a", "b"), "preferred")}

    def columns(self, value: Value, row: Row) -> dict[str, Any]:
        pair = {"a": (row[self.a], row[self.b]), "b": (row[self.b], row[self.a])}
        chosen, rejected = pair.get(value["preferred"], (None, None))
        return {"prompt": row["text"], "chosen": chosen, "rejected": rejected, "preferred": value["preferred"]}

    def units(self, value: Value, row: Row) -> dict[Hashable, str]:
        return {"preferred": value["preferred"]}

    def request(self, task: str, row: Row) -> dict[str, Any]:
        items = [{"text": row[column] or "", "id": side} for side, column in (("a", self.a), ("b", self.b))]
        return {"query": row["text"] or "", "items": items}

    def suggestion(self, task: str, result: Mapping[str, Any], row: Row) -> tuple[Value, float | None]:
        best = result["ranking"][0]
        return {"preferred": best["id"]}, best["score"]

    def studio(self) -> str:
        return (
            '<View><Text name="text" value="$text"/><Pairwise name="answer" toName="a,b"/>'
            '<Text name="a" value="$a"/><Text name="b" value="$b"/></View>'
        )

    def to_studio(self, value: Value, row: Row) -> list[dict[str, Any]]:
        """Label Studio has no tie: one has no region. A region names the first of the two texts, as its own SDK has it."""
        side = {"a": "left", "b": "right"}.get(value["preferred"])
        region = {"from_name": "answer", "to_name": "a", "type": "pairwise", "value": {"selected": side}}
        return [region] if side else []

    def from_studio(self, regions: Sequence[Mapping[str, Any]], row: Row) -> Value:
        if not regions:
            return self.check({"preferred": TIE}, row)
        side = {"left": "a", "right": "b"}.get(str(region(regions, "pairwise").get("selected")))
        if side is None:
            raise BadInput("It selects neither left nor right.")
        return self.check({"preferred": side}, row)
