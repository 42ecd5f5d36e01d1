"""Labelled stretches of a document's text."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar
from xml.sax.saxutils import quoteattr

import msgspec

from fourfold.core.errors import BadInput
from fourfold.data.questions import Row, Value, distinct, known, only
from fourfold.data.tokens import gaps

ATOM = re.compile(  # a run of letters, a run of digits, a Chinese character, a sign
    "[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003347f]|[^\\W\\d_\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003347f]+|\\d+|\\S"
)
OUTSIDE = "O"
Place = tuple[int, int]  # code points, half-open


@dataclass(frozen=True, slots=True)
class Spans:
    """Which stretches of the text carry which of `labels`; an answer is {"spans": [{"start": 0, "end": 2, "label": "PER"}]}.

    Offsets are code points, half-open; spans do not overlap. The result has them as the columns `tokens` and `tags` (BIO), as
    `crf` learns from them, and as JSON in `spans`. Tokens are the document's own where it has some that the spans do not cut.
    `show` are further columns that annotators see.
    """

    labels: tuple[str, ...]
    show: tuple[str, ...] = ()

    tasks: ClassVar[tuple[str, ...]] = ("tag",)

    def __post_init__(self) -> None:
        distinct(self.labels)

    def reads(self) -> tuple[str, ...]:
        return self.show

    def check(self, value: Mapping[str, Any], row: Row) -> Value:
        spans = only(value, "spans")
        if not isinstance(spans, list):
            raise BadInput("spans is no list.", hint='An answer is {"spans": [{"start": 0, "end": 2, "label": "PER"}]}.')
        found = sorted((self._span(span, f"spans[{i}]", row) for i, span in enumerate(spans)), key=lambda s: s["start"])
        for left, right in pairwise(found):
            if right["start"] < left["end"]:
                both = f"{left['start']}:{left['end']} and {right['start']}:{right['end']}"
                raise BadInput(f"The spans {both} overlap.", hint="Give each stretch one label.")
        return {"spans": found}

    def columns(self, value: Value, row: Row) -> dict[str, Any]:
        places = _tokens(row, value["spans"])
        tags = [_tag(place, value["spans"]) for place in places]
        tokens = [row["text"][start:end] for start, end in places]
        return {"tokens": tokens, "tags": tags, "spans": msgspec.json.encode(value["spans"]).decode()}

    def units(self, value: Value, row: Row) -> dict[Hashable, str]:
        """Each run of letters or digits, Chinese character and sign of the text, with the label of the span that it is in."""
        found: dict[Hashable, str] = {}
        for match in ATOM.finditer(row["text"] or ""):
            over = (s["label"] for s in value["spans"] if s["start"] < match.end() and match.start() < s["end"])
            found[match.start()] = next(over, OUTSIDE)
        return found

    def request(self, task: str, row: Row) -> dict[str, Any]:
        return {"text": row["text"] or ""}

    def suggestion(self, task: str, result: Mapping[str, Any], row: Row) -> tuple[Value, float | None]:
        """Its spans of labels that are asked for. It is as sure of a text as of its least sure token."""
        spans = [{key: span[key] for key in ("start", "end", "label")} for span in result.get("spans", ())]
        mine = [span for span in spans if span["label"] in self.labels]
        return self.check({"spans": mine}, row), min((token["score"] for token in result["tokens"]), default=None)

    def studio(self) -> str:
        labels = "".join(f"<Label value={quoteattr(label)}/>" for label in self.labels)
        return f'<View><Labels name="answer" toName="text">{labels}</Labels><Text name="text" value="$text"/></View>'

    def to_studio(self, value: Value, row: Row) -> list[dict[str, Any]]:
        return [
            {
                "from_name": "answer", "to_name": "text", "type": "labels", "id": f"{span['start']}-{span['end']}",
                "value": {
                    "start": span["start"], "end": span["end"], "text": row["text"][span["start"] : span["end"]],
                    "labels": [span["label"]],
                },
            }
            for span in value["spans"]
        ]  # fmt: skip

    def from_studio(self, regions: Sequence[Mapping[str, Any]], row: Row) -> Value:
        values = [r["value"] for r in regions if r.get("type") == "labels" and isinstance(r.get("value"), Mapping)]
        return self.check({"spans": [_from_region(value, row["text"] or "") for value in values]}, row)

    def _span(self, span: Any, path: str, row: Row) -> dict[str, Any]:
        if not isinstance(span, Mapping) or set(span) != {"start", "end", "label"}:
            raise BadInput(f"{path} is no span.", hint='A span is {"start": 0, "end": 2, "label": "PER"}.')
        start, end, length = span["start"], span["end"], len(row["text"] or "")
        if not all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end)):
            raise BadInput(f"{path}: start and end are whole numbers of characters.")
        if not 0 <= start < end <= length:
            raise BadInput(
                f"{path} is {start}:{end}, but the text has {length} characters.", hint="Start at 0; end is exclusive."
            )
        if not row["text"][start:end].strip():
            raise BadInput(f"{path}, {start}:{end}, is nothing but white space.")
        return {"start": start, "end": end, "label": known(span["label"], self.labels, f"{path}.label")}


def _from_region(value: Mapping[str, Any], text: str) -> dict[str, Any]:
    """A span of Label Studio. Its front end counts UTF-16 units: where `text` says that they are not code points, they become
    some."""
    labels = value.get("labels")
    if not isinstance(labels, list) or len(labels) != 1:
        raise BadInput("It has a stretch with several labels, or none.")
    start, end, said = value.get("start"), value.get("end"), value.get("text")
    if isinstance(start, int) and isinstance(end, int) and isinstance(said, str) and text[start:end] != said:
        wide = text.encode("utf-16-le")
        start, end = (len(wide[: 2 * at].decode("utf-16-le", "ignore")) for at in (start, end))
        if text[start:end] != said:
            raise BadInput(f"The stretch {value['start']}:{value['end']} is not where its text says.")
    return {"start": start, "end": end, "label": labels[0]}


def _tokens(row: Row, spans: Sequence[Mapping[str, Any]]) -> list[Place]:
    own = _own_tokens(row)
    borders = {span[side] for span in spans for side in ("start", "end")}
    if own and borders <= {at for place in own for at in place}:
        return own
    places: list[Place] = []
    for match in ATOM.finditer(row["text"] or ""):
        cuts = [match.start(), *sorted(b for b in borders if match.start() < b < match.end()), match.end()]
        places += [(a, b) for a, b in pairwise(cuts)]
    return places


def _own_tokens(row: Row) -> list[Place]:
    tokens = row.get("tokens")
    spaces = gaps(row["text"] or "", tokens) if isinstance(tokens, list) and all(tokens) else None
    if not tokens or spaces is None:
        return []
    places, at = [], 0
    for space, token in zip(spaces, tokens):
        at += len(space)
        places.append((at, at + len(token)))
        at += len(token)
    return places


def _tag(place: Place, spans: Sequence[Mapping[str, Any]]) -> str:
    for span in spans:
        if span["start"] <= place[0] < span["end"]:
            return f"{'B' if place[0] == span['start'] else 'I'}-{span['label']}"
    return OUTSIDE
