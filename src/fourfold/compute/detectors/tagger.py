"""Personal data by a tagger of one's own: names of people and places, as a model version has learnt them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from msgspec import UNSET

from fourfold.compute.families import FAMILIES
from fourfold.compute.tasks import TagInput, TagOptions
from fourfold.core.errors import BadSpec
from fourfold.data.detectors import Finding
from fourfold.data.on_versions import Files

# Spellings of the usual label sets (CoNLL, OntoNotes, WNUT17, MSRA), without case.
USUAL = {
    **dict.fromkeys(("per", "person", "pers", "nr", "person_name"), "PERSON"),
    **dict.fromkeys(("loc", "location", "gpe", "ns", "address"), "LOCATION"),
}


@dataclass(frozen=True, slots=True)
class Tagger:
    """Spans that the model version `model` marks with one of `labels` (label → entity), with a probability of at least
    `min_score`. Without `labels`: PER, PERSON, nr … are PERSON, and LOC, GPE, ns … LOCATION, of those that the model knows.

    The run and the version record which tagger it was, so that what it missed can be looked for again with a better one.
    """

    model: str
    labels: dict[str, str] = field(default_factory=dict)
    min_score: float = 0.5

    ON: ClassVar[str] = "model"

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise BadSpec("tagger: model is empty.", hint="Name a model version that tags names, such as names@production.")
        if not 0 <= self.min_score <= 1:
            raise BadSpec(f"min_score is between 0 and 1, not {self.min_score}.")

    @property
    def entities(self) -> Sequence[str]:
        """All that it may find, before the model is known."""
        return tuple(dict.fromkeys((self.labels or USUAL).values()))

    def __call__(self, texts: Sequence[str], /) -> list[list[Finding]]:
        raise BadSpec(f"The tagger {self.model} is not open.", hint="Use it in fourfold deidentify or fourfold detection.")

    def on(self, files: Files, /) -> Opened:
        """The detector with its model. Raises BadSpec if that marks no spans, or none with a label that is asked for."""
        if "tag" not in files.meta.get("tasks", ()):
            raise BadSpec(f"{self.model} is no tagger.", hint="Train one: fourfold train names DATASET crf --set tags=ner")
        known = {label.partition("-")[2] for label in files.meta.get("labels", ()) if label[:2] in ("B-", "I-")}
        wanted = self.labels or {label: USUAL[label.casefold()] for label in known if label.casefold() in USUAL}
        missing = [label for label in wanted if label not in known]
        if missing or not wanted:
            said = f"does not mark {missing[0]!r}" if missing else "marks no spans of people or places"
            raise BadSpec(
                f"{self.model} {said}.",
                hint=f"It marks: {', '.join(sorted(known)) or 'no spans'}. Set labels, such as {{PER: PERSON}}.",
            )
        return Opened(FAMILIES.resolve(files.meta["family"]).load(Path(files.folder)), wanted, self.min_score)


class Opened:
    """A tagger at work."""

    def __init__(self, model: Any, labels: dict[str, str], min_score: float) -> None:
        self._model, self._labels, self._min_score = model, labels, min_score
        self.entities: Sequence[str] = tuple(dict.fromkeys(labels.values()))

    def __call__(self, texts: Sequence[str], /) -> list[list[Finding]]:
        tagged = self._model.tag([TagInput(text) for text in texts], TagOptions())
        return [self._findings([] if one.spans is UNSET else one.spans) for one in tagged]

    def _findings(self, spans: Sequence[Any]) -> list[Finding]:
        return [
            Finding(span.start, span.end, self._labels[span.label], span.score)
            for span in spans
            if span.label in self._labels and span.score >= self._min_score
        ]
