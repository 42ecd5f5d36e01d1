"""A text of the annotator's own: an answer, a summary, a translation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fourfold.core.errors import BadInput
from fourfold.data.questions import Row, Value, only, region


@dataclass(frozen=True, slots=True)
class Text:
    """What to write about the document, of at most `longest` characters; an answer is {"text": "…"}.

    The result has it in the column `into`. `show` are further columns that annotators see.
    """

    into: str = "answer"
    longest: int = 20_000
    show: tuple[str, ...] = ()

    tasks: ClassVar[tuple[str, ...]] = ("generate",)

    def reads(self) -> tuple[str, ...]:
        return self.show

    def check(self, value: Mapping[str, Any], row: Row) -> Value:
        text = only(value, "text")
        if not isinstance(text, str) or not text.strip():
            raise BadInput("text is blank.", hint="Pass the document over if there is nothing to write.")
        if any("\ud800" <= c <= "\udfff" for c in text):
            raise BadInput("text holds broken characters.", hint="Give it as UTF-8.")
        if len(text) > self.longest:
            raise BadInput(
                f"text has {len(text)} characters, more than {self.longest}.", hint="The setting longest moves that."
            )
        return {"text": text}

    def columns(self, value: Value, row: Row) -> dict[str, Any]:
        return {self.into: value["text"]}

    def units(self, value: Value, row: Row) -> dict[Hashable, str]:
        return {"text": " ".join(value["text"].split())}

    def request(self, task: str, row: Row) -> dict[str, Any]:
        return {"text": row["text"] or ""}

    def suggestion(self, task: str, result: Mapping[str, Any], row: Row) -> tuple[Value, float | None]:
        """What it generates; how sure it is of it, it does not say."""
        return self.check({"text": result["text"][: self.longest]}, row), None

    def studio(self) -> str:
        return '<View><Text name="text" value="$text"/><TextArea name="answer" toName="text"/></View>'

    def to_studio(self, value: Value, row: Row) -> list[dict[str, Any]]:
        return [{"from_name": "answer", "to_name": "text", "type": "textarea", "value": {"text": [value["text"]]}}]

    def from_studio(self, regions: Sequence[Mapping[str, Any]], row: Row) -> Value:
        written = region(regions, "textarea").get("text")
        text = "\n".join(map(str, written)) if isinstance(written, list) else written
        return self.check({"text": text}, row)
