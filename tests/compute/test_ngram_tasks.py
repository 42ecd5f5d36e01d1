"""score, suggest, generate and rank of trained models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fourfold.compute import tasks
from fourfold.compute.families.ngram import Ngram
from fourfold.compute.ngram.model import NgramModel
from fourfold.core.errors import BadInput
from fourfold.core.progress import silent
from fourfold.data.dataset import Dataset

ENGLISH = [
    "How do I reset my password?",
    "How do I change my e-mail address?",
    "How do I reset the router?",
    "Where is my order?",
    "My order is late, please help.",
    "Please help me reset my password.",
    "I can't log in.",
]
CHINESE = ["怎么修改密码？", "怎么修改邮箱？", "怎么重置密码？", "密码忘记了怎么办？", "订单在哪里？", "今天天气怎么样"]


def model(folder: Path, lines: list[str], unit: str) -> NgramModel:
    (folder / "data").mkdir()
    table = pa.table({"doc_id": [str(i) for i in range(len(lines))], "text": lines})
    pq.write_table(table, folder / "data" / "fragment-00000.parquet")
    part = Ngram(order=4, unit=unit, discount_fallback=(0.5, 1.0, 1.5))  # type: ignore[arg-type]
    part.fit(Dataset(folder / "data"), None, folder / "model", silent)
    return Ngram.load(folder / "model")


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> NgramModel:
    return model(tmp_path_factory.mktemp("english"), ENGLISH, "word")


@pytest.fixture(scope="module")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> NgramModel:
    return model(tmp_path_factory.mktemp("chinese"), CHINESE, "word")


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> NgramModel:
    return model(tmp_path_factory.mktemp("characters"), CHINESE, "character")


def suggested(of: NgramModel, text: str, top_k: int = 10) -> list[tasks.Suggestion]:
    return of.suggest([tasks.TextInput(text, id="s")], tasks.SuggestOptions(top_k=top_k))[0].suggestions


def test_score_adds_up(english: NgramModel) -> None:
    asked = [
        tasks.TextInput("How do I frobnicate my password?", id="a"),
        tasks.TextInput("", id="b"),
        tasks.TextInput("My order\n\nis late"),
    ]
    first, blank, two_lines = english.score(asked, tasks.ScoreOptions())
    assert (first.id, first.unknown_tokens, blank.id) == ("a", 1, "b")
    assert [t.text for t in first.tokens] == ["How", "do", "I", "frobnicate", "my", "password", "?", "</s>"]  # type: ignore[union-attr]
    assert first.log10_probability == pytest.approx(sum(t.log10_probability for t in first.tokens))  # type: ignore[union-attr]
    assert first.perplexity == pytest.approx(10 ** (-first.log10_probability / 8))
    assert [t.text for t in blank.tokens] == ["</s>"]  # type: ignore[union-attr]
    assert [t.text for t in two_lines.tokens] == ["My", "order", "</s>", "is", "late", "</s>"]  # type: ignore[union-attr]
    lines = english.score([tasks.TextInput("My order"), tasks.TextInput("is late")], tasks.ScoreOptions(per_token=False))
    assert two_lines.log10_probability == pytest.approx(sum(line.log10_probability for line in lines), abs=1e-6)
    assert lines[0].tokens is tasks.UNSET
    assert english.score([], tasks.ScoreOptions()) == []


def test_a_long_text_scores_as_its_lines(english: NgramModel) -> None:
    lines = ENGLISH * 400  # enough tokens for keys to be sorted before they are searched
    numpy = NgramModel(english.lookup, english.lookup, "word", "text")
    whole = numpy.score([tasks.TextInput("\n".join(lines))], tasks.ScoreOptions(per_token=False))[0]
    each = numpy.score([tasks.TextInput(line) for line in ENGLISH], tasks.ScoreOptions(per_token=False))
    assert whole.log10_probability == pytest.approx(400 * sum(s.log10_probability for s in each))


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("How do I res", "How do I reset my password?"),
        ("How do I ", "How do I reset my password?"),
        ("Please hel", "Please help me reset my password."),
        ("", "Where is my order?"),
        ("Good morning\nWhere", "Good morning\nWhere is my order?"),
        ("I ca", "I can't log in."),
    ],
)
def test_suggestions_complete_words_and_phrases(english: NgramModel, prefix: str, expected: str) -> None:
    found = suggested(english, prefix)
    assert expected in [s.text for s in found[:3]]
    assert all(s.text.startswith(prefix) for s in found)
    scores = [s.score for s in found]
    assert scores == sorted(scores, reverse=True)
    assert 0 < sum(scores) <= 1 + 1e-9
    assert len({s.text for s in found}) == len(found) <= 10
    assert suggested(english, prefix, top_k=1)[0].text == found[0].text


def test_suggestions_go_on_after_a_word_that_is_not_known(english: NgramModel) -> None:
    found = suggested(english, "Xyzzy")
    assert found
    assert all(s.text.startswith("Xyzzy") and len(s.text) > 5 for s in found)


def test_chinese_suggestions_have_no_spaces(chinese: NgramModel, characters: NgramModel) -> None:
    for of in (chinese, characters):
        found = [s.text for s in suggested(of, "怎么修改")]
        assert {"怎么修改密码？", "怎么修改邮箱？"} <= set(found[:4])
        assert not any(" " in text for text in found)


def test_a_suggestion_has_its_probability_among_all_continuations(english: NgramModel) -> None:
    """After a space: the probability of the words that follow, over those that can: all but <unk> and an end at once."""
    found = {s.text: s.score for s in suggested(english, "How do I ")}
    words = english.lookup.tables.words
    state = english.lookup.read(np.array([1, *(words.index(w) for w in ("How", "do", "I"))]))
    expected, first = 1.0, True
    for word in ("reset", "my", "password", "?", "</s>"):
        p = english.lookup.next(state)
        p[[0, 2] if first else [0]] = 0
        expected, first = expected * p[words.index(word)] / p.sum(), False
        state = english.lookup.after(state, words.index(word))
    assert found["How do I reset my password?"] == pytest.approx(expected)


def test_generation_follows_the_seed(english: NgramModel) -> None:
    asked = [tasks.TextInput("How do", id="a"), tasks.TextInput("", id="b")]
    options = tasks.GenerateOptions(seed=7)
    first, again = english.generate(asked, options), english.generate(asked[1:], options)
    assert first[1] == again[0]  # whatever is asked beside it
    assert {english.generate(asked[:1], tasks.GenerateOptions(seed=s))[0].text for s in range(20)} != {first[0].text}
    best = english.generate(asked, tasks.GenerateOptions(temperature=0))
    assert best == english.generate(asked, tasks.GenerateOptions(temperature=0, seed=9))
    assert best[0] == tasks.Generated("a", " I reset my password?", 5, "stop")
    assert best == english.generate(asked, tasks.GenerateOptions(top_k=1))
    short = english.generate(asked[:1], tasks.GenerateOptions(temperature=0, max_tokens=2))[0]
    assert (short.text, short.tokens, short.finish_reason) == (" I reset", 2, "length")


def test_samples_have_the_probabilities_of_the_model(english: NgramModel) -> None:
    drawn = [
        english.generate([tasks.TextInput("How do I")], tasks.GenerateOptions(max_tokens=1, seed=s))[0].text for s in range(600)
    ]
    p = english.lookup.next(
        english.lookup.read(np.array([1, *(english.lookup.tables.words.index(w) for w in ("How", "do", "I"))]))
    )
    expected = p[english.lookup.tables.words.index("reset")] / (1 - p[0])
    assert drawn.count(" reset") / 600 == pytest.approx(expected, abs=0.08)  # 4 standard deviations


def test_segments_of_a_text_are_ranked(chinese: NgramModel, characters: NgramModel, english: NgramModel) -> None:
    for of in (chinese, characters):
        (ranked,) = of.rank([tasks.RankInput(text="今天天气怎么样", id="a")], tasks.RankOptions())
        assert ranked.id == "a"
        assert sum(r.score for r in ranked.ranking) == pytest.approx(1)
        assert "".join(r.text for r in sorted(ranked.ranking, key=lambda r: r.start)) == "今天天气怎么样"
        assert all("今天天气怎么样"[r.start : r.end] == r.text for r in ranked.ranking)  # type: ignore[misc]
        scores = [r.score for r in ranked.ranking]
        assert scores == sorted(scores, reverse=True)
    text = "How do I reset my password? Colourless green ideas.\nMy order is late."
    (ranked,) = english.rank([tasks.RankInput(text=text)], tasks.RankOptions(unit="sentence"))
    assert {r.text for r in ranked.ranking} == {"How do I reset my password?", "Colourless green ideas.", "My order is late."}
    assert ranked.ranking[-1].text == "Colourless green ideas."
    assert english.rank([tasks.RankInput(text=" ")], tasks.RankOptions())[0].ranking == []


def test_a_segment_has_the_geometric_mean_of_its_tokens(english: NgramModel) -> None:
    text = "How do I reset my order"
    tokens = english.score([tasks.TextInput(text)], tasks.ScoreOptions())[0].tokens[:-1]  # type: ignore[index]
    share = {token.text: 10**token.log10_probability for token in tokens}
    (ranked,) = english.rank([tasks.RankInput(text=text)], tasks.RankOptions())
    expected = {word: p / sum(share.values()) for word, p in share.items()}
    assert {r.text: r.score for r in ranked.ranking} == pytest.approx(expected, rel=1e-5)


def test_items_are_ranked_as_they_follow_the_query(english: NgramModel) -> None:
    items = [
        tasks.Item("green ideas", id="x"),
        tasks.Item("my password?", id="y"),
        tasks.Item("order late help", id="z"),
        tasks.Item("", id="e"),
    ]
    (ranked,) = english.rank([tasks.RankInput(query="How do I reset", items=items, id="q")], tasks.RankOptions())
    assert ranked.ranking[0].id == "y"
    assert {r.id for r in ranked.ranking} == {"x", "y", "z", "e"}
    assert sum(r.score for r in ranked.ranking) == pytest.approx(1)
    assert all(r.start is tasks.UNSET for r in ranked.ranking)
    assert english.rank([tasks.RankInput(items=items[:1])], tasks.RankOptions())[0].ranking[0].score == pytest.approx(1)


def test_bad_options_and_inputs_say_what_to_give(english: NgramModel) -> None:
    asked = [tasks.TextInput("How")]
    with pytest.raises(BadInput, match="top_k is 0"):
        english.suggest(asked, tasks.SuggestOptions(top_k=0))
    for wrong in ({"max_tokens": 0}, {"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": -1}, {"seed": -1}):
        with pytest.raises(BadInput, match=f"{next(iter(wrong))} is "):
            english.generate(asked, tasks.GenerateOptions(**wrong))
    with pytest.raises(BadInput, match="both text and items"):
        english.rank([tasks.RankInput(text="a", items=[tasks.Item("b")])], tasks.RankOptions())
    with pytest.raises(BadInput, match="query and no items"):
        english.rank([tasks.RankInput(text="a", query="b")], tasks.RankOptions())
