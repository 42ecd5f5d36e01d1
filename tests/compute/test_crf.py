"""The family crf: fit, load, tag and rank, on public treebanks and on small data made here."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import UNSET

from fourfold.compute.crf.model import BATCH_TOKENS, CrfModel
from fourfold.compute.families import FAMILIES
from fourfold.compute.families.crf import Crf
from fourfold.compute.tasks import RankInput, RankOptions, TagInput, TagOptions
from fourfold.core.build import build_part, settings_of
from fourfold.core.errors import BadInput, BadSpec, Corrupt
from fourfold.core.progress import silent
from fourfold.data.dataset import Dataset
from fourfold.data.formats import Record
from fourfold.data.formats.conll import Conll
from fourfold.data.formats.conllu import Conllu

QUICK: dict[str, Any] = {"max_iterations": 25}
TAG, WORD, SENTENCE = TagOptions(), RankOptions("word"), RankOptions("sentence")
Row = dict[str, Any]


def dataset(folder: Path, rows: Sequence[Row]) -> Dataset:
    folder.mkdir(parents=True)
    table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
    pq.write_table(
        table.append_column("doc_id", pa.array([f"doc_{i}" for i in range(len(rows))])), folder / "fragment-0.parquet"
    )
    return Dataset(folder)


def rows_of(path: Path, first: int, last: int, format: Any = Conllu) -> list[Row]:
    records = [r for r in format()(gzip.decompress(path.read_bytes())) if isinstance(r, Record)][first:last]
    return [{"text": r.text, **{k: v for k, v in r.fields.items() if isinstance(v, list)}} for r in records]


def fit(folder: Path, train: Sequence[Row], dev: Sequence[Row] | None = None, **given: Any) -> tuple[CrfModel, dict[str, Any]]:
    (folder / "model").mkdir(parents=True)
    family = build_part(Crf, QUICK | given, path="train.crf")
    held_out = dataset(folder / "dev", dev) if dev else None
    meta = family.fit(dataset(folder / "train", train), held_out, folder / "model", silent)
    return Crf.load(folder / "model"), meta


@pytest.fixture(scope="module")
def bilingual(public_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[CrfModel, dict[str, Any], Path]:
    chinese, english = (public_data / f"ud-{name}/dev.conllu.gz" for name in ("chinese-gsdsimp", "english-ewt"))
    folder = tmp_path_factory.mktemp("bilingual")
    train = rows_of(chinese, 0, 150) + rows_of(english, 0, 300)
    model, meta = fit(folder, train, rows_of(chinese, 150, 190) + rows_of(english, 300, 360))
    return model, meta, folder / "model"


def test_one_version_serves_both_languages(bilingual: tuple[CrfModel, dict[str, Any], Path]) -> None:
    model, meta, folder = bilingual
    assert meta["tasks"] == ["tag", "rank"]
    assert meta["units"] == ["word", "character"]
    assert {"NOUN", "VERB", "PUNCT"} < set(meta["labels"])
    assert json.loads((folder / "labels.json").read_bytes()) == meta["labels"]
    text = "It doesn't work.\n今天天气怎么样"
    (tagged,) = model.tag([TagInput(text, "a")], TAG)
    assert tagged.id == "a"
    assert tagged.spans is UNSET
    assert [t.text for t in tagged.tokens][:7] == ["It", "does", "n't", "work", ".", "今天", "天气"]
    assert "".join(t.text for t in tagged.tokens[5:]) == "今天天气怎么样"
    for token in tagged.tokens:
        assert text[token.start : token.end] == token.text
        assert token.label in meta["labels"]
        assert 0 < token.score < 1
    assert tagged.tokens[4].label == "PUNCT"


def test_the_calibration_is_in_the_version(bilingual: tuple[CrfModel, dict[str, Any], Path]) -> None:
    model, meta, folder = bilingual
    lines = json.loads((folder / "calibration.json").read_bytes())
    assert set(lines) == {"word", "character", "given"}
    for line in lines.values():
        assert line["ece_after"] <= line["ece_before"]
        assert line["fitted_at"].startswith("20")
        assert line["rows"] >= 200
    assert meta["calibration"].keys() == lines.keys()
    assert model.tag([TagInput("今天 Hello")], TAG)[0].calibrated


def test_given_tokens_are_kept(bilingual: tuple[CrfModel, dict[str, Any], Path]) -> None:
    model, _, _ = bilingual
    for text, tokens in (
        ("今天天气怎么样", ["今天", "天气怎", "么样"]),
        ("Hello there , Bo.", ["Hello", "there", ",", "Bo", "."]),
    ):
        (tagged,) = model.tag([TagInput(text, tokens=tokens)], TAG)
        assert [t.text for t in tagged.tokens] == tokens
    with pytest.raises(BadInput, match=r"inputs\[1\].tokens\[0\] does not occur"):
        model.tag([TagInput("a"), TagInput("今天", tokens=["明天"])], TAG)
    assert model.tag([TagInput("今天", tokens=[])], TAG)[0].tokens == []


def test_blank_text_has_no_tokens(bilingual: tuple[CrfModel, dict[str, Any], Path]) -> None:
    model, _, _ = bilingual
    assert [x.tokens for x in model.tag([TagInput(""), TagInput(" \n "), TagInput("\u3000")], TAG)] == [[], [], []]
    assert model.tag([], TAG) == []
    assert model.rank([RankInput("")], WORD)[0].ranking == []


def test_answers_do_not_depend_on_what_else_is_asked(bilingual: tuple[CrfModel, dict[str, Any], Path]) -> None:
    model, _, _ = bilingual
    texts = ["今天天气好。Fine.\nGood morning, 早上好", "Yes", "我们去北京。", "OK " * 300]
    together = model.tag([TagInput(text) for text in texts], TAG)
    for text, tagged in zip(texts, together):
        (alone,) = model.tag([TagInput(text)], TAG)
        assert [(t.start, t.end, t.label) for t in alone.tokens] == [(t.start, t.end, t.label) for t in tagged.tokens]
        assert [t.score for t in alone.tokens] == pytest.approx([t.score for t in tagged.tokens])


def test_long_text_is_cut_and_whole(bilingual: tuple[CrfModel, dict[str, Any], Path]) -> None:
    model, _, _ = bilingual
    text = "今天 " + "word " * (BATCH_TOKENS + 10) + "end\n" + "天气" * 700
    (tagged,) = model.tag([TagInput(text)], TAG)
    assert "".join(t.text for t in tagged.tokens) == "".join(text.split())
    assert all(a.end <= b.start for a, b in zip(tagged.tokens, tagged.tokens[1:]))


def test_rank_of_words_and_sentences(bilingual: tuple[CrfModel, dict[str, Any], Path]) -> None:
    model, _, _ = bilingual
    text = "今天天气怎么样？我们明天去北京。"
    (tagged,) = model.tag([TagInput(text)], TAG)
    (ranked,) = model.rank([RankInput(text, "a")], WORD)
    assert ranked.id == "a"
    assert sorted((r.start, r.end) for r in ranked.ranking) == [(t.start, t.end) for t in tagged.tokens]
    total = sum(t.score for t in tagged.tokens)
    assert {r.start: r.score for r in ranked.ranking} == pytest.approx({t.start: t.score / total for t in tagged.tokens})
    (by_sentence,) = model.rank([RankInput(text)], SENTENCE)
    assert {r.text for r in by_sentence.ranking} == {"今天天气怎么样？", "我们明天去北京。"}
    for ranking in (ranked.ranking, by_sentence.ranking):
        scores = [r.score for r in ranking]
        assert sum(scores) == pytest.approx(1)
        assert scores == sorted(scores, reverse=True)
    with pytest.raises(BadInput, match=r"inputs\[0\]: a CRF ranks the segments of a text"):
        model.rank([RankInput(query="x", text="y")], WORD)


def test_training_twice_gives_the_same_files(tmp_path: Path) -> None:
    rows = [{"text": "a b", "tokens": ["a", "b"], "upos": ["X", "Y"]}, {"text": "b", "tokens": ["b"], "upos": ["Y"]}] * 3
    for name in ("one", "two"):
        fit(tmp_path / name, rows)
    files = sorted(path.name for path in (tmp_path / "one/model").iterdir())
    assert files == ["calibration.json", "labels.json", "template.json", "word.crfsuite"]
    for name in files:
        assert (tmp_path / "one/model" / name).read_bytes() == (tmp_path / "two/model" / name).read_bytes()


def test_a_word_seen_once_is_not_in_the_version(tmp_path: Path) -> None:
    rows = [
        {"text": "Zarathustra sleeps here", "tokens": ["Zarathustra", "sleeps", "here"], "upos": ["N", "V", "A"]},
        *[{"text": "Bo sleeps here", "tokens": ["Bo", "sleeps", "here"], "upos": ["N", "V", "A"]}] * 3,
    ]
    for count, there in ((2, False), (1, True)):
        fit(tmp_path / str(count), rows, min_word_count=count)
        data = b"".join(path.read_bytes() for path in (tmp_path / str(count) / "model").iterdir()).lower()
        assert (b"zarathustra" in data) is there
        assert b"sleeps" in data


def test_without_dev_nothing_is_calibrated(tmp_path: Path) -> None:
    rows = [{"text": "a b", "tokens": ["a", "b"], "upos": ["X", "Y"]}] * 3
    model, meta = fit(tmp_path, rows, [{"text": "", "tokens": [], "upos": []}])
    (tagged,) = model.tag([TagInput("a b a")], TAG)
    assert not tagged.calibrated
    assert [t.label for t in tagged.tokens][:2] == ["X", "Y"]
    assert meta["calibration"] == {}


def test_bio_tags_give_spans(public_data: Path, tmp_path: Path) -> None:
    path = public_data / "wnut17/wnut17train.conll.gz"
    model, meta = fit(tmp_path, rows_of(path, 0, 500, Conll), rows_of(path, 500, 600, Conll), tags="tags", max_iterations=40)
    assert "B-person" in meta["labels"]
    inputs = [TagInput(row["text"], tokens=row["tokens"]) for row in rows_of(path, 0, 200, Conll)]
    count = 0
    for given, tagged in zip(inputs, model.tag(inputs, TAG)):
        assert isinstance(tagged.spans, list)
        starts = {token.start for token in tagged.tokens if token.label != "O"}
        for span in tagged.spans:
            assert given.text[span.start : span.end] == span.text
            assert span.start in starts
            assert "-" not in span.label[:2]
            assert 0 < span.score <= 1
        inside = [t for t in tagged.tokens if any(s.start <= t.start and t.end <= s.end for s in tagged.spans)]
        assert [t.label != "O" for t in tagged.tokens] == [t in inside for t in tagged.tokens]
        count += len(tagged.spans)
    assert count > 20


def test_bio_tags_of_unsegmented_chinese_give_words_and_spans(tmp_path: Path) -> None:
    pairs = [("我去北京大学", ["我", "去", "北京", "大学"]), ("他来上海大学了", ["他", "来", "上海", "大学", "了"])]
    rows = [
        {"text": text, "tokens": tokens, "entity": ["O", "O", "B-ORG", "I-ORG", *["O"] * (len(tokens) - 4)]}
        for text, tokens in pairs
    ] * 4
    model, meta = fit(tmp_path, rows, tags="entity")
    assert meta["units"] == ["character"]
    (tagged,) = model.tag([TagInput("他去上海大学了")], TAG)
    assert [(t.text, t.label) for t in tagged.tokens] == [
        ("他", "O"), ("去", "O"), ("上海", "B-ORG"), ("大学", "I-ORG"), ("了", "O"),
    ]  # fmt: skip
    assert isinstance(tagged.spans, list)
    assert [(s.text, s.start, s.end, s.label) for s in tagged.spans] == [("上海大学", 2, 6, "ORG")]
    assert tagged.spans[0].score <= min(t.score for t in tagged.tokens[2:4]) + 1e-9  # one event holds the other


def test_columns_of_conllu(public_data: Path, tmp_path: Path) -> None:
    rows = rows_of(public_data / "ud-english-ewt/dev.conllu.gz", 0, 60)
    model, meta = fit(tmp_path, rows, template=("lower", "column(xpos)[-1..1]", "column(head)", "column(deprel)+column(xpos)"))
    assert meta["columns"] == ["xpos", "head", "deprel"]
    columns = {name: rows[0][name] for name in meta["columns"]}
    (tagged,) = model.tag([TagInput(rows[0]["text"], tokens=rows[0]["tokens"], columns=columns)], TAG)
    assert [t.label for t in tagged.tokens] == rows[0]["upos"]
    with pytest.raises(BadInput, match=r"inputs\[0\]: this version's template reads the columns xpos, head, deprel"):
        model.tag([TagInput("Hello")], TAG)
    with pytest.raises(BadInput, match=r"columns.head has 1 values for"):
        model.tag([TagInput(rows[0]["text"], tokens=rows[0]["tokens"], columns=columns | {"head": ["1"]})], TAG)


def test_word_lists(tmp_path: Path) -> None:
    cities, others = ["Paris", "Rome", "Oslo", "Bern"], ["milk", "rain", "sand", "wool"]
    rows = [{"text": w, "tokens": [w], "upos": ["CITY" if w in cities else "NOUN"]} for w in cities[:3] + others[:3]] * 2
    model, _ = fit(tmp_path, rows, template=("list(cities)", "length"), word_lists={"cities": cities})
    assert [t.label for t in model.tag([TagInput("bern wool")], TAG)[0].tokens] == ["CITY", "NOUN"]


def test_rows_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    good = {"text": "今天好", "tokens": ["今天", "好"], "upos": ["N", "A"]}
    rows = [
        *[good] * 3,
        good | {"upos": ["N"]},
        good | {"tokens": None},
        good | {"tokens": ["明天", "好"]},
        good | {"tokens": ["今天", ""]},
        good | {"tokens": [], "upos": []},
    ]
    _, meta = fit(tmp_path, rows)
    assert meta["training"]["sentences"] == 3
    assert meta["training"]["skipped"] == {
        "lists of different lengths": 1,
        "no list in tokens": 2,
        "tokens are not in the text": 1,
        "a blank item in tokens": 1,
    }


def test_data_that_cannot_be_trained_on(tmp_path: Path) -> None:
    row = {"text": "a", "tokens": ["a"], "upos": ["X"]}
    with pytest.raises(BadInput, match="no column 'tag'"):
        fit(tmp_path / "a", [row], tags="tag")
    with pytest.raises(BadInput, match=r"No row can be used .* 1 × lists of different lengths"):
        fit(tmp_path / "b", [row | {"upos": ["X", "Y"]}])


def test_words_of_one_character_alone(tmp_path: Path) -> None:
    model, _ = fit(tmp_path, [{"text": "好天", "tokens": ["好", "天"], "upos": ["A", "N"]}] * 4)
    assert [t.text for t in model.tag([TagInput("好天", tokens=["好天"])], TAG)[0].tokens] == ["好天"]
    assert [t.label for t in model.tag([TagInput("好天")], TAG)[0].tokens] == ["A", "N"]


def test_chinese_words_of_single_characters(tmp_path: Path) -> None:
    rows = [{"text": "我 去 北 京", "tokens": ["我", "去", "北", "京"], "tags": ["O", "O", "B-LOC", "I-LOC"]}] * 4
    model, meta = fit(tmp_path, rows, tags="tags")
    assert meta["units"] == ["word"]
    (tagged,) = model.tag([TagInput("我去北京")], TAG)
    assert [t.text for t in tagged.tokens] == ["我", "去", "北", "京"]
    assert isinstance(tagged.spans, list)
    assert [(s.text, s.label) for s in tagged.spans] == [("北京", "LOC")]


def test_settings_are_checked_with_their_path() -> None:
    for spec, message in (
        ({"crf": {"templat": []}}, r"train\.crf has no setting 'templat'. Did you mean 'template'"),
        ({"crf": {"template": ["lower", "sufix(3)"]}}, r"train\.crf: template\[1\]: there is no feature 'sufix'"),
        ({"crf": {"l2": -1.0}}, r"train\.crf: l2 is at least 0"),
        ({"crf": {"max_iterations": 0}}, r"train\.crf: max_iterations is at least 1"),
        ({"crf": {"unit": "line"}}, r"train\.crf\.unit: "),
        ({"crf": {"template": ["list(x)"]}}, "no word list 'x'"),
    ):
        with pytest.raises(BadSpec, match=message):
            FAMILIES.build(spec, path="train")
    part = FAMILIES.build("crf", path="train")
    assert build_part(Crf, settings_of(part), path="again") == part


def test_a_version_that_lacks_a_file_says_so(tmp_path: Path) -> None:
    fit(tmp_path, [{"text": "a b", "tokens": ["a", "b"], "upos": ["X", "Y"]}] * 3)
    (tmp_path / "model" / "word.crfsuite").unlink()
    with pytest.raises(Corrupt, match="not whole"):
        Crf.load(tmp_path / "model")
