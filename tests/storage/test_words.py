"""Versions and runs found by words: how text is cut, and what a condition finds."""

from __future__ import annotations

import pytest
from tests.storage.conftest import OWNER

from fourfold.core.errors import BadSpec
from fourfold.storage import words
from fourfold.storage.found import found_runs, found_versions


def test_how_a_text_is_cut():
    assert list(words.cut("Support-intents f1_macro x9")) == ["support", "intents", "f1", "macro", "x9"]
    assert list(words.cut("今天天气x怎")) == ["今天", "天天", "天气", "x", "怎"]
    assert list(words.texts({"a": ["one", {"b": "two"}], "c": 3})) == ["one", "two"]


def versions(ledger, where):
    asked = {"name": None, "kind": None, "limit": 9, "before": None}
    return [v.ref for v in found_versions(ledger.database, where=where, **asked)]


def test_versions_are_found_by_the_words_of_their_names_and_meta(ledger, publish):
    publish("words", "hello", note="Lamps of the east wing", labels=["台灯", "开关"])
    publish("tickets", "again", note="lamp shades")
    assert versions(ledger, "text contains 'LAMPS east'") == ["words@1"]
    assert versions(ledger, "text contains 'lamp'") == ["tickets@1"]  # whole words
    assert versions(ledger, "text contains '台灯'") == ["words@1"]
    assert versions(ledger, "text contains 'tickets' or text contains 'wing'") == ["tickets@1", "words@1"]
    assert versions(ledger, "not text contains 'wing'") == ["tickets@1"]
    assert versions(ledger, "text contains 'lamps nowhere'") == []
    with pytest.raises(BadSpec, match="text with words"):
        versions(ledger, "text contains '…'")
    with pytest.raises(BadSpec, match="text with words"):
        versions(ledger, "text contains 3")


def test_runs_are_found_by_their_settings_and_errors(ledger):
    with pytest.raises(RuntimeError), ledger.run("train", name="one", spec={"family": {"crf": {"tags": "upos"}}}, actor=OWNER):
        raise RuntimeError("the gauge was torn")
    with ledger.run("clean", name="two", spec={}, actor=OWNER):
        pass

    def found(where):
        asked = {"verb": None, "name": None, "state": None, "limit": 9, "before": None}
        return [r.name for r in found_runs(ledger.database, where=where, **asked)]

    assert found("text contains 'gauge torn'") == ["one"]
    assert found("text contains 'upos' and state = 'failed'") == ["one"]
    assert found("text contains 'clean'") == ["two"]
