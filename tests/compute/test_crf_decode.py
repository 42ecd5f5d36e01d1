"""The decoder against enumeration of all paths, and the whole chain against python-crfsuite on a trained model."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pycrfsuite
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold.compute.crf import scores as scores_module
from fourfold.compute.crf.attributes import Attributes, Sentence
from fourfold.compute.crf.characters import goes_on, is_bio
from fourfold.compute.crf.decode import Decoder
from fourfold.compute.crf.features import Lexicon, learn_lexicon
from fourfold.compute.crf.learn import learn
from fourfold.compute.crf.scores import StateScores
from fourfold.compute.crf.template import parse_template
from fourfold.compute.crf.weights import Weights, read_weights
from fourfold.core.errors import BadInput, Corrupt

BIO = ("B-X", "I-X", "O")


def enumerate_paths(scores: np.ndarray, transitions: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of every path."""
    count, width = scores.shape
    weight = {
        path: np.exp(
            sum(scores[t, a] for t, a in enumerate(path)) + sum(transitions[a, b] for a, b in itertools.pairwise(path))
        )
        for path in itertools.product(range(width), repeat=count)
    }
    total = sum(weight.values())
    return {path: value / total for path, value in weight.items()}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_decoding_is_what_enumeration_gives(lengths: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    transitions = random.normal(size=(3, 3))
    scores = random.normal(scale=2, size=(sum(lengths), 3))
    continues = goes_on(BIO)
    found = Decoder(transitions, [~continues, continues])(scores, np.array(lengths))
    at = 0
    for length in lengths:
        paths = enumerate_paths(scores[at : at + length], transitions)
        best = max(paths, key=lambda path: paths[path])
        assert tuple(found.path[at : at + length]) == best
        for t in range(length):
            expected = sum(p for path, p in paths.items() if path[t] == best[t])
            assert found.probability[at + t] == pytest.approx(expected, abs=1e-12)
        for i, j in itertools.combinations(range(length + 1), 2):
            stretch = sum(
                p
                for path, p in paths.items()
                if path[i:j] == best[i:j] and (j == length or not continues[path[j - 1], path[j]])
            )
            assert found.stretches(np.array([at + i]), np.array([at + j]), -1)[0] == pytest.approx(stretch, abs=1e-12)
        at += length


def test_nothing_decodes_to_nothing() -> None:
    found = Decoder(np.zeros((2, 2)))(np.zeros((0, 2)), np.zeros(0, np.int64))
    assert len(found.path) == len(found.probability) == 0


def test_extreme_scores_stay_finite() -> None:
    scores = np.array([[800.0, -800.0], [-800.0, 800.0], [0.0, 0.0]])
    found = Decoder(np.array([[5.0, -300.0], [0.0, 5.0]]))(scores, np.array([3]))
    assert found.path.tolist() == [0, 1, 1]
    assert np.isfinite(found.probability).all()


def test_which_labels_mark_stretches() -> None:
    assert goes_on(BIO).tolist() == [[False, True, False], [False, True, False], [False, False, False]]
    assert not goes_on(("B-X", "I-Y"))[0, 1]
    assert is_bio(BIO)
    assert not is_bio(("O",))
    assert not is_bio(("NOUN", "B-X"))


# ---- against python-crfsuite

WORDS = ["the", "a", "cat", "dog", "sees", "eats", "Paris", "quickly", "green", "今天", "x1"]
TEMPLATE = (
    "lower[-2..2]",
    "suffixes(3)[-1..0]",
    "lower[-1]+lower",
    "lower+shape[1]+column(lemma)",
    "column(lemma)[-1..1]",
    "form",
)


def make_sentences(count: int, seed: int, words: list[str]) -> list[Sentence]:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        tokens = random.choice(words, random.integers(1, 9)).tolist()
        found.append(Sentence(tokens, {"lemma": [token[:2] for token in tokens]}))
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Attributes, StateScores, Weights]:
    sentences = make_sentences(150, 1, WORDS)
    labels = [["ABCD"[(WORDS.index(t) * 7 + i) % 4] for i, t in enumerate(s.tokens)] for s in sentences]
    features = parse_template(TEMPLATE, "word", (), "template")
    lexicon = learn_lexicon([s.tokens for s in sentences], labels, {}, 1)
    attributes = Attributes(features, lexicon)
    path = tmp_path_factory.mktemp("crf") / "word.crfsuite"
    seen: list[int] = []
    figures = learn(map(attributes, sentences), labels, {"c1": 0.01, "c2": 0.1, "max_iterations": 20}, path, seen.append)
    assert figures["iterations"] == len(seen) == 20
    weights = read_weights(path)
    return path, attributes, StateScores(features, lexicon, weights), weights


