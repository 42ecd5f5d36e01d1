"""The n-gram family: equal to lmplz and to the textbook, exact forgetting, and what it says of bad input."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compute.ngram_textbook import Textbook

from fourfold.compute import tasks
from fourfold.compute.families import FAMILIES
from fourfold.compute.families.ngram import Ngram, forget, perplexity
from fourfold.compute.ngram.estimate import TooFewCounts, discount
from fourfold.compute.ngram.model import NgramModel
from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.progress import silent
from fourfold.data.dataset import Dataset

FALLBACK = (0.5, 1.0, 1.5)
WORDS = "a b c d"


def dataset(folder: Path, *fragments: dict[str, list]) -> Dataset:
    """A dataset with one fragment for each of the tables; document ids are numbered unless given."""
    folder.mkdir(parents=True)
    ids = itertools.count()
    for number, columns in enumerate(fragments):
        rows = len(next(iter(columns.values())))
        table = pa.table({"doc_id": [str(next(ids)) for _ in range(rows)]} | columns)
        pq.write_table(table, folder / f"fragment-{number:05}.parquet")
    return Dataset(folder)


def fitted(folder: Path, data: Dataset, **options: object) -> NgramModel:
    Ngram(**options).fit(data, None, folder, silent)  # type: ignore[arg-type]
    return Ngram.load(folder, "numpy")


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def yuanqu(public_data: Path) -> list[str]:
    return gzip.decompress((public_data / "yuanqu" / "yuanqu.txt.gz").read_bytes()).decode().split("\n")


def treebank(path: Path) -> list[list[str]]:
    sentences: list[list[str]] = [[]]
    for line in gzip.decompress(path.read_bytes()).decode().split("\n"):
        cells = line.split("\t")
        if cells[0].isdigit():
            sentences[-1].append(cells[1])
        elif not line and sentences[-1]:
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


@pytest.fixture(scope="session")
def sets(public_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, Dataset, Dataset]]:
    """For each set of the reference: unit, training and test data."""
    folder = tmp_path_factory.mktemp("reference")
    lines = yuanqu(public_data)
    parts = [[line for i, line in enumerate(lines) if (i % 10 == 0) == test] for test in (False, True)]
    train, test = (dataset(folder / f"yuanqu-{i}", {"text": part}) for i, part in enumerate(parts))
    found = {"yuanqu-characters": ("character", train, test)}
    both = [treebank(public_data / "ud-english-ewt" / f"{split}.conllu.gz") for split in ("train", "dev")]
    tables = [{"text": [" ".join(tokens) for tokens in part], "tokens": part} for part in both]
    train, test = (dataset(folder / f"ewt-{i}", table) for i, table in enumerate(tables))
    return found | {"ewt-words": ("word", train, test)}


@pytest.mark.parametrize("order", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ["yuanqu-characters", "ewt-words"])
def test_equals_lmplz(
    name: str, order: int, sets: dict[str, tuple[str, Dataset, Dataset]], public_data: Path, tmp_path: Path
) -> None:
    expected = json.loads((public_data / "lmplz-reference.json").read_text())["sets"][name]["orders"][str(order)]
    unit, train, test = sets[name]
    meta = Ngram(order=order, unit=unit).fit(train, None, tmp_path / "model", silent)  # type: ignore[arg-type]
    assert meta["training"]["ngrams"] == list(expected["ngrams"].values())
    for found, published in zip(meta["training"]["discounts"], expected["discounts"].values()):
        assert found == pytest.approx(published, rel=1e-5)  # published with six digits
    measured = perplexity(Ngram.load(tmp_path / "model", "numpy"), test)
    assert measured.value == pytest.approx(expected["perplexity_including_oovs"], rel=5e-7)
    assert measured.value_known == pytest.approx(expected["perplexity_excluding_oovs"], rel=5e-7)
    assert (measured.unknown.sum(), measured.tokens.sum()) == (expected["oovs"], expected["tokens"])


def test_kenlm_reads_the_arpa_file_and_gives_the_same_scores(
    sets: dict[str, tuple[str, Dataset, Dataset]], tmp_path: Path
) -> None:
    kenlm = pytest.importorskip("kenlm")
    unit, train, test = sets["ewt-words"]
    ours = fitted(tmp_path / "model", train, order=4, unit=unit)
    theirs = Ngram.load(tmp_path / "model", "kenlm")
    assert np.abs(ours.perplexity(test).log10 - theirs.perplexity(test).log10).max() < 1e-4  # a sum of up to 75 float32
    reader = kenlm.Model(str(tmp_path / "model" / "model.arpa"))
    scored = ours.score([tasks.TextInput("the quick brown xyzzy is here .")], tasks.ScoreOptions())[0]
    expected = list(reader.full_scores("the quick brown xyzzy is here ."))
    assert [token.log10_probability for token in scored.tokens] == pytest.approx([e[0] for e in expected], abs=1e-5)  # type: ignore[union-attr]
    assert scored.unknown_tokens == sum(e[2] for e in expected) == 1


sentences = st.lists(st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=6), min_size=2, max_size=12)


@settings(max_examples=40, deadline=None)
@given(sentences, st.integers(2, 6), st.sampled_from([(), (1, 1, 2), (1, 2, 2, 3)]))
def test_equals_the_textbook_and_sums_to_one(
    tmp_path_factory: pytest.TempPathFactory, text: list[list[str]], order: int, min_count: tuple[int, ...]
) -> None:
    folder = tmp_path_factory.mktemp("small")
    data = dataset(folder / "data", {"text": [" ".join(sentence) for sentence in text]})
    least = min_count[:order]
    model = fitted(folder / "model", data, order=order, unit="token", min_count=least, discount_fallback=FALLBACK)
    full = [*(least or (1,))] + [(least or (1,))[-1]] * (order - len(least or (1,)))
    book = Textbook(text, order, FALLBACK, full)
    words = model.lookup.tables.words
    histories = {tuple(["<s>", *sentence][: end + 1]) for sentence in text for end in range(len(sentence) + 1)}
    for history in [*histories, ("<s>", "unheard", "a"), ("d", "d", "d", "d", "d", "d")]:
        ids = np.array([words.index(word) if word in words else 0 for word in history])
        p = model.lookup.next(model.lookup.read(ids))
        assert p.sum() == pytest.approx(1, abs=1e-6)
        known = tuple(word if word in words else "<unk>" for word in history)
        expected = {word: book.probability(word, known) for word in words if word != "<s>"}
        assert {word: p[words.index(word)] for word in expected} == pytest.approx(expected, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(sentences, st.integers(2, 5))
def test_scores_of_numpy_and_kenlm_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, text: list[list[str]], order: int
) -> None:
    pytest.importorskip("kenlm")
    folder = tmp_path_factory.mktemp("small")
    lines = [" ".join(sentence) for sentence in text]
    model = fitted(folder / "model", dataset(folder / "data", {"text": lines}), order=order, discount_fallback=FALLBACK)
    asked = [tasks.TextInput(line) for line in [*lines, "a b z c d a", "", "d c b a\n\nb"]]
    other = Ngram.load(folder / "model", "kenlm")
    for ours, theirs in zip(model.score(asked, tasks.ScoreOptions()), other.score(asked, tasks.ScoreOptions())):
        assert ours.log10_probability == pytest.approx(theirs.log10_probability, abs=1e-5)
        assert ours.unknown_tokens == theirs.unknown_tokens


def test_forgetting_equals_training_without(public_data: Path, tmp_path: Path) -> None:
    lines = [line for line in yuanqu(public_data) if line][:6000]
    parts = [lines[:2000], lines[2000:4000], lines[4000:]]
    rare = "鑫"  # in one document only: its word has to go, and all word ids after it
    parts[1][7] += rare
    ids = [[f"{i}-{j}" for j in range(len(part))] for i, part in enumerate(parts)]
    whole = dataset(tmp_path / "whole", *({"doc_id": i, "text": p} for i, p in zip(ids, parts)))
    gone = {"1-7", *(f"1-{j}" for j in range(100, 400)), "2-0"}
    left = [
        {"doc_id": [d for d in i if d not in gone], "text": [t for d, t in zip(i, p) if d not in gone]}
        for i, p in zip(ids, parts)
    ]
    without = dataset(tmp_path / "without", *left)
    options = Ngram(order=4, unit="character")
    options.fit(whole, None, tmp_path / "model", silent)
    options.fit(without, None, tmp_path / "fresh", silent)
    forget(tmp_path / "model", without, tmp_path / "forgot")
    assert files(tmp_path / "forgot") == files(tmp_path / "fresh")
    shared = {f.key for f in whole.fragments()} & {f.key for f in without.fragments()}
    assert len(shared) == 1  # counted once, taken over by the other
    assert not any(rare.encode() in content for content in files(tmp_path / "forgot").values())


def test_forgetting_takes_over_counts_only_of_the_same_content(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", {"text": ["a b c", "b c d"]})
    Ngram(order=2, discount_fallback=FALLBACK).fit(data, None, tmp_path / "model", silent)
    key = next(data.fragments()).key
    marked = tmp_path / "model" / "counts" / f"{key}-2.npy"
    np.save(marked, np.load(marked) * [[1], [1], [2]])  # counts doubled, to know them by
    forget(tmp_path / "model", data, tmp_path / "same")
    taken = np.load(tmp_path / "same" / "counts" / f"{key}-2.npy")
    assert taken.tolist() == np.load(marked).tolist()
    changed = dataset(tmp_path / "changed", {"text": ["a b c"]})
    forget(tmp_path / "model", changed, tmp_path / "other")
    assert {path.name.split("-all")[0] + "-all" for path in (tmp_path / "other" / "counts").iterdir()} == {
        next(changed.fragments()).key
    }
    description = (tmp_path / "model" / "ngram.json").read_text()
    (tmp_path / "model" / "ngram.json").write_text(description.replace('"word-1 rjieba-', '"word-1 rjieba-older-'))
    forget(tmp_path / "model", data, tmp_path / "recut")  # cut by another version: counted anew
    assert np.load(tmp_path / "recut" / "counts" / f"{key}-2.npy")[2].sum() == taken[2].sum() / 2


def test_a_small_memory_spills_and_changes_nothing(public_data: Path, tmp_path: Path) -> None:
    lines = yuanqu(public_data)[:9000]
    data = dataset(tmp_path / "data", {"text": lines[:7000]}, {"text": lines[7000:]})
    for name, memory in (("large", 1024), ("small", 1)):
        Ngram(order=5, unit="character", memory_mb=memory).fit(data, None, tmp_path / name, silent)
    large, small = files(tmp_path / "large"), files(tmp_path / "small")
    assert large.pop("ngram.json") != small.pop("ngram.json")  # settings differ
    assert large == small


def test_fragments_of_equal_content_count_twice(tmp_path: Path) -> None:
    rows = {"doc_id": ["1", "2"], "text": ["a b c", "b c d"]}
    twice = fitted(tmp_path / "twice", dataset(tmp_path / "two", rows, rows), order=3, discount_fallback=FALLBACK)
    once = dataset(tmp_path / "one", {"text": rows["text"] * 2})
    assert (
        twice.lookup.tables.log10[2].tolist()
        == fitted(tmp_path / "once", once, order=3, discount_fallback=FALLBACK).lookup.tables.log10[2].tolist()
    )


def test_a_vocabulary_limit_turns_rare_words_into_unk(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", {"text": ["a b a c", "a b b d", "e a b"]})
    model = fitted(tmp_path / "limited", data, order=3, vocabulary=2, discount_fallback=FALLBACK)
    other = dataset(tmp_path / "other", {"text": ["a b a x", "a b b x", "x a b"]})
    book = Textbook([line.replace("x", "<unk>").split() for line in other.table(["text"])["text"].to_pylist()], 3, FALLBACK)
    assert model.lookup.tables.words == ["<unk>", "<s>", "</s>", "a", "b"]
    p = model.lookup.next(model.lookup.read(np.array([1, 3, 4])))
    expected = {word: book.probability(word, ["<s>", "a", "b"]) for word in ("<unk>", "</s>", "a", "b")}
    assert p.tolist() == pytest.approx([expected["<unk>"], 0, *(expected[word] for word in ("</s>", "a", "b"))], rel=1e-5)


def test_pruning_shrinks_the_model_and_keeps_sums(sets: dict[str, tuple[str, Dataset, Dataset]], tmp_path: Path) -> None:
    unit, train, test = sets["ewt-words"]
    sizes, perplexities = [], []
    for threshold in (0.0, 1e-7, 1e-6):
        model = fitted(tmp_path / str(threshold), train, order=3, unit=unit, prune=threshold)
        sizes.append([len(keys) for keys in model.lookup.tables.keys])
        perplexities.append(model.perplexity(test).value)
        for history in (["the"], ["in", "the"], ["one", "of", "the"], ["xyzzy"]):
            ids = np.array([model.lookup.tables.words.index(w) if w != "xyzzy" else 0 for w in history])
            assert model.lookup.next(model.lookup.read(ids)).sum() == pytest.approx(1, abs=1e-5)
    assert sizes[0][2] > sizes[1][2] > sizes[2][2]
    assert perplexities[0] < perplexities[1] * 1.01
    assert perplexities[2] < perplexities[0] * 1.15
    pytest.importorskip("kenlm")
    theirs = Ngram.load(tmp_path / "1e-06", "kenlm").perplexity(test).value  # a model that others can read, too
    assert theirs == pytest.approx(perplexities[2], rel=1e-6)


def test_tokens_are_used_where_a_row_has_them(tmp_path: Path) -> None:
    rows = {"text": ["do n't a b", "x-y z", "n't b"], "tokens": [["do", "n't", "a b"], ["x", "-", "y", "z"], None]}
    table = {key: pa.array(value) for key, value in rows.items()}
    model = fitted(tmp_path / "model", dataset(tmp_path / "data", table), order=2, discount_fallback=FALLBACK)
    assert model.lookup.tables.words[3:] == ["-", "a_b", "b", "do", "n't", "x", "y", "z"]
    measured = model.perplexity(Dataset(tmp_path / "data"))
    assert measured.tokens.tolist() == [4, 5, 3]
    assert measured.unknown.tolist() == [0, 0, 0]


def test_text_of_the_special_words_is_unknown(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", {"text": ["a <s> b </s> <unk> c", "a b\0c"]})
    model = fitted(tmp_path / "model", data, order=2, unit="token", discount_fallback=FALLBACK)
    assert model.lookup.tables.words == ["<unk>", "<s>", "</s>", "a", "b", "c"]
    assert Ngram.load(tmp_path / "model").score([tasks.TextInput("a b")], tasks.ScoreOptions())[0].unknown_tokens == 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"order": 7}, "order is 7"),
        ({"order": 1}, "order is 1"),
        ({"min_count": [1, 3, 2]}, "do not fall"),
        ({"min_count": [2]}, "set vocabulary"),
        ({"order": 2, "min_count": [1, 1, 1]}, "at most 2"),
        ({"vocabulary": -1}, "vocabulary is -1"),
        ({"prune": -1.0}, "prune is -1"),
        ({"discount_fallback": [0.5, 3.0, 1.0]}, "discount_fallback"),
        ({"memory_mb": 0}, "memory_mb is 0"),
        ({"unit": "letter"}, "unit"),
        ({"orders": 3}, "did you mean 'order'"),
    ],
)
def test_settings_that_cannot_be_are_refused(spec: dict[str, object], message: str) -> None:
    with pytest.raises(BadSpec, match=f"(?i){message}"):
        FAMILIES.build({"ngram": spec}, path="model")


def test_nothing_to_train_on(tmp_path: Path) -> None:
    for number, rows in enumerate(([], ["", " \n "])):
        data = dataset(tmp_path / str(number), {"text": pa.array(rows, pa.string())})  # type: ignore[dict-item]
        with pytest.raises(BadInput, match="nothing to train on: column 'text' holds no word"):
            Ngram().fit(data, None, tmp_path / f"model-{number}", silent)
    (tmp_path / "none").mkdir()
    with pytest.raises(BadInput, match="in 0 fragments"):
        Ngram().fit(Dataset(tmp_path / "none"), None, tmp_path / "model", silent)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no column 'body'.*Columns: doc_id, text"):
        Ngram(column="body").fit(dataset(tmp_path / "data", {"text": ["a"]}), None, tmp_path / "model", silent)


def test_too_few_counts_say_which_order_and_the_way_out(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", {"text": ["a b c", "a b d"]})
    with pytest.raises(TooFewCounts, match=r"order 1: no 1-gram has the adjusted count 3.*discount_fallback: \[0.5"):
        Ngram(order=3).fit(data, None, tmp_path / "model", silent)
    meta = Ngram(order=6, discount_fallback=FALLBACK).fit(data, data, tmp_path / "other", silent)  # no 6-gram at all
    assert meta["training"]["ngrams"] == [7, 6, 5, 4, 2, 0]
    assert meta["training"]["dev_perplexity"] < 4
    assert Ngram.load(tmp_path / "other").perplexity(["a b c"]).value < 4


def test_discounts_come_from_the_numbers_of_counts(tmp_path: Path) -> None:
    """By hand: with n1…n4 = 4, 2, 1, 1: Y = 4/8, D1 = 1-2·½·2/4, D2 = 2-3·½·1/2, D3 = 3-4·½·1/1."""
    assert discount(np.array([1, 1, 1, 1, 2, 2, 3, 4, 9]), 2, None) == pytest.approx((0.5, 1.25, 1.0))
    with pytest.raises(TooFewCounts, match="outside 0 to 2"):
        discount(np.array([1, 1, 1, 1, 2, 3, 3, 3]), 2, None)


def test_perplexity_of_texts_and_progress(tmp_path: Path) -> None:
    seen: list[tuple[float, float | None, str]] = []
    data = dataset(tmp_path / "data", {"text": ["a b c\n\na", "b c d"]})
    Ngram(order=2, discount_fallback=FALLBACK).fit(data, None, tmp_path / "model", lambda *told: seen.append(told))
    assert seen == [(0, 2, "fragments"), (1, 2, "fragments"), (2, 2, "fragments")]
    model = Ngram.load(tmp_path / "model")
    measured = perplexity(model, ["a b", "", "z\na"])
    assert (measured.tokens.tolist(), measured.unknown.tolist()) == ([3, 0, 4], [0, 0, 1])
    assert measured.value_known < measured.value
    model.close()
