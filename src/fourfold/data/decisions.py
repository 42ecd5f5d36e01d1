"""What counts in the end for a document that several people answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fourfold.storage.annotation_projects import encode
from fourfold.storage.annotation_queue import Answer

Rule = Literal["agreed", "majority"]
UNDECIDED = ("disagreement", "passed_over")


@dataclass(frozen=True, slots=True)
class Decision:
    """`value` None: the document is left out. `why`: single, agreed, majority or adjudicated; else unfinished, disagreement,
    passed_over or excluded."""

    value: Mapping[str, Any] | None
    why: str


def by_document(answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    """Answers by document, in their order."""
    found: dict[str, list[Answer]] = {}
    for each in answers:
        found.setdefault(each.doc_id, []).append(each)
    return found


def decide(answers: Sequence[Answer], redundancy: int, rule: Rule) -> Decision:
    """The outcome of a document's answers. An adjudication counts over everything. Else as many people as the project asks for
    must have answered, and all the same; by the rule `majority`, more than half of them. Who passed it over agrees with nobody.
    """
    for each in answers:
        if each.role == "adjudicator":
            return Decision(each.value, "excluded" if each.value is None else "adjudicated")
    if len(answers) < redundancy or not answers:
        return Decision(None, "unfinished")
    given = Counter(encode(each.value) for each in answers if each.value is not None)
    if not given:
        return Decision(None, "passed_over")
    best, count = given.most_common(1)[0]
    value = next(each.value for each in answers if each.value is not None and encode(each.value) == best)
    if count == len(answers):
        return Decision(value, "single" if count == 1 else "agreed")
    if rule == "majority" and 2 * count > len(answers):
        return Decision(value, "majority")
    return Decision(None, "disagreement")
