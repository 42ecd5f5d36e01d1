"""Chinese text as characters: joint segmentation and tagging with labels B-NOUN, I-NOUN, …, and what rjieba says of each place.

Runs of Latin letters and numbers stand as one character each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import rjieba
from numpy.typing import NDArray

from fourfold.compute.crf.attributes import Sentence
from fourfold.compute.crf.words import Place

_ATOM = re.compile(r"[A-Za-z\u00c0-\u024f]+|\d+(?:[.,:]\d+)*|\S")
MAX_DICTIONARY_WORD = 5  # characters of the longest dictionary word that is looked for at a place


def find_characters(text: str, start: int = 0, end: int | None = None) -> list[Place]:
    """The characters of text[start:end] that are not spaces."""
    return [match.span() for match in _ATOM.finditer(text, start, len(text) if end is None else end)]


def find_characters_of(text: str, words: Sequence[Place]) -> tuple[list[Place], NDArray[np.bool_]]:
    """The characters of given words, and which of them begin a word."""
    places: list[Place] = []
    begins: list[bool] = []
    for start, end in words:
        inside = find_characters(text, start, end) or [(start, end)]
        places += inside
        begins += [True] + [False] * (len(inside) - 1)
    return places, np.array(begins, np.bool_)


def character_sentence(text: str, places: Sequence[Place]) -> Sentence:
    """Characters with the columns space, cut, cut_word, cut_tag, begins, ends and inside (docs/crf.md)."""
    start, end = places[0][0], places[-1][1]
    cuts: list[tuple[int, int, str, str]] = []
    at = start
    for whole, tag in rjieba.tag(text[start:end]):
        for word in finely(whole):
            cuts.append((at, at + len(word), word, tag))
            at += len(word)
    columns: dict[str, list[str]] = {"space": [], "cut": [], "cut_word": [], "cut_tag": []}
    k = 0
    for i, (left, right) in enumerate(places):
        while cuts[k][1] <= left:
            k += 1
        word_start, word_end, word, tag = cuts[k]
        columns["space"].append("after" if i and places[i - 1][1] < left else "no")
        columns["cut"].append(_position(left <= word_start, right >= word_end) + str(min(word_end - word_start, 5)))
        columns["cut_word"].append(word if rjieba.has_word(word) else "new")  # a guessed word may be somebody's name
        columns["cut_tag"].append(tag)
    return Sentence([text[left:right] for left, right in places], columns | _dictionary(text, places))


@lru_cache(maxsize=50_000)
def finely(word: str) -> tuple[str, ...]:
    """A dictionary word of four characters or more as the two or more words that it is made of, else itself: 今天天气 is two.

    rjieba takes the longest word; Universal Dependencies cuts 261 of the 301 such words in GSDSimp's dev split.
    """
    for k in range(2, len(word) - 1):
        if rjieba.has_word(word[:k]) and rjieba.has_word(word[k:]):
            return (*finely(word[:k]), *finely(word[k:]))
    return (word,)


def _position(first: bool, last: bool) -> str:
    return ("S" if last else "B") if first else "E" if last else "I"


def _dictionary(text: str, places: Sequence[Place]) -> dict[str, list[str]]:
    """At each place the lengths of the dictionary's words that begin and end there, and the longest that goes across it.

    Words that are made of others (`finely`) are passed over.
    """
    count = len(places)
    begins: list[str] = [""] * count
    ends: list[str] = [""] * count
    inside = [0] * count
    for i in range(count):
        if text[places[i][0]] < "\u3400":
            continue
        for j in range(i + 1, min(i + MAX_DICTIONARY_WORD, count)):
            if text[places[j][0]] < "\u3400" or places[j][0] != places[j - 1][1]:
                break
            word = text[places[i][0] : places[j][1]]
            if rjieba.has_word(word) and len(finely(word)) == 1:
                length = j - i + 1
                begins[i] += str(length)
                ends[j] += str(length)
                for k in range(i + 1, j):
                    inside[k] = max(inside[k], length)
    return {"begins": [x or "0" for x in begins], "ends": [x or "0" for x in ends], "inside": [*map(str, inside)]}


def joint_labels(places: Sequence[Place], words: Sequence[Place], tags: Sequence[str]) -> list[str]:
    """B-tag for the first character of each word, I-tag for the others. The places are those of `find_characters_of`."""
    found: list[str] = []
    k = 0
    for (start, end), tag in zip(words, tags, strict=True):
        while k < len(places) and places[k][1] <= end:
            found.append(f"{'B' if places[k][0] == start else 'I'}-{tag}")
            k += 1
    return found


def goes_on(labels: Sequence[str]) -> NDArray[np.bool_]:
    """(L, L): whether label b after label a continues its stretch: I-X after B-X or I-X."""
    inside = np.array([label[:2] == "I-" for label in labels])
    started = np.array([label[:2] in ("B-", "I-") for label in labels])
    names = np.array([label[2:] for label in labels])
    return started[:, None] & inside[None, :] & (names[:, None] == names[None, :])


def is_bio(labels: Sequence[str]) -> bool:
    """Whether a label set marks stretches: O, B-X and I-X only, at least one of them B-X or I-X."""
    return all(label == "O" or label[:2] in ("B-", "I-") for label in labels) and any(label != "O" for label in labels)
