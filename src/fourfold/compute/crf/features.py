"""Features of a word: functions from its form to values. A term of the template names one of them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

MIN_LEXICON_COUNT = 5  # of a word seen less often, tags and capitals say little
RARE = "<rare>"  # stands for the form of a word that the lexicon does not count
MIN_TAG_SHARE = 0.01  # a tag with a smaller share of a word's occurrences is taken for an annotation error


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What the template's functions know of words (lower case) beyond their form, learnt from the training split.

    `counts`: occurrences of the words seen often enough to be kept, others are RARE to the model; `tags`: a word's usual tags
    in order of name, joined by `/`; `cases`: the share of its occurrences inside a sentence that are capitalised, in thirds,
    0 to 3; `lists`: the settings' word lists.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    cases: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict)


def learn_lexicon(
    sentences: Iterable[Sequence[str]],
    tags: Iterable[Sequence[str]],
    lists: Mapping[str, Iterable[str]],
    min_word_count: int,
) -> Lexicon:
    """The lexicon of a training set; words seen fewer than `min_word_count` times leave nothing in it."""
    tagged: dict[str, Counter[str]] = {}
    inside: Counter[str] = Counter()
    capitalised: Counter[str] = Counter()
    for words, labels in zip(sentences, tags, strict=True):
        for place, (word, label) in enumerate(zip(words, labels, strict=True)):
            lower = word.lower()
            tagged.setdefault(lower, Counter())[label] += 1
            if place:
                inside[lower] += 1
                capitalised[lower] += word[:1].isupper()
    least = max(min_word_count, MIN_LEXICON_COUNT)
    frequent = {word: counter for word, counter in tagged.items() if counter.total() >= least}
    return Lexicon(
        counts={word: counter.total() for word, counter in tagged.items() if counter.total() >= min_word_count},
        tags={word: _usual(counter) for word, counter in frequent.items()},
        cases={
            word: str(round(3 * capitalised[word] / inside[word])) for word in frequent if inside[word] >= MIN_LEXICON_COUNT
        },
        lists={name: frozenset(word.lower() for word in words) for name, words in lists.items()},
    )


def _usual(counter: Counter[str]) -> str:
    enough = max(2, MIN_TAG_SHARE * counter.total())
    return "/".join(sorted(tag for tag, count in counter.items() if count >= enough))


def shape(word: str) -> str:
    """Letters as X and x, digits as d, other letters (Chinese) as c, the rest as it is; runs cut at two: `Xxx-dd`."""
    return _cut_runs(_classes(word), 2)


def brief_shape(word: str) -> str:
    """The shape with each run as one: `Xx-d`."""
    return _cut_runs(_classes(word), 1)


def _classes(word: str) -> str:
    return "".join(
        "X" if c.isupper() else "x" if c.islower() else "d" if c.isdigit() else "c" if c.isalpha() else c for c in word
    )


def _cut_runs(text: str, length: int) -> str:
    return re.sub(r"(.)\1{%d,}" % length, lambda run: run[1] * length, text)  # noqa: UP031 (braces)


CLASSES = (
    ("han", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff\u3007\u3005]")),
    ("numeral", re.compile("[零一二三四五六七八九十百千万亿两]")),
    ("kana", re.compile(r"[\u3040-\u30ff]")),
    ("hangul", re.compile(r"[\uac00-\ud7af]")),
    ("digit", re.compile(r"\d")),
    ("latin", re.compile(r"[A-Za-z\u00c0-\u024f]")),
    ("space", re.compile(r"\s")),
)


@lru_cache(maxsize=20_000)
def character_class(character: str) -> str:
    """han, numeral (Chinese), kana, hangul, digit, latin, space, or Unicode's general category, as P for punctuation."""
    if CLASSES[1][1].match(character):
        return "numeral"
    for name, pattern in CLASSES:
        if pattern.match(character):
            return name
    return unicodedata.category(character)[0]


def classes(word: str) -> str:
    """The character classes of a word in order of appearance, each once: `digit+latin`."""
    return "+".join(dict.fromkeys(character_class(c) for c in word[:32]))


Values = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A word feature. `argument`: none, a number, a word list or a column. `many`: it gives several values, so that no
    conjunction can hold it. `call` takes word, argument and lexicon; an empty result means "no such feature here".
    """

    call: Callable[[str, str, Lexicon], Values]
    argument: str = "none"
    many: bool = False


def _form(word: str, _: str, lexicon: Lexicon) -> Values:
    return (word if word.lower() in lexicon.counts else RARE,)


def _lower(word: str, _: str, lexicon: Lexicon) -> Values:
    lower = word.lower()
    return (lower if lower in lexicon.counts else RARE,)


def _frequency(word: str, lexicon: Lexicon) -> str:
    return str(min(lexicon.counts.get(word.lower(), 0).bit_length(), 12))


def _prefixes(word: str, argument: str, _: Lexicon) -> Values:
    lower = word.lower()
    return tuple(lower[:n] for n in range(1, min(int(argument), len(lower) - 1) + 1))


def _suffixes(word: str, argument: str, _: Lexicon) -> Values:
    lower = word.lower()
    return tuple(lower[-n:] for n in range(1, min(int(argument), len(lower) - 1) + 1))


def _in_list(word: str, argument: str, lexicon: Lexicon) -> Values:
    return ("in",) if word.lower() in lexicon.lists[argument] else ()


FUNCTIONS: dict[str, Function] = {
    "form": Function(_form),
    "lower": Function(_lower),
    "shape": Function(lambda word, _, __: (shape(word),)),
    "brief_shape": Function(lambda word, _, __: (brief_shape(word),)),
    "length": Function(lambda word, _, __: (str(min(len(word), 12)),)),
    "class": Function(lambda word, _, __: (classes(word),)),
    "prefix": Function(lambda word, n, _: (word[: int(n)].lower(),), "number"),
    "suffix": Function(lambda word, n, _: (word[-int(n) :].lower(),), "number"),
    "prefixes": Function(_prefixes, "number", many=True),
    "suffixes": Function(_suffixes, "number", many=True),
    "frequency": Function(lambda word, _, lexicon: (_frequency(word, lexicon),)),
    "usual_tags": Function(lambda word, _, lexicon: (lexicon.tags.get(word.lower(), "rare"),)),
    "usual_case": Function(lambda word, _, lexicon: (lexicon.cases.get(word.lower(), "rare"),)),
    "list": Function(_in_list, "list"),
}
