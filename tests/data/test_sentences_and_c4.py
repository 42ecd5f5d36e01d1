"""Sentences, the rules of C4, and the perplexity of one's own model."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold.data.sentences import places_of_sentences, sentences
from fourfold.data.steps import DROPPED
from fourfold.data.steps.c4_quality import C4Quality
from fourfold.data.steps.split_sentences import SplitSentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天坏了。能退吗？谢谢！", ["今天坏了。", "能退吗？", "谢谢！"]),
        ("他说：“好的。”然后走了。", ["他说：“好的。”", "然后走了。"]),
        ("等等……还有吗", ["等等……", "还有吗"]),
        ("Dr. Li came at 5 p.m. on Monday. It was late.", ["Dr. Li came at 5 p.m. on Monday.", "It was late."]),
        ("J. Smith paid 3.50 euros, e.g. in cash. Really?", ["J. Smith paid 3.50 euros, e.g. in cash.", "Really?"]),
        ('"Stop!" he said. See www.a.example today.', ['"Stop!" he said.', "See www.a.example today."]),
        ("one line\n\nanother one", ["one line", "another one"]),
        ("Yahoo! has it. (Yes.) No", ["Yahoo! has it.", "(Yes.)", "No"]),
        (" \n ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(alphabet='ab 。.！?\n”"A1'))
def test_nothing_but_space_is_lost(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
    places = list(places_of_sentences(text))
    assert all(a < b for a, b in places) and all(x[1] <= y[0] for x, y in pairwise(places))


def test_split_sentences() -> None:
    table = pa.table({"doc_id": ["a", "b"], "text": ["坏了。谢谢！Ok. Then", None]})
    assert SplitSentences()(table)["text"].to_pylist() == ["坏了。\n谢谢！\nOk.\nThen", None]
    column = SplitSentences(into="column")(table)
    assert column["sentences"].to_pylist() == [["坏了。", "谢谢！", "Ok.", "Then"], []]
    assert column["text"].to_pylist() == table["text"].to_pylist()
    assert SplitSentences(into="column", min_characters=4)(column)["sentences"].to_pylist()[0] == ["坏了。谢谢！Ok.", "Then"]


GOOD = "The lamp is broken again today. We want a new one soon. Please send it by post. Thank you very much. See you then."


@pytest.mark.parametrize(
    ("text", "reason", "left"),
    [
        (GOOD, None, GOOD),
        (f"Home\n{GOOD}\nmenu without an end mark\nRead more...", None, GOOD),
        (f"{GOOD}\nPlease enable Javascript to see this page.\nThis site uses cookies to work.\nToo short.", None, GOOD),
        (GOOD.replace("lamp", "lamp[12]"), None, GOOD),
        ("Only one sentence stands here.", "c4_too_few_sentences", "Only one sentence stands here."),
        (f"{GOOD} Lorem ipsum dolor.", "c4_lorem_ipsum", f"{GOOD} Lorem ipsum dolor."),
        (f"{GOOD}\nfunction() {{ }}", "c4_curly_bracket", GOOD),
        ("这台灯又坏了一次。我们想换一个新的灯。请用快递寄过来。非常感谢你们。下次再见面吧。", None, None),
        ("首页\n登录\n这台灯又坏了一次。", "c4_too_few_sentences", "这台灯又坏了一次。"),
        (f"{GOOD}\n{'x' * 1001} is too long a word.", None, GOOD),
    ],
)
def test_c4(text: str, reason: str | None, left: str | None) -> None:
    found = C4Quality()(pa.table({"doc_id": ["a"], "text": [text]}))
    assert found[DROPPED].to_pylist() == [reason]
    assert found["text"].to_pylist() == [text if left is None else left]


def test_c4_settings() -> None:
    table = pa.table({"doc_id": ["a"], "text": ["no end mark {here}"]})
    part = C4Quality(min_sentences=1, end_marks=False, curly_brackets=False)
    assert part(table)[DROPPED].to_pylist() == [None]
