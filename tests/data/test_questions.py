"""Every question: what answers it, what does not, and what becomes of the answer."""

from __future__ import annotations

import json

import pytest

from fourfold.core.errors import BadInput, BadSpec
from fourfold.data.questions import QUESTIONS
from fourfold.data.questions.classification import Classification
from fourfold.data.questions.preference import Preference
from fourfold.data.questions.spans import Spans
from fourfold.data.questions.text import Text

CHINESE = {"doc_id": "d", "text": "王小明在北京, 23 岁", "tokens": None}
ENGLISH = {"doc_id": "d", "text": "Anna lives in Berlin.", "tokens": ["Anna", "lives", "in", "Berlin", "."]}
PAIR = {"doc_id": "d", "text": "Where?", "answer_a": "In Berlin.", "answer_b": "No idea."}
PEOPLE = Spans(("PER", "LOC"))


def spans(*given):
    return {"spans": [{"start": start, "end": end, "label": label} for start, end, label in given]}


def test_a_classification():
    asked = Classification(("refund", "delivery"), into="intent")
    assert asked.check({"label": "refund"}, ENGLISH) == {"label": "refund"}
    assert asked.columns({"label": "refund"}, ENGLISH) == {"intent": "refund"}
    assert asked.units({"label": "refund"}, ENGLISH) == {"label": "refund"}
    with pytest.raises(
        BadInput, match=r"label is 'refnd', which is no label of this project\. Did you mean 'refund'\? .*Labels"
    ):
        asked.check({"label": "refnd"}, ENGLISH)
    with pytest.raises(BadInput, match="has the field 'label', not lable"):
        asked.check({"lable": "refund"}, ENGLISH)
    with pytest.raises(BadInput, match="not label, sure"):
        asked.check({"label": "refund", "sure": True}, ENGLISH)


@pytest.mark.parametrize("labels", [[], ["a", "a"], ["a", " "], ["a", "b\0"], ["a", "\udc80"]])
def test_labels_are_different_and_not_blank(labels):
    for name in ("classification", "spans"):
        with pytest.raises(BadSpec, match="labels is a list of different labels"):
            QUESTIONS.build({name: {"labels": labels}}, path="annotate")


def test_spans_come_out_in_order_whoever_marked_them_in_which():
    given = spans((4, 6, "LOC"), (0, 3, "PER"))
    assert PEOPLE.check(given, CHINESE) == spans((0, 3, "PER"), (4, 6, "LOC"))
    assert PEOPLE.check({"spans": []}, CHINESE) == {"spans": []}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (spans((0, 13, "PER")), r"spans\[0\] is 0:13, but the text has 12 characters"),
        (spans((-1, 3, "PER")), "is -1:3, but"),
        (spans((3, 3, "PER")), "is 3:3, but"),
        (spans((0, 3, "PRE")), r"spans\[0\]\.label is 'PRE', which is no label of this project\. Did you mean 'PER'"),
        (spans((0, 3, "PER"), (2, 6, "LOC")), "The spans 0:3 and 2:6 overlap"),
        (spans((7, 8, "PER")), "nothing but white space"),
        (spans((0.0, 3, "PER")), "whole numbers"),
        (spans((False, 3, "PER")), "whole numbers"),
        ({"spans": "0:3"}, "spans is no list"),
        ({"spans": [{"start": 0, "end": 3}]}, r"spans\[0\] is no span"),
        ({"spans": [[0, 3, "PER"]]}, r"spans\[0\] is no span"),
    ],
)
def test_spans_that_are_none(value, message):
    with pytest.raises(BadInput, match=message):
        PEOPLE.check(value, CHINESE)


def test_spans_become_bio_tags_of_tokens():
    columns = PEOPLE.columns(spans((0, 3, "PER"), (4, 6, "LOC")), CHINESE)
    assert columns["tokens"] == ["王", "小", "明", "在", "北", "京", ",", "23", "岁"]
    assert columns["tags"] == ["B-PER", "I-PER", "I-PER", "O", "B-LOC", "I-LOC", "O", "O", "O"]
    assert json.loads(columns["spans"])[1] == {"start": 4, "end": 6, "label": "LOC"}


def test_a_documents_own_tokens_are_kept_unless_a_span_cuts_one():
    columns = PEOPLE.columns(spans((14, 20, "LOC")), ENGLISH)
    assert (columns["tokens"], columns["tags"]) == (ENGLISH["tokens"], ["O", "O", "O", "B-LOC", "O"])
    cut = PEOPLE.columns(spans((14, 17, "LOC")), ENGLISH)
    assert cut["tokens"][3:] == ["Ber", "lin", "."]
    assert cut["tags"] == ["O", "O", "O", "B-LOC", "O", "O"]