def test_weights_are_those_of_crfsuites_dump(trained: tuple[Path, Attributes, StateScores, Weights]) -> None:
    path, _, _, weights = trained
    tagger = pycrfsuite.Tagger()
    tagger.open(str(path))
    info = tagger.info()
    assert info.labels == {label: str(i) for i, label in enumerate(weights.labels)}
    assert set(info.attributes) == set(weights.attributes)
    for (attribute, label), weight in info.state_features.items():  # rounded to six decimals
        row = weights.rows([weights.attributes[attribute]], [0], 1)[0]
        assert row[weights.labels.index(label)] == pytest.approx(weight, abs=1e-6)
    assert np.count_nonzero(weights.weights) == len(info.state_features)
    for (a, b), weight in info.transitions.items():
        assert weights.transitions[weights.labels.index(a), weights.labels.index(b)] == pytest.approx(weight, abs=1e-6)


@pytest.mark.parametrize("limit", [50_000, 3])
def test_labels_and_marginals_are_those_of_crfsuite(
    trained: tuple[Path, Attributes, StateScores, Weights], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, attributes, scores, weights = trained
    monkeypatch.setattr(scores_module, "MAX_WORDS", limit)  # 3: tables are forgotten before every call
    tagger = pycrfsuite.Tagger()
    tagger.open(str(path))
    decoder = Decoder(weights.transitions)
    for seed in (2, 3):
        sentences = make_sentences(60, seed, [*WORDS, "unseen", "UNSEEN2", "|&="])
        found = decoder(scores(sentences), np.array([len(s.tokens) for s in sentences]))
        labels, marginals = [], []
        for sentence in sentences:
            tagger.set(attributes(sentence))
            labels += tagger.tag()
            marginals += [tagger.marginal(label, t) for t, label in enumerate(tagger.tag())]
        assert [weights.labels[k] for k in found.path] == labels
        assert found.probability == pytest.approx(marginals, abs=1e-9)


def test_a_template_of_conjunctions_alone(tmp_path: Path) -> None:
    features = parse_template(("form[-1]+form",), "word", (), "template")
    lexicon = Lexicon(counts={"a": 1, "b": 1})
    attributes = Attributes(features, lexicon)
    sentence = Sentence(["a", "b"])
    path = tmp_path / "word.crfsuite"
    learn([attributes(sentence)] * 3, [["X", "Y"]] * 3, {"max_iterations": 5}, path, lambda number: None)
    weights = read_weights(path)
    found = Decoder(weights.transitions)(StateScores(features, lexicon, weights)([sentence]), np.array([2]))
    assert [weights.labels[k] for k in found.path] == ["X", "Y"]


@pytest.mark.parametrize("data", [b"", b"lCRF", b"x" * 100])
def test_another_file_is_no_model(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "word.crfsuite"
    path.write_bytes(data)
    with pytest.raises(Corrupt, match="not a crfsuite model"):
        read_weights(path)


def test_a_cut_file_is_no_model(trained: tuple[Path, Attributes, StateScores, Weights], tmp_path: Path) -> None:
    path = tmp_path / "word.crfsuite"
    path.write_bytes(trained[0].read_bytes()[:-7])
    with pytest.raises(Corrupt):
        read_weights(path)


def test_training_that_learns_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="L-BFGS"):
        learn([[["a"]]], [["X"]], {"feature.minfreq": 5}, tmp_path / "m", lambda number: None)
