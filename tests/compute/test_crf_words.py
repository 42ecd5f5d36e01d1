"""The tokenizer of raw text, sentences and scripts."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold.compute.crf.sentences import Reader, locate
from fourfold.compute.crf.words import MAX_TOKENS, cut_sentences, find_paragraphs, find_words, is_chinese
from fourfold.core.errors import BadInput
from fourfold.data.formats import Record
from fourfold.data.formats.conllu import Conllu


def words(text: str) -> str:
    return "|".join(text[a:b] for a, b in find_words(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don't, can't & won't.", "I|do|n't|,|ca|n't|&|wo|n't|."),
        ("He's sure they'll've gone; it’s Ben's.", "He|'s|sure|they|'ll|'ve|gone|;|it|’s|Ben|'s|."),
        ("Mr. Smith of Corp. Inc., U.S.", "Mr.|Smith|of|Corp.|Inc.|,|U.S."),
        ("$10.50 (5%) on 08/16/2000 at 10:30", "$|10.50|(|5|%|)|on|08/16/2000|at|10:30"),
        ("the 1990s, the 5th", "the|1990s|,|the|5th"),
        ("see http://a.b/c?d=1&e=2, ok", "see|http://a.b/c?d=1&e=2|,|ok"),
        ("mail x.y-z@b.co.uk now", "mail|x.y-z@b.co.uk|now"),
        ("www.adobe.com and report.pdf.", "www.adobe.com|and|report.pdf|."),
        ("well-known e-mail, non-human", "well|-|known|e-mail|,|non-human"),
        ("cannot gonna", "can|not|gon|na"),
        ("Great!!! Really?! ok...", "Great|!!!|Really|?!|ok|..."),
        ("nice :) thanks ;-)", "nice|:)|thanks|;-)"),
        ("call 713-853-3989", "call|713-853-3989"),
        ("AT&T and/or O'Neill", "AT&T|and|/|or|O'Neill"),
        ("我的iPhone坏了", "我|的|iPhone|坏|了"),
        ("", ""),
        (" \n\t ", ""),
    ],
)
def test_words_as_universal_dependencies_cuts_them(text: str, expected: str) -> None:
    assert words(text) == expected


def test_single_chinese_characters() -> None:
    assert [a for a, _ in find_words("天气 ok", single_han=True)] == [0, 1, 3]


@given(st.text(max_size=80))
def test_words_cover_all_that_is_not_space_in_order(text: str) -> None:
    places = find_words(text)
    assert all(a < b for a, b in places)
    assert all(b <= c for (_, b), (c, _) in pairwise(places))
    covered = {i for a, b in places for i in range(a, b)}
    assert all(character.isspace() or i in covered for i, character in enumerate(text))


def test_words_agree_with_ewt(public_data: Path) -> None:
    data = gzip.decompress((public_data / "ud-english-ewt" / "dev.conllu.gz").read_bytes())
    gold = found = same = 0
    for record in Conllu()(data):
        assert isinstance(record, Record)
        theirs, ours = {*locate(record.text, record.fields["tokens"])}, {*find_words(record.text)}
        gold, found, same = gold + len(theirs), found + len(ours), same + len(theirs & ours)
    assert 2 * same / (gold + found) > 0.985


def sentences(text: str) -> list[str]:
    places = find_words(text)
    return [text[places[s.start][0] : places[s.stop - 1][1]] for s in cut_sentences(text, places)]


def test_sentences() -> None:
    assert sentences('He left. "Why?" she asked. "I see." Then Mr. Bo came... no?! Yes') == [
        "He left.", '"Why?" she asked.', '"I see."', "Then Mr. Bo came... no?!", "Yes",
    ]  # fmt: skip
    assert sentences("今天好。明天呢？“好！”他说") == ["今天好。", "明天呢？", "“好！”", "他说"]
    assert [len(find_words(s)) for s in sentences("word " * (2 * MAX_TOKENS + 1))] == [MAX_TOKENS, MAX_TOKENS, 1]


def test_lines() -> None:
    text = "  one \r\n\n two\u2028three  "
    assert [text[a:b] for a, b in find_paragraphs(text)] == ["one", "two", "three"]


def test_scripts() -> None:
    assert is_chinese("我的 iPhone 15 Pro Max 坏了")
    assert not is_chinese("The word 天气 means weather")
    assert not is_chinese("123 !")
    assert is_chinese("天" * 5000)


def test_each_sentence_goes_to_the_unit_of_its_script() -> None:
    reader = Reader(("word", "character"))
    text = "Hello there. It works. 今天天气好。谢谢"
    assert [(p.unit, text[p.places[0][0] : p.places[-1][1]]) for p in reader.pieces(text)] == [
        ("word", "Hello there."), ("word", "It works."), ("character", "今天天气好。"), ("character", "谢谢"),
    ]  # fmt: skip
    assert {p.unit for p in Reader(("word",)).pieces(text)} == {"word"}
    assert {p.unit for p in Reader(("character",)).pieces(text)} == {"character"}


def test_given_tokens_must_occur_in_order() -> None:
    assert locate("to be or to be", ["to", "to", "be"]) == [(0, 2), (9, 11), (12, 14)]
    with pytest.raises(BadInput, match=r"tokens\[0\] does not occur in the text\."):
        locate("a b", ["c"])
    with pytest.raises(BadInput, match=r"tokens\[1\] does not occur in the text after tokens\[0\]"):
        locate("a b", ["b", "a"])
    with pytest.raises(BadInput, match=r"tokens\[0\]"):
        locate("a b", [" "])
