"""Conditions on versions and runs: what they find, worked out by hand, and what is refused where."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.storage.conftest import OWNER

from fourfold.core.errors import BadInput, BadSpec, NotFound
from fourfold.storage import search, tags
from fourfold.storage.found import found_runs, found_versions


@pytest.fixture
def models(ledger):
    """words@1..4: crf 0.91, crf 0.85, ngram without f1 and a note, crf 0.95 tagged."""
    made = []
    for number, (family, f1) in enumerate([("crf", 0.91), ("crf", 0.85), ("ngram", None), ("crf", 0.95)]):
        with ledger.run("train", kind="model", name="words", spec={"n": number}, actor=OWNER) as run:
            (run.folder / "weights").write_text(str(number))
            run.meta.update({"family": family, "note": "it's 100% 今天", "training": {"size": {"value": number}}})
            run.metrics({} if f1 is None else {"f1": f1, "f1/language=zh": 0.1, "nested": {"loss": 1.0 - f1}})
        made.append(run.version)
    with ledger.write() as connection:
        tags.change(connection, "key_owner", made[3], "stage", "candidate")
        tags.change(connection, "key_owner", made[0], "stage", "old")
    ledger.move_alias(made[1], "production", actor=OWNER)
    return made


def numbers(ledger, where, **more):
    asked = {"name": None, "kind": None, "limit": 50, "before": None, **more}
    return [v.number for v in found_versions(ledger.database, where=where, **asked)]


FOUND = (
    ("f1 > 0.9", [4, 1]), ("f1 >= 0.91 and family = 'crf'", [4, 1]), ("f1 < 0.9 or family = 'ngram'", [3, 2]),
    ("not f1 > 0.9", [3, 2]), ("f1", [4, 2, 1]), ("not f1", [3]), ("number in (1, 3)", [3, 1]),
    ("number not in (1, 3)", [4, 2]), ("family in ('ngram', 'bert')", [3]), ("family like 'CR%'", [4, 2, 1]),
    ("note contains '100%'", [4, 3, 2, 1]), ("note contains '100_'", []), ("note contains \"it's\"", [4, 3, 2, 1]),
    ("note = 'it''s 100% 今天'", [4, 3, 2, 1]), ("stage = 'candidate'", [4]), ("tag.stage", [4, 1]),
    ("nested.loss < 0.1", [4, 1]), ("training.size = 3", [4]), ("`training.size` != 3", [3, 2, 1]),
    ("alias = 'production'", [2]), ("actor = 'key_owner' and verb = 'train'", [4, 3, 2, 1]),
    ("created_at > '2020-01-01' and created_at < '2120-01-01T00:00'", [4, 3, 2, 1]), ("meta.family = 'ngram'", [3]),
    ("name contains 'ord' and (kind = 'model' and (number = 1 or number = 2))", [2, 1]), ("family = 'nested'", []),
    ("family = ''' or 1=1 --'", []), ("stage = 3", []), ("NOT (f1 > .9) AND number <= 2e0", [2]),
)  # fmt: skip


def test_what_is_found(ledger, models):
    for where, expected in FOUND:
        assert (where, numbers(ledger, where)) == (where, expected)


def test_a_condition_on_what_nothing_has_says_what_there_is(ledger, models):
    with pytest.raises(BadSpec) as refused:
        numbers(ledger, "zzz > 1")
    assert "There are f1" in refused.value.hint and "created_at" in refused.value.hint


def test_pages_go_on_where_the_last_ended(ledger, models):
    first = found_versions(ledger.database, name=None, kind="model", where="f1", limit=2, before=None)
    assert [v.number for v in first] == [4, 2]
    assert numbers(ledger, "f1", before=first[-1].id, limit=2) == [1]
    assert numbers(ledger, "f1", name="other") == []


REFUSED = (
        ("ff1 > 0.9", r"At position 1 .*no version has a 'ff1'. Did you mean 'f1'\?$"),
        ("f1 >", "At position 5 .*value is expected"),
        ("f1 > 0.9 and", "At position 13 .*name is expected"), ("(f1 > 0.9", r"At position 10 .*a \) is missing"),
        ("f1 > 0.9 family = 'crf'", "At position 10 .*'family' is one too many"), ("f1 > 'x", "At position 6 .*does not end"),
        ("family = crf", "At position 10 .*value is expected"), ("f1 ; drop table", "At position 4 .*';' has no meaning"),
        ("number = 'x'", "At position 1 .*number is a number"), ("name = 3", "At position 1 .*name is a text"),
        ("created_at > 'soon'", "'soon' is no date"), ("created_at in ('2020-01-01')", "is compared by"),
        ("number in 3", r"a \( is expected"), ("number in (1, 'x')", "At position 12 .*numbers and texts"),
        ("name contains 3", "At position 15 .*contains takes a text"), ("name not 3", "in, like or contains"),
        ("", "At position 1 "), ("(" * 60 + "f1" + ")" * 60, "more than 50"), ("not " * 60 + "f1", "more than 50"),
        ("f1 and " * 800 + "f1", "more than 4,000"), ("name = '\0'", "zero character"),
)  # fmt: skip


def test_what_is_refused_says_where(ledger, models):
    for where, message in REFUSED:
        with pytest.raises(BadSpec) as error:
            numbers(ledger, where)
        assert re.search(message, error.value.message), (where, error.value.message)


WORDS = st.sampled_from(
    ["f1", "family", "number", "name", "and", "or", "not", "in", "like", "contains", "(", ")", ",", "=", "!=", "<", ">=", "0.9",
     "'crf'", "'%'", '"', "'", "tag.stage", "created_at", "'2026-01-01'", "true", "`", "--", "\\", "今天", ";"]
)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=12).map(" ".join)))
def test_any_text_finds_something_or_is_refused(ledger, models, where):
    try:
        found = numbers(ledger, where)
    except BadSpec:
        return
    assert set(found) <= {1, 2, 3, 4}


def test_runs_are_found_by_their_figures(ledger, models):
    with pytest.raises(ValueError, match="broken"), ledger.run("clean", name="x", spec={}, actor=OWNER) as run:
        run.metrics({"rows": 7})
        raise ValueError("broken")

    def found(where):
        return [r.name for r in found_runs(
            ledger.database, verb=None, name=None, state=None, where=where, limit=50, before=None
        )]  # fmt: skip

    assert found("rows = 7 and state = 'failed'") == ["x"]
    assert found("f1 > 0.9") == ["words", "words"]
    assert found("error contains 'broken'") == ["x"]
    with pytest.raises(BadSpec, match="no run has a 'stage'"):
        found("stage = 'old'")


def test_a_model_is_found_by_the_figures_of_its_newest_report(ledger, publish):
    model = publish("words")
    publish("words-report", kind="report", inputs=(model,), metrics={"accuracy": {"value": 0.8}}, split="dev")
    assert numbers(ledger, "accuracy > 0.85", kind="model") == []
    publish("words-report", "b", kind="report", inputs=(model,), metrics={"accuracy": {"value": 0.9}}, split="dev")
    publish("words-report", "c", kind="report", inputs=(model,), metrics={"accuracy": {"value": 1.0}}, split="train")
    assert numbers(ledger, "accuracy = 0.9", kind="model") == [1]


def test_tags_are_set_and_taken_away_with_their_history(ledger, publish):
    version = publish("words")
    with ledger.write() as connection:
        assert tags.change(connection, "ann", version, "stage", "a") == {"stage": "a"}
        assert tags.change(connection, "bob", version, "stage", "b") == {"stage": "b"}
        assert tags.change(connection, "ann", version, "stage", None) == {}
        assert [(c.value, c.actor) for c in tags.history(connection, version)] == [("a", "ann"), ("b", "bob"), (None, "ann")]
    with ledger.write() as connection, pytest.raises(NotFound, match="no tag 'stage'"):
        tags.change(connection, "ann", version, "stage", None)
    with ledger.write() as connection, pytest.raises(BadInput):
        tags.change(connection, "ann", version, "stage", "x" * 201)
    assert search.VERSIONS.tagged
