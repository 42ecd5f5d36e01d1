"""What is kept of results."""

from __future__ import annotations

from fourfold.application.serving.summaries import SUMMARIES, count_tokens, summarise
from fourfold.compute.tasks import (
    TASKS,
    Generated,
    Item,
    Ranked,
    Ranking,
    RankInput,
    Scored,
    ScoredToken,
    Suggested,
    Suggestion,
    Tagged,
    TextInput,
    Token,
)


def test_every_task_has_a_summary():
    assert set(SUMMARIES) == {task.result for task in TASKS.values()}


def test_labels_and_scores_without_text():
    tokens = [Token("Zhang", 0, 5, "PROPN", 0.5), Token("left", 6, 10, "VERB", 0.9)]
    kept = summarise([TextInput("Zhang left")] * 2, [Tagged("a", tokens, True), Tagged("b", [], True)])
    assert kept.kept == [{"labels": {"PROPN": 1, "VERB": 1}, "score": 0.7}, {"labels": {}, "score": None}]
    assert (kept.confidence, kept.input_tokens) == (0.7, 2)
    assert "Zhang" not in str(kept)


def test_the_other_tasks():
    ranked = summarise([RankInput("a b")], [Ranked("", [Ranking("a", 0.75), Ranking("b", 0.25)])])
    assert (ranked.kept, ranked.confidence, ranked.input_tokens) == ([{"segments": 2, "top": 0.75}], 0.75, 2)
    scored = summarise([TextInput("a b")], [Scored("", -3.0, 10.0, 1, [ScoredToken(t, -1.0) for t in ("a", "b", "</s>")])])
    assert (scored.confidence, scored.input_tokens) == (None, 2)
    assert summarise([TextInput("a")], [Suggested("", [Suggestion("ab", 0.3)])]).confidence == 0.3
    generated = summarise([TextInput("a")], [Generated("", "b c", 2, "stop")])
    assert (generated.input_tokens, generated.output_tokens) == (1, 2)
    empty = summarise([RankInput("")], [Ranked("", [])])
    assert (empty.confidence, empty.input_tokens) == (None, 0)


def test_tokens_of_mixed_text():
    assert count_tokens(TextInput("今天 is fine天气")) == 6  # 今 天 is fine 天 气
    assert count_tokens(RankInput(query="two words", items=[Item("three more words")])) == 5
