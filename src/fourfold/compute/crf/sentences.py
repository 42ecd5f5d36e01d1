"""From texts to what the model reads: pieces, each a sentence of one unit with the places of its tokens."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fourfold.compute.crf.attributes import Sentence
from fourfold.compute.crf.characters import character_sentence, find_characters, find_characters_of
from fourfold.compute.crf.template import Unit
from fourfold.compute.crf.words import MAX_TOKENS, Place, cut_sentences, find_paragraphs, find_words, is_chinese
from fourfold.core.errors import BadInput

Columns = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence of one input. `begins` says of each character whether it begins a word, where the words are given."""

    unit: Unit
    sentence: Sentence
    places: list[Place]
    begins: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Cuts texts for a model: `units` that it has, and the columns that its word template names.

    Chinese sentences go to the character model, others to the word model, where it has both; else all go to the one it has.
    `single_han`: the word model was trained on single Chinese characters as words.
    """

    units: Collection[Unit]
    word_columns: Collection[str] = ()
    single_han: bool = False

    def unit_of(self, text: str) -> Unit:
        """The unit that reads a text."""
        if len(self.units) == 1:
            return next(iter(self.units))
        return "character" if is_chinese(text) else "word"

    def pieces(self, text: str) -> Iterator[Piece]:
        """The sentences of a raw text in order; a line's end is a sentence's end."""
        for unit, places in self.parts(text):
            yield self._piece(unit, text, places)

    def parts(self, text: str) -> Iterator[tuple[Unit, list[Place]]]:
        """The sentences of a raw text as units and the places of their tokens."""
        for start, end in find_paragraphs(text):
            line = text[start:end]
            words = find_words(line, single_han=self.single_han)
            for part in cut_sentences(line, words):
                first, last = words[part.start][0], words[part.stop - 1][1]
                unit = self.unit_of(line[first:last])
                places = words[part] if unit == "word" else find_characters(line, first, last)
                yield unit, [(a + start, b + start) for a, b in places]

    def given(self, text: str, tokens: Sequence[str], columns: Columns) -> Iterator[Piece]:
        """Sentences of given tokens, in one run of at most MAX_TOKENS each. Raises BadInput if they do not occur in order."""
        unit = self.unit_of(text)
        places = locate(text, tokens)
        for first in range(0, len(places), MAX_TOKENS):
            part = slice(first, first + MAX_TOKENS)
            some = {name: values[part] for name, values in columns.items()}
            yield self._given(unit, text, places[part], tokens[part], some)

    def _given(self, unit: Unit, text: str, words: list[Place], tokens: Sequence[str], columns: Columns) -> Piece:
        if unit == "word":
            return Piece(unit, word_sentence(tokens, columns, self.word_columns), words)
        places, begins = find_characters_of(text, words)
        return replace(self._piece(unit, text, places), begins=begins)

    def _piece(self, unit: Unit, text: str, places: list[Place]) -> Piece:
        if unit == "character":
            return Piece(unit, character_sentence(text, places), places)
        return Piece(unit, word_sentence([text[a:b] for a, b in places], {}, self.word_columns), places)


def locate(text: str, tokens: Sequence[str]) -> list[Place]:
    """The places of tokens in a text, each the first after the one before. Raises BadInput that names the token's number."""
    places, at = [], 0
    for i, token in enumerate(tokens):
        start = text.find(token, at) if token.strip() else -1
        if start < 0:
            raise BadInput(
                f"tokens[{i}] does not occur in the text after tokens[{i - 1}]."
                if i
                else "tokens[0] does not occur in the text.",
                hint="Give the words as they stand in the text, in order, none of them blank, or leave tokens out.",
            )
        at = start + len(token)
        places.append((start, at))
    return places


def word_sentence(tokens: Sequence[str], columns: Columns, wanted: Collection[str]) -> Sentence:
    """Words with the columns that a template wants: `first`, `casing`, and those of CoNLL-U that are given."""
    if not wanted:
        return Sentence(tokens)
    count = len(tokens)
    found: dict[str, Sequence[str]] = {}
    for name in wanted:
        if name == "first":
            found[name] = ["first"] + ["no"] * (count - 1)
        elif name == "casing":
            found[name] = [casing(tokens)] * count
        elif name == "head":
            found[name] = _distances(columns[name])
        else:
            found[name] = columns[name]
    return Sentence(tokens, found)


def casing(tokens: Sequence[str]) -> str:
    """How a sentence writes capitals: none, few, some or most of its words begin with one, or all are of capitals; and `short`
    if it has fewer than six words: headlines and names are written otherwise than sentences.
    """
    words = [token for token in tokens if token[0].isalpha()]
    share = sum(word[0].isupper() for word in words) / max(1, len(words))
    kind = "none" if share == 0 else "few" if share < 0.4 else "some" if share < 0.8 else "most"
    if share >= 0.8 and "".join(words).isupper():
        kind = "all"
    return f"{kind}-short" if len(words) < 6 else kind


def _distances(heads: Sequence[str]) -> list[str]:
    """CoNLL-U's head numbers as the way from the word to its head, at most 9: `+2`, `-1`, `root`."""
    found = []
    for number, head in enumerate(heads, 1):
        if head.isascii() and head.isdigit() and head != "0":
            found.append(f"{min(9, max(-9, int(head) - number)):+d}")
        else:
            found.append("root" if head == "0" else "_")
    return found
