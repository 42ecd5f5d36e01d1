"""Sentences, and the attributes that a template finds in them: strings, each word's computed once and shared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fourfold.compute.crf.features import FUNCTIONS, Lexicon, Values
from fourfold.compute.crf.template import Feature, Term

EDGE = ""  # stands for the places before the first and after the last token; every function is empty there
JOIN = "\x1f"  # between the values of a conjunction


@dataclass(frozen=True, slots=True)
class Sentence:
    """Tokens, none of them empty, and columns: lists of the same length."""

    tokens: Sequence[str]
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def source(self, name: str) -> Sequence[str]:
        """The tokens for `form`, else the column of that name."""
        return self.tokens if name == "form" else self.columns[name]


def values_of(term: Term, text: str, lexicon: Lexicon) -> Values:
    """What a term says of a form or of a column's value, wherever it stands."""
    if term.name == "column":
        return (text,)
    function = FUNCTIONS[term.name]
    if text == EDGE:
        return () if function.many else (EDGE,)
    return function.call(text, term.argument, lexicon)


def label_of(feature: Feature) -> str:
    """What stands before `=` in the attributes of a feature: `lower-1` or `lower-1+lower`."""
    return "&".join(term.label for term in feature)


def by_place(features: Iterable[Feature]) -> dict[tuple[str, int], list[Term]]:
    """The features of one term, by source and offset: what depends on one word at one place."""
    places: dict[tuple[str, int], list[Term]] = {}
    for feature in features:
        if len(feature) == 1:
            places.setdefault((feature[0].source, feature[0].offset), []).append(feature[0])
    return places


class _Cache(dict[str, list[str]]):
    """Text → its attributes under some terms, computed when first asked for."""

    def __init__(self, terms: Sequence[Term], lexicon: Lexicon) -> None:
        super().__init__()
        self.terms, self.lexicon = terms, lexicon

    def __missing__(self, text: str) -> list[str]:
        found = [f"{term.label}={value}" for term in self.terms for value in values_of(term, text, self.lexicon)]
        self[text] = found
        return found


class _Single(dict[str, str | None]):
    """Text → the one value that a term gives, or None."""

    def __init__(self, term: Term, lexicon: Lexicon) -> None:
        super().__init__()
        self.term, self.lexicon = term, lexicon

    def __missing__(self, text: str) -> str | None:
        self[text] = next(iter(values_of(self.term, text, self.lexicon)), None)
        return self[text]


class Attributes:
    """Calling gives the attributes of each token of a sentence: what python-crfsuite is trained on."""

    def __init__(self, features: Sequence[Feature], lexicon: Lexicon) -> None:
        self.pad = max((abs(term.offset) for feature in features for term in feature), default=0)
        self._plain = [(*place, _Cache(terms, lexicon)) for place, terms in by_place(features).items()]
        self._joined = [
            (f"{label_of(feature)}=", [(term.source, term.offset, _Single(term, lexicon)) for term in feature])
            for feature in features
            if len(feature) > 1
        ]

    def __call__(self, sentence: Sentence) -> list[list[str]]:
        count, edges = len(sentence.tokens), [EDGE] * self.pad
        padded = {name: [*edges, *sentence.source(name), *edges] for name in ("form", *sentence.columns)}

        def place(source: str, offset: int) -> list[str]:
            return padded[source][self.pad + offset : self.pad + offset + count]

        plain = [[*map(cache.__getitem__, place(source, offset))] for source, offset, cache in self._plain]
        found = (
            [[attribute for part in parts for attribute in part] for parts in zip(*plain)]
            if plain
            else [[] for _ in range(count)]
        )
        for prefix, terms in self._joined:
            columns = [map(single.__getitem__, place(source, offset)) for source, offset, single in terms]
            for attributes, values in zip(found, zip(*columns)):
                if None not in values:
                    attributes.append(prefix + JOIN.join(values))
        return found
