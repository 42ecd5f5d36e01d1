"""One spelling of each character, units, and snippets with the places of what was looked for."""

from __future__ import annotations

import pytest

from fourfold.data.folding import fold, fold_with_places, units, words
from fourfold.data.queries import Term, parse
from fourfold.data.snippets import snippet


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("ＷＩＦＩ６", "wifi6"),
        ("Café", "cafe"),
        ("Cafe\u0301", "cafe"),
        ("快\u200b递\ufeff", "快递"),
        ("がく", "がく"),
        ("한국", "한국"),
        ("ﬁve", "five"),
        ("a\x00b\u2028c", "a b c"),
        ("don’t", "don't"),
    ],
)
def test_one_spelling(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert fold_with_places(text)[0] == folded


def test_units_are_characters_words_and_signs() -> None:
    assert units(fold("C++ 怎么学？wifi6 𠮷")) == ["c", "+", "+", "怎", "么", "学", "?", "wifi6", "𠮷"]
    assert units("a" * 450) == ["a" * 200, "a" * 200, "a" * 50]


def test_words_hold_shorter_words_and_joined_compounds() -> None:
    assert set(words("快递费 wi-fi")) >= {"快递", "快递费", "wifi"}


@pytest.mark.parametrize("text", ["a" * 1_000_000, "“" * 100_000, 'a:"' * 50_000, "快" * 100_000])
def test_long_queries_are_asked_by_their_beginning(text: str) -> None:
    assert len(parse(text, ["a"]).terms) <= 200


def shown(text: str, query: str, width: int = 160) -> tuple[str, list[str]]:
    found = snippet(text, parse(query).terms, width=width)
    return found.text, [found.text[begin:end] for begin, end in found.highlights]


def test_highlights_are_places_in_the_snippet() -> None:
    assert shown("问：ＷＩＦＩ 连不上，Café 也不行", "wifi cafe") == ("问：ＷＩＦＩ 连不上，Café 也不行", ["ＷＩＦＩ", "Café"])
    assert shown("快递费", "快递") == ("快递费", ["快递"])
    assert shown("kettles and a kettle", "kettle") == ("kettles and a kettle", ["kettles", "kettle"])
    assert shown("kettles and a kettle", '"kettle"') == ("kettles and a kettle", ["kettle"])
    assert shown("客服\n态度", '"客服态度"') == ("客服\n态度", ["客服\n态度"])
    assert shown("ﬁve", "five") == ("ﬁve", ["ﬁve"])  # one character that became two


def test_the_stretch_with_most_words_is_shown() -> None:
    text = f"快递。{'很长的话，' * 100}快递和运费一起。{'后面还有，' * 100}"
    stretch, marked = shown(text, "快递 运费", 40)
    assert (stretch[0], stretch[-1], marked) == ("…", "…", ["快递", "运费"])
    assert len(stretch) == 42


def test_without_words_the_beginning_is_shown() -> None:
    assert snippet("abcdef", [Term(("z",))], width=3).text == "abc…"