def test_units_of_spans_are_runs_characters_and_signs():
    assert PEOPLE.units(spans((0, 2, "PER")), CHINESE) == {
        0: "PER", 1: "PER", 2: "O", 3: "O", 4: "O", 5: "O", 6: "O", 8: "O", 11: "O",
    }  # fmt: skip
    assert PEOPLE.units(spans((16, 18, "LOC")), ENGLISH)[14] == "LOC"  # it lies within Berlin


def test_a_preference():
    asked = Preference()
    assert asked.reads() == ("answer_a", "answer_b")
    assert asked.columns(asked.check({"preferred": "b"}, PAIR), PAIR) == {
        "prompt": "Where?", "chosen": "No idea.", "rejected": "In Berlin.", "preferred": "b",
    }  # fmt: skip
    assert asked.columns({"preferred": "tie"}, PAIR)["chosen"] is None
    with pytest.raises(BadInput, match="preferred is 'c', which is no label"):
        asked.check({"preferred": "c"}, PAIR)
    with pytest.raises(BadInput, match="preferred is 'tie'"):
        Preference(ties=False).check({"preferred": "tie"}, PAIR)


def test_a_text():
    asked = Text(into="summary", longest=10)
    assert asked.columns(asked.check({"text": "short"}, ENGLISH), ENGLISH) == {"summary": "short"}
    assert asked.units({"text": " a\n b "}, ENGLISH) == {"text": "a b"}
    with pytest.raises(BadInput, match="text has 11 characters, more than 10"):
        asked.check({"text": "elevenelven"}, ENGLISH)
    with pytest.raises(BadInput, match="text holds broken characters"):
        asked.check({"text": "a\udc80"}, ENGLISH)
    for blank in ("", " \n", None, 3):
        with pytest.raises(BadInput, match="text is blank"):
            asked.check({"text": blank}, ENGLISH)


@pytest.mark.parametrize(
    ("asked", "row", "value"),
    [
        (Classification(("a<b", '"q"')), ENGLISH, {"label": '"q"'}),
        (PEOPLE, CHINESE, spans((0, 3, "PER"), (4, 6, "LOC"))),
        (PEOPLE, ENGLISH, {"spans": []}),
        (Preference(), PAIR, {"preferred": "b"}),
        (Preference(), PAIR, {"preferred": "tie"}),
        (Text(), ENGLISH, {"text": "two\nlines"}),
    ],
)
def test_label_studio_gives_back_what_it_was_given(asked, row, value):
    regions = json.loads(json.dumps(asked.to_studio(value, row)))
    assert asked.from_studio(regions, row) == value


def test_offsets_of_label_studio_in_utf16_units_become_code_points():
    row = {"text": "😀😀 Anna"}
    region = {"type": "labels", "value": {"start": 5, "end": 9, "text": "Anna", "labels": ["PER"]}}
    assert PEOPLE.from_studio([region], row) == spans((3, 7, "PER"))
    right = {"type": "labels", "value": {"start": 3, "end": 7, "text": "Anna", "labels": ["PER"]}}
    assert PEOPLE.from_studio([right], row) == spans((3, 7, "PER"))
    with pytest.raises(BadInput, match="0:4 is not where its text says"):
        PEOPLE.from_studio([{"type": "labels", "value": {"start": 0, "end": 4, "text": "Anna", "labels": ["PER"]}}], row)


def test_what_a_tagger_found_becomes_a_suggestion_as_sure_as_its_least_sure_token():
    result = {
        "tokens": [{"score": 0.9}, {"score": 0.6}],
        "spans": [
            {"start": 0, "end": 4, "label": "PER", "text": "Anna", "score": 0.9},
            {"start": 14, "end": 20, "label": "ORG", "text": "Berlin", "score": 0.6},
        ],
    }
    assert PEOPLE.suggestion("tag", result, ENGLISH) == (spans((0, 4, "PER")), 0.6)
    assert PEOPLE.suggestion("tag", {"tokens": []}, ENGLISH) == ({"spans": []}, None)


def test_what_a_ranking_says_becomes_a_label_or_a_side():
    ranking = {"ranking": [{"text": "delivery", "score": 0.7, "id": "b"}, {"text": "refund", "score": 0.3, "id": "a"}]}
    assert Classification(("refund", "delivery")).suggestion("rank", ranking, ENGLISH) == ({"label": "delivery"}, 0.7)
    assert Preference().suggestion("rank", ranking, PAIR) == ({"preferred": "b"}, 0.7)
    assert Text().suggestion("generate", {"text": "so it is"}, ENGLISH) == ({"text": "so it is"}, None)
