"""Features of words and characters."""

from __future__ import annotations

import pytest

from fourfold.compute.crf.attributes import JOIN, Attributes, Sentence
from fourfold.compute.crf.characters import character_sentence, find_characters, find_characters_of, finely, joint_labels
from fourfold.compute.crf.features import FUNCTIONS, RARE, Lexicon, brief_shape, character_class, classes, learn_lexicon, shape
from fourfold.compute.crf.sentences import casing, word_sentence
from fourfold.compute.crf.template import parse_template

LEXICON = Lexicon(counts={"paris": 3, "the": 9}, tags={"the": "DET"}, lists={"cities": frozenset({"paris"})})


def values(name: str, word: str, argument: str = "") -> tuple[str, ...]:
    return FUNCTIONS[name].call(word, argument, LEXICON)


def test_shapes() -> None:
    assert shape("McDonald-2024") == "XxXxx-dd"
    assert brief_shape("McDonald-2024") == "XxXx-d"
    assert shape("北京abc") == "ccxx"


def test_classes() -> None:
    assert [character_class(c) for c in "三京カ가7a é，"] == [
        "numeral", "han", "kana", "hangul", "digit", "latin", "space", "latin", "P",
    ]  # fmt: skip
    assert classes("iPhone15") == "latin+digit"


def test_functions_of_the_form() -> None:
    assert values("prefixes", "Abcd", "3") == ("a", "ab", "abc")
    assert values("prefixes", "Ab", "3") == ("a",)  # never the whole word: the form is another feature
    assert values("suffixes", "Abcd", "2") == ("d", "cd")
    assert values("suffix", "Abcd", "2") == ("cd",)
    assert values("prefix", "Abcd", "2") == ("ab",)
    assert values("length", "x" * 40) == ("12",)
    assert values("form", "Paris") == ("Paris",)
    assert values("lower", "Paris") == ("paris",)
    assert values("form", "Quux") == values("lower", "Quux") == (RARE,)
    assert values("frequency", "The") == ("4",)  # 9 has four bits
    assert values("list", "PARIS", "cities") == ("in",)
    assert values("list", "the", "cities") == ()
    assert values("usual_tags", "quux") == ("rare",)


def test_the_lexicon_keeps_no_word_that_was_seen_too_seldom() -> None:
    sentences = [["The", "secret"], ["the", "The"], ["a", "the", "The", "plan"], ["plan"]]
    tags = [["DET", "NOUN"], ["DET", "DET"], ["DET", "X", "DET", "VERB"], ["NOUN"]]
    lexicon = learn_lexicon(sentences, tags, {"names": ["Ada"]}, min_word_count=2)
    assert lexicon.counts == {"the": 5, "plan": 2}
    assert lexicon.tags == {"the": "DET"}  # X once is taken for an error
    assert lexicon.cases == {}  # inside a sentence only three times
    assert lexicon.lists == {"names": frozenset({"ada"})}


def test_attributes_of_a_sentence() -> None:
    template = ["lower[-1..0]", "suffixes(2)", "lower[-1]+lower", "list(cities)", "column(lemma)"]
    features = parse_template(template, "word", ("cities",), "template")
    found = Attributes(features, LEXICON)(Sentence(["the", "Paris"], {"lemma": ["the", "Paris"]}))
    assert [set(x) for x in found] == [
        {"lower-1=", "lower=the", "suffixes(2)=e", "suffixes(2)=he", f"lower-1&lower={JOIN}the", "column(lemma)=the"},
        {
            "lower-1=the", "lower=paris", "suffixes(2)=s", "suffixes(2)=is", f"lower-1&lower=the{JOIN}paris",
            "list(cities)=in", "column(lemma)=Paris",
        },
    ]  # fmt: skip


def test_columns_that_the_model_computes() -> None:
    assert casing(["NEW", "YORK", "!"]) == "all-short"
    assert casing(["He", "has", "seen", "York", "at", "night", "."]) == "few"
    assert casing(["5", "%"]) == "none-short"
    sentence = word_sentence(["a", "b", "c"], {"head": ["2", "0", "1"]}, ["first", "head"])
    assert sentence.columns == {"first": ["first", "no", "no"], "head": ["+1", "root", "-2"]}
    assert word_sentence(["a"], {"head": ["x"]}, ["head"]).columns == {"head": ["_"]}


def test_characters_and_their_labels() -> None:
    text = "我有 iPhone15部, 10.5元"
    places = find_characters(text)
    assert [text[a:b] for a, b in places] == ["我", "有", "iPhone", "15", "部", ",", "10.5", "元"]
    words = [(0, 1), (1, 2), (3, 11), (11, 12), (12, 13), (14, 19)]
    inside, begins = find_characters_of(text, words)
    assert inside == places
    assert begins.tolist() == [True, True, True, False, True, True, True, False]
    assert joint_labels(places, words, ["PRON", "VERB", "NOUN", "NOUN", "PUNCT", "NUM"]) == [
        "B-PRON", "B-VERB", "B-NOUN", "I-NOUN", "B-NOUN", "B-PUNCT", "B-NUM", "I-NUM",
    ]  # fmt: skip


def test_long_dictionary_words_are_cut_finely() -> None:
    assert finely("今天天气") == ("今天", "天气")
    assert finely("天气") == ("天气",)
    text = "今天天气好"
    sentence = character_sentence(text, find_characters(text))
    assert sentence.columns["cut"] == ["B2", "E2", "B2", "E2", "S1"]
    assert sentence.columns["cut_word"] == ["今天", "今天", "天气", "天气", "好"]
    assert sentence.columns["begins"][:3] == ["2", "2", "2"]  # 今天, 天天, 天气; 今天天气 is made of two
    assert {len(column) for column in sentence.columns.values()} == {5}


def test_a_word_that_rjieba_guessed_is_not_named() -> None:
    text = "张晓鑫淼来了"
    assert "张晓鑫淼" not in character_sentence(text, find_characters(text)).columns["cut_word"]


@pytest.mark.parametrize("text", ["a\u3000b", "\U00020000天", "é̀ x"])
def test_odd_text_has_places_in_order(text: str) -> None:
    places = find_characters(text)
    assert places == sorted(places)
    assert "".join(text[a:b] for a, b in places) == "".join(text.split())
