"""The template: a list of strings that declares what the model sees at a token.

    feature     = term { "+" term }            a conjunction of at most three terms, each at one offset
    term        = name [ "(" argument ")" ] [ "[" offsets "]" ]
    offsets     = number | number ".." number | number "," number …     0, the token itself, where none is given

`lower[-2..2]` is five features, `suffixes(4)` one to four, `lower[-1]+lower` the pair of the word before and the word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fourfold.compute.crf.features import FUNCTIONS
from fourfold.core.errors import BadSpec, did_you_mean

Unit = Literal["word", "character"]

MAX_OFFSET = 8
MAX_AFFIX = 12
MAX_TERMS = 3  # codes of three values fit into 64 bits

DERIVED: dict[str, tuple[str, ...]] = {  # columns that the model computes itself
    "word": ("first", "casing"),
    "character": ("space", "cut", "cut_word", "cut_tag", "begins", "ends", "inside"),
}

WORD_TEMPLATE = (
    "form",
    "lower[-2..2]",
    "shape",
    "brief_shape[-1..1]",
    "prefixes(4)",
    "suffixes(5)",
    "suffixes(3)[-1,1]",
    "class",
    "frequency",
    "usual_tags[-2..2]",
    "lower[-1]+lower",
    "lower+lower[1]",
    "lower[-1]+lower[1]",
    "usual_tags[-1]+usual_tags",
    "usual_tags+usual_tags[1]",
    "usual_tags[-1]+usual_tags[1]",
    "usual_tags[-2]+usual_tags[-1]",
    "first+brief_shape+usual_case",
    "casing+brief_shape",
    "brief_shape[-1]+brief_shape",
    "brief_shape+brief_shape[1]",
    "brief_shape[-1]+brief_shape+brief_shape[1]",
    "suffix(3)[-1]+suffix(3)",
    "suffix(3)+suffix(3)[1]",
    "suffix(2)[-1]+suffix(2)+suffix(2)[1]",
    "usual_tags[-1]+usual_tags+usual_tags[1]",
    "usual_tags[-1]+suffix(3)",
    "suffix(3)+usual_tags[1]",
    "usual_tags[-1]+lower",
    "lower+usual_tags[1]",
)

CHARACTER_TEMPLATE = (
    "form[-2..2]",
    "class[-1..1]",
    "form[-1]+form",
    "form+form[1]",
    "form[-1]+form[1]",
    "class[-1]+class+class[1]",
    "cut[-1..1]",
    "cut_tag[-1..1]",
    "cut+cut_tag",
    "cut_word[-1..1]",
    "cut+cut_word",
    "begins[-1..1]",
    "ends[-1..1]",
    "inside",
    "begins+ends",
    "cut+begins",
    "cut+ends",
    "suffixes(4)",
    "shape",
    "space",
)

_TERM = re.compile(r"(?P<name>\w+)(\((?P<argument>[^()]*)\))?(\[(?P<offsets>[^\[\]]*)\])?")
_PLUS = re.compile(r"\+(?![^\[]*\])")  # not the sign of an offset
_RANGE = re.compile(r"([+-]?\d+)\.\.([+-]?\d+)")


@dataclass(frozen=True, slots=True)
class Term:
    """One function of one source at one offset. `source` is `form` or the name of a column, whose `name` is `column`."""

    name: str
    argument: str = ""
    offset: int = 0

    @property
    def source(self) -> str:
        return self.argument if self.name == "column" else "form"

    @property
    def label(self) -> str:
        """How attributes of the term begin in the model file: `lower-1`."""
        argument = f"({self.argument})" if self.argument else ""
        return f"{self.name}{argument}{self.offset:+d}" if self.offset else f"{self.name}{argument}"


Feature = tuple[Term, ...]


def parse_template(template: Sequence[str], unit: Unit, lists: Collection[str], path: str) -> tuple[Feature, ...]:
    """All features of a template, ranges of offsets expanded, each once.

    Raises BadSpec that names the line: `crf.template[3]: there is no feature 'sufix'. Did you mean 'suffix'?`
    """
    features: dict[Feature, None] = {}
    for i, line in enumerate(template):
        where = f"{path}[{i}]"
        terms = [_parse_term(text.strip(), unit, lists, where) for text in _PLUS.split(line)]
        features |= dict.fromkeys(_combine(terms, line, where))
    if not features:
        raise BadSpec(f"{path} is empty.", hint="Leave it out for the default, or declare at least one feature, as 'lower'.")
    return tuple(features)


def _combine(terms: list[list[Term]], line: str, where: str) -> list[Feature]:
    if len(terms) == 1:
        return [(term,) for term in terms[0]]
    if len(terms) > MAX_TERMS:
        raise BadSpec(f"{where}: {line!r} joins {len(terms)} terms; at most {MAX_TERMS} can be joined.")
    for alternatives in terms:
        first = alternatives[0]
        if len(alternatives) > 1 or (first.name in FUNCTIONS and FUNCTIONS[first.name].many):
            raise BadSpec(
                f"{where}: {first.name!r} gives several values, and a conjunction needs one of each term.",
                hint="Give one offset, and suffix(3) in place of suffixes(3).",
            )
    return [tuple(alternatives[0] for alternatives in terms)]


def _parse_term(text: str, unit: Unit, lists: Collection[str], where: str) -> list[Term]:
    match = _TERM.fullmatch(text)
    if match is None:
        raise BadSpec(
            f"{where}: cannot read {text!r}.", hint="A feature looks like lower, suffixes(4)[-1..1] or lower[-1]+lower."
        )
    name, argument = match["name"], (match["argument"] or "").strip()
    if name in DERIVED[unit] and not argument:
        name, argument = "column", name
    else:
        _check_argument(name, argument, unit, lists, where)
    return [Term(name, argument, offset) for offset in _offsets(match["offsets"], where)]


def _check_argument(name: str, argument: str, unit: Unit, lists: Collection[str], where: str) -> None:
    known = [*FUNCTIONS, "column", *DERIVED[unit]]
    if name not in FUNCTIONS and name != "column":
        raise BadSpec(f"{where}: there is no feature {name!r}.{did_you_mean(name, known)}", hint=f"Known: {', '.join(known)}.")
    kind = "column" if name == "column" else FUNCTIONS[name].argument
    if kind == "none" and argument:
        raise BadSpec(f"{where}: {name} takes no argument, {argument!r} was given.")
    if kind == "number" and not (argument.isascii() and argument.isdigit() and 1 <= int(argument) <= MAX_AFFIX):
        raise BadSpec(f"{where}: {name} takes a number from 1 to {MAX_AFFIX}, as {name}(3), not {argument!r}.")
    if kind == "list" and argument not in lists:
        raise BadSpec(
            f"{where}: there is no word list {argument!r}.{did_you_mean(argument, lists)}",
            hint=f"Word lists: {', '.join(lists) or 'none; declare them under word_lists'}.",
        )
    if kind == "column" and not re.fullmatch(r"\w+", argument):
        raise BadSpec(f"{where}: column takes the name of a column, as column(lemma), not {argument!r}.")
    if kind == "column" and argument == "form":
        raise BadSpec(f"{where}: the form is no column.", hint="Write form.")


def _offsets(text: str | None, where: str) -> list[int]:
    if text is None:
        return [0]
    span = _RANGE.fullmatch(text.strip())
    try:
        offsets = list(range(int(span[1]), int(span[2]) + 1)) if span else [int(part) for part in text.split(",")]
    except ValueError:
        offsets = []
    if not offsets or max(map(abs, offsets)) > MAX_OFFSET:
        raise BadSpec(f"{where}: offsets are like [-2..2] or [-1,1], at most {MAX_OFFSET} away, not [{text}].")
    return offsets


def columns_of(features: Sequence[Feature]) -> tuple[str, ...]:
    """The columns that a template names, in order of appearance."""
    return tuple(dict.fromkeys(term.source for feature in features for term in feature if term.source != "form"))


def brought(columns: Iterable[str], unit: Unit) -> tuple[str, ...]:
    """Those that the dataset, and later the caller, must bring; the model computes the others."""
    return tuple(name for name in columns if name not in DERIVED[unit])
