"""What a model answers on labelled examples, how sure it was, and whether it was right: what calibration is fitted on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fourfold.compute.crf.corpus import Example
from fourfold.compute.crf.model import CrfModel
from fourfold.compute.crf.sentences import locate
from fourfold.compute.tasks import Span, Tagged, TagInput, TagOptions, Token
from fourfold.core.errors import BadInput

Labelled = tuple[int, int, str]  # start, end, label


@dataclass(slots=True)
class Answers:
    """Confidence of each answer, whether it was right, and the number of its example."""

    confidence: list[float] = field(default_factory=list)
    correct: list[bool] = field(default_factory=list)
    group: list[int] = field(default_factory=list)

    def add(self, answers: Sequence[Token] | Sequence[Span], gold: Sequence[bool], group: int) -> None:
        self.confidence += [answer.score for answer in answers]
        self.correct += gold
        self.group += [group] * len(gold)


def examine(model: CrfModel, examples: Sequence[Example]) -> dict[str, Answers]:
    """Answers by kind: `word` of given words; `character` of raw Chinese, right if both ends and the label are; `given` of
    Chinese with its words given; `span`, right if both ends and the label are. The model's calibration is applied.
    """
    found = {"word": Answers(), "character": Answers(), "given": Answers(), "span": Answers()}
    usable = [(example, places) for example in examples if (places := _places(example)) is not None]
    inputs = [TagInput(e.text, tokens=e.tokens, columns=dict(e.columns)) for e, _ in usable]
    for k, ((example, places), tagged) in enumerate(zip(usable, model.tag(inputs, TagOptions()))):
        kind = "word" if model.reader.unit_of(example.text) == "word" else "given"
        right = [token.label == tag for token, tag in zip(tagged.tokens, example.tags, strict=True)]
        found[kind].add(tagged.tokens, right, k)
        if model.marks_spans:
            _add_spans(found["span"], tagged, places, example.tags, k)
    raw = [(k, e, places) for k, (e, places) in enumerate(usable) if model.reader.unit_of(e.text) == "character"]
    for (k, example, places), tagged in zip(raw, model.tag([TagInput(e.text) for _, e, _ in raw], TagOptions())):
        gold = {(start, end, tag) for (start, end), tag in zip(places, example.tags)}
        found["character"].add(tagged.tokens, _right(tagged.tokens, gold), k)
    return found


def _places(example: Example) -> list[tuple[int, int]] | None:
    try:
        return locate(example.text, example.tokens)
    except BadInput:
        return None


def _right(answers: Iterable[Token | Span], gold: set[Labelled]) -> list[bool]:
    return [(answer.start, answer.end, answer.label) in gold for answer in answers]


def _add_spans(answers: Answers, tagged: Tagged, places: Sequence[tuple[int, int]], tags: Sequence[str], k: int) -> None:
    spans = tagged.spans if isinstance(tagged.spans, list) else []
    answers.add(spans, _right(spans, spans_of(places, tags)), k)


def spans_of(places: Sequence[tuple[int, int]], tags: Sequence[str]) -> set[Labelled]:
    """The stretches that BIO tags mark, as CoNLL's evaluation reads them: an I-X that continues nothing begins one."""
    found: list[Labelled] = []
    before = "O"
    for (start, end), tag in zip(places, tags, strict=True):
        if tag[:2] == "I-" and before[:2] in ("B-", "I-") and before[2:] == tag[2:]:
            found[-1] = (found[-1][0], end, tag[2:])
        elif tag != "O":
            found.append((start, end, tag[2:]))
        before = tag
    return {*found}
