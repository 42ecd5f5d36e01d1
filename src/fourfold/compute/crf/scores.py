"""State scores: for each token the summed weights of its attributes, without making the attributes.

What depends on one word at one place is added up once per word and kept as a row of L numbers; a conjunction is a number made
of its values' numbers, looked up among those that the model knows. So a sentence's scores are gathered, not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fourfold.compute.crf.attributes import EDGE, JOIN, Sentence, by_place, label_of, values_of
from fourfold.compute.crf.features import Lexicon, Values
from fourfold.compute.crf.template import Feature, Term
from fourfold.compute.crf.weights import Floats, Ints, Weights

MAX_WORDS = 50_000  # words whose rows are kept; beyond, all are forgotten and learnt anew


class _Numbers(dict[str, int]):
    """Text → its number, given in order of appearance."""

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self)
        return number


@dataclass(slots=True)
class _Values:
    """The values of a term that some known conjunction holds, numbered from 1 (0: any other), and each word's number."""

    term: Term
    numbers: dict[str, int] = field(default_factory=dict)
    of_word: Ints = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(slots=True)
class _Joined:
    """A conjunction: its known codes, sorted, their rows of weights, and the values that make a code."""

    values: list[_Values]
    codes: Ints
    rows: Floats  # (codes, L)

    def add_to(self, scores: Floats, words: dict[str, Ints], index: Ints) -> None:
        """Add the weights of the tokens' conjunctions; `index` are the tokens' places in the padded arrays `words`."""
        code = np.zeros(len(index), np.int64)
        for values in self.values:
            number = values.of_word[words[values.term.source][index + values.term.offset]]
            code = code * (len(values.numbers) + 1) + number
        place = np.minimum(np.searchsorted(self.codes, code), len(self.codes) - 1)
        (known,) = np.nonzero(self.codes[place] == code)
        scores[known] += self.rows[place[known]]


class _Source:
    """The words of the form or of a column: their numbers, and for each offset a table of their rows."""

    def __init__(self, places: list[tuple[int, list[Term]]], lexicon: Lexicon, weights: Weights) -> None:
        self.places, self.lexicon, self.weights = places, lexicon, weights
        self.values: list[_Values] = []
        self.forget()

    def forget(self) -> None:
        """Empty all tables."""
        self.numbers = _Numbers()
        self.rows = [np.zeros((0, len(self.weights.labels))) for _ in self.places]
        self.filled = 0
        for values in self.values:
            values.of_word = np.zeros(0, np.int64)

    def __call__(self, texts: list[str]) -> Ints:
        """The number of each text, whose rows are in the tables from now on."""
        found = np.array([*map(self.numbers.__getitem__, texts)], np.int64)
        if len(self.numbers) > self.filled:
            self._learn([*self.numbers][self.filled :])
        return found

    def _learn(self, texts: list[str]) -> None:
        first, self.filled = self.filled, self.filled + len(texts)
        said = _Said(texts, self.lexicon)
        for k, (_, terms) in enumerate(self.places):
            self.rows[k] = _room(self.rows[k], self.filled)
            self.rows[k][first : self.filled] = self._rows(terms, said)
        for values in self.values:
            values.of_word = _room(values.of_word, self.filled)
            number = values.numbers.get
            values.of_word[first : self.filled] = [number(each[0], 0) if each else 0 for each in said.of(values.term)]

    def _rows(self, terms: list[Term], said: _Said) -> Floats:
        known, attributes, row = self.weights.attributes.get, [], []
        for term in terms:
            prefix = f"{term.label}="
            for i, values in enumerate(said.of(term)):
                for value in values:
                    number = known(prefix + value)
                    if number is not None:
                        attributes.append(number)
                        row.append(i)
        return self.weights.rows(attributes, row, len(said.texts))


class _Said:
    """What each function says of some words, asked once for all offsets and conjunctions that hold it."""

    def __init__(self, texts: list[str], lexicon: Lexicon) -> None:
        self.texts, self.lexicon = texts, lexicon
        self._found: dict[tuple[str, str], list[Values]] = {}

    def of(self, term: Term) -> list[Values]:
        """The values of a term for each word, wherever it stands."""
        key = (term.name, term.argument)
        if key not in self._found:
            self._found[key] = [values_of(term, text, self.lexicon) for text in self.texts]
        return self._found[key]


def _room(table: np.ndarray, rows: int) -> np.ndarray:
    """The table with room for `rows` rows, doubled if it must grow."""
    if len(table) >= rows:
        return table
    grown = np.zeros((max(rows, 2 * len(table)), *table.shape[1:]), table.dtype)
    grown[: len(table)] = table
    return grown


class StateScores:
    """Calling gives the state scores of sentences, (N, L), the tokens of all sentences one after another."""

    def __init__(self, features: Sequence[Feature], lexicon: Lexicon, weights: Weights) -> None:
        self.pad = max((abs(term.offset) for feature in features for term in feature), default=0)
        self.width = len(weights.labels)
        places: dict[str, list[tuple[int, list[Term]]]] = {term.source: [] for feature in features for term in feature}
        for (source, offset), terms in by_place(features).items():
            places[source].append((offset, terms))
        self.sources = {name: _Source(place, lexicon, weights) for name, place in places.items()}
        self.joined = self._join([feature for feature in features if len(feature) > 1], weights)

    def _join(self, features: Sequence[Feature], weights: Weights) -> list[_Joined]:
        """The known conjunctions of each feature, found among the model's attributes."""
        labels = {label_of(feature): ([], []) for feature in features}
        for name, number in weights.attributes.items():
            label, _, joined = name.partition("=")
            if label in labels:
                labels[label][0].append(joined.split(JOIN))
                labels[label][1].append(number)
        found = []
        for feature in features:
            keys, numbers = labels[label_of(feature)]
            if not keys:
                continue
            values = [
                _Values(term, {v: i for i, v in enumerate(dict.fromkeys(column), 1)})
                for term, column in zip(feature, zip(*keys))
            ]
            for each in values:
                self.sources[each.term.source].values.append(each)
            codes = np.zeros(len(keys), np.int64)
            for each, column in zip(values, zip(*keys)):
                codes = codes * (len(each.numbers) + 1) + np.array([each.numbers[v] for v in column], np.int64)
            order = np.argsort(codes)
            rows = weights.rows([numbers[i] for i in order.tolist()], range(len(keys)), len(keys))
            found.append(_Joined(values, codes[order], rows))
        return found

    def __call__(self, sentences: Sequence[Sentence]) -> Floats:
        words = {name: source(self._padded(sentences, name)) for name, source in self._ready()}
        lengths = np.array([len(sentence.tokens) for sentence in sentences], np.int64)
        index = np.arange(lengths.sum()) + self.pad + np.repeat(np.arange(len(lengths)) * self.pad, lengths)
        scores = np.zeros((len(index), self.width))
        for name, source in self.sources.items():
            for (offset, _), rows in zip(source.places, source.rows):
                scores += rows[words[name][index + offset]]
        for joined in self.joined:
            joined.add_to(scores, words, index)
        return scores

    def _ready(self) -> list[tuple[str, _Source]]:
        for source in self.sources.values():
            if len(source.numbers) > MAX_WORDS:
                source.forget()
        return [*self.sources.items()]

    def _padded(self, sentences: Sequence[Sentence], name: str) -> list[str]:
        """All sentences in one list, with edges before, between and after."""
        edges = [EDGE] * self.pad
        flat = [*edges]
        for sentence in sentences:
            flat += sentence.source(name)
            flat += edges
        return flat
