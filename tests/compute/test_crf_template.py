"""The template language: what is read, what is refused, and where the message points."""

from __future__ import annotations

import pytest

from fourfold.compute.crf.template import (
    CHARACTER_TEMPLATE,
    DERIVED,
    WORD_TEMPLATE,
    Term,
    brought,
    columns_of,
    parse_template,
)
from fourfold.core.errors import BadSpec


def parse(*lines: str, unit: str = "word", lists: tuple[str, ...] = ()) -> tuple[tuple[Term, ...], ...]:
    return parse_template(lines, unit, lists, "crf.template")  # type: ignore[arg-type]


def test_offsets() -> None:
    assert parse("lower") == ((Term("lower"),),)
    assert [f[0].offset for f in parse("lower[-2..1]")] == [-2, -1, 0, 1]
    assert [f[0].offset for f in parse("lower[-1,+1]")] == [-1, 1]
    assert [f[0].offset for f in parse("lower[+2]")] == [2]
    assert parse("lower[-1..0]", "lower") == parse("lower[-1,0]")


def test_conjunctions_and_arguments() -> None:
    assert parse("lower[-1] + suffix(3)") == ((Term("lower", "", -1), Term("suffix", "3")),)
    assert parse("form[+1]+form") == ((Term("form", "", 1), Term("form")),)
    assert parse("list(cities)[1]", lists=("cities",)) == ((Term("list", "cities", 1),),)
    assert parse("column(lemma)")[0][0].source == "lemma"
    assert parse("cut[-1]", unit="character")[0][0] == Term("column", "cut", -1)


def test_labels_are_what_stands_in_the_model() -> None:
    assert Term("suffix", "3", -1).label == "suffix(3)-1"
    assert Term("lower", "", 2).label == "lower+2"
    assert Term("lower").label == "lower"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sufix(3)", r"crf.template\[0\]: there is no feature 'sufix'. Did you mean 'suffix'"),
        ("suffix", r"crf.template\[0\]: suffix takes a number from 1 to 12"),
        ("suffix(0)", "takes a number"),
        ("suffixes(99)", "takes a number"),
        ("lower(3)", "lower takes no argument"),
        ("list(cites)", r"no word list 'cites'. Did you mean 'cities'"),
        ("column(a b)", "name of a column"),
        ("column(form)", "the form is no column"),
        ("lower[a]", "offsets are like"),
        ("lower[2..1]", "offsets are like"),
        ("lower[-9]", "offsets are like"),
        ("lower[", "cannot read"),
        ("lower+", "cannot read"),
        ("", "cannot read"),
        ("lower[-1..1]+lower", "gives several values"),
        ("suffixes(3)+lower", "gives several values"),
        ("form+form+form+form", "at most 3"),
        ("cut", "no feature 'cut'"),
    ],
)
def test_errors_name_the_line(line: str, message: str) -> None:
    with pytest.raises(BadSpec, match=message):
        parse(line, lists=("cities",))


def test_an_empty_template_is_refused() -> None:
    with pytest.raises(BadSpec, match=r"crf\.template is empty"):
        parse()


def test_the_default_templates_can_be_read_and_bring_their_own_columns() -> None:
    words = parse_template(WORD_TEMPLATE, "word", (), "template")
    characters = parse_template(CHARACTER_TEMPLATE, "character", (), "template")
    assert set(columns_of(words)) == set(DERIVED["word"])
    assert set(columns_of(characters)) == set(DERIVED["character"])
    assert brought(columns_of(words), "word") == brought(columns_of(characters), "character") == ()
    assert brought(columns_of(parse("column(lemma)", "first")), "word") == ("lemma",)
