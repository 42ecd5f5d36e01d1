"""Cutting text into tokens, and putting it together again."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold.compute.ngram.segments import places_of, segments
from fourfold.compute.ngram.text import Unit, cut, join, read_texts, read_tokens

CUTS = [
    ("I can't, it's 1,000.5 at 12:30!", ["I", "ca", "n't", ",", "it", "'s", "1,000.5", "at", "12:30", "!"]),
    ("a well-known <EMAIL_ADDRESS>…  wait...", ["a", "well-known", "<EMAIL_ADDRESS>", "…", "wait", "..."]),
    ("我爱北京天安门，用Python吧。", ["我", "爱", "北京", "天安门", "，", "用", "Python", "吧", "。"]),
    ("a\r\n\nb", ["a", "\n", "\n", "b"]),
    ("", []),
]


@pytest.mark.parametrize(("text", "tokens"), CUTS)
def test_words(text: str, tokens: list[str]) -> None:
    assert cut(text, "word") == tokens


def test_other_units() -> None:
    assert cut("今 a\u3000b\n。", "character") == ["今", "a", "b", "\n", "。"]
    assert cut("do n't\u00a0x,y\n z", "token") == ["do", "n't", "x,y", "\n", "z"]


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("I can't, it's 1,000.5 at 12:30!", "word"),
        ("Ask (or not): she said “yes”, 50% of them.", "word"),
        ("我爱北京天安门，不错。", "word"),
        ("do n't x,y", "token"),
        ("我爱北京，不错。", "character"),
    ],
)
def test_joined_tokens_give_the_text_back(text: str, unit: Unit) -> None:
    assert join(cut(text, unit), unit) == text


def test_joining_goes_on_after_a_text() -> None:
    assert join(["you", "."], "word", before="thank") == " you."
    assert join(["you"], "word", before="thank ") == "you"
    assert join(["天气"], "word", before="今天") == "天气"


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=5),
    st.sampled_from(["word", "character", "token"]),
)
def test_reading_is_cutting(texts: list[str], unit: Unit) -> None:
    sentences = read_texts(texts, unit)
    found = [(int(d), line) for d, line in zip(sentences.documents, spelled(sentences.words, sentences.ids.tolist()))]
    lines = [
        (d, [t if t not in ("<s>", "</s>") else "<unk>" for t in cut(line, unit)])
        for d, text in enumerate(texts)
        for line in text.split("\n")
    ]
    assert found == [(d, line) for d, line in lines if line]
    assert sentences.words[3:] == sorted({token for _, line in lines for token in line} - {"<unk>"})


def spelled(words: list[str], ids: list[int]) -> list[list[str]]:
    """The sentences without their begins and ends."""
    found: list[list[str]] = []
    for i in ids:
        if i == 1:
            found.append([])
        elif i != 2:
            found[-1].append(words[i])
    return found


def test_blank_texts_are_kept_as_empty_sentences_when_asked() -> None:
    kept = read_texts(["", "a\n\nb", " \n "], "word", keep_blank=True)
    assert kept.documents.tolist() == [0, 1, 1, 2]
    assert kept.ids.tolist() == [1, 2, 1, 3, 2, 1, 4, 2, 1, 2]


def test_lists_of_tokens_are_sentences() -> None:
    column = pa.array([["b c", "a", "a"], None, [], ["\0", "</s>", "a"]])
    sentences = read_tokens(column)
    assert sentences.words[3:] == ["_", "a", "b_c"]
    assert sentences.documents.tolist() == [0, 3]
    assert sentences.ids.tolist() == [1, 5, 4, 4, 2, 1, 3, 0, 4, 2]


def test_segments_are_ranges_that_begin_with_tokens() -> None:
    text = "Hello there.  Version 1.5 is out! 好的。再见"
    starts = {start for start, _ in places_of(cut(text, "word"), text)}
    assert [text[a:b] for a, b in segments(text, "word", "sentence", starts)] == [
        "Hello there.",
        "Version 1.5 is out!",
        "好的。",
        "再见",
    ]
    starts = {start for start, _ in places_of(cut(text, "token"), text)}  # 好的。再见 is one token: one segment
    assert [text[a:b] for a, b in segments(text, "token", "sentence", starts)][-1] == "好的。再见"
    starts = {start for start, _ in places_of(cut("北京欢迎你", "character"), "北京欢迎你")}
    assert segments("北京欢迎你", "character", "word", starts) == [(0, 2), (2, 4), (4, 5)]
