"""Training: a model version with all that serving needs, or an error and nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.compute.evaluation_fakes import ACTOR, keep, row

from fourfold.compute.families import FAMILIES
from fourfold.compute.train import languages, train
from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Version
from fourfold.data.dataset import Dataset
from fourfold.storage.ledger import Ledger

ROWS = [
    row("doc_1", "train", "we brew coffee", "PRON VERB NOUN"),
    row("doc_2", "train", "we brew", "PRON VERB"),
    row("doc_3", "dev", "we brew", "PRON NOUN"),
]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setitem(FAMILIES.lines, "majority", "tests.compute.evaluation_fakes:Majority")  # type: ignore[arg-type]
    ledger = Ledger.open(tmp_path / "home")
    yield ledger
    ledger.close()


@pytest.fixture
def dataset(ledger: Ledger) -> Version:
    return keep(ledger, "tags", ROWS, licence="CC-BY-4.0")


def test_a_trained_model_says_all_about_itself(ledger: Ledger, dataset: Version):
    seen = []
    model = train(ledger, ACTOR, "words", dataset, "majority", progress=lambda *p: seen.append(p))
    assert (model.ref, model.kind) == ("words@1", "model")
    spec = {"family": {"majority": {"tokens": "tokens", "tags": "upos", "least": 1, "fails": False}}, "split": "train"}
    assert {**model.meta} == {
        "family": "majority", "tasks": ["tag"], "labels": ["NOUN", "PRON", "VERB"], "spec": spec, "dataset": "tags@1",
        "dev": None,
        "rows": {"train": 2, "dev": 1}, "languages": ["en"], "licence": "CC-BY-4.0", "training": {"words": 3, "held_out": True},
        "recipe": ledger.recipe("train", spec, [dataset]), "calibration": {"word": {}},
        "terms": [{"dataset": "tags@1", "licence": "CC-BY-4.0"}],
    }  # fmt: skip
    run = ledger.find_run(model.run_id)
    assert (run.verb, run.spec, run.inputs, run.metrics["words"]) == ("train", spec, ("tags@1",), 3)
    assert ledger.inputs(model) == [dataset]
    assert (1, 1, "passes") in seen


def test_the_card_has_a_head_that_hugging_face_reads(ledger: Ledger, dataset: Version):
    model = train(ledger, ACTOR, "words", dataset, {"majority": {"least": 2}})
    text = (ledger.materialise(model) / "README.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head) == {
        "language": ["en"], "license": "CC-BY-4.0", "datasets": ["tags@1"], "metrics": ["words"],
        "tags": ["fourfold", "majority", "tag"],
    }  # fmt: skip
    assert "Trained on 2 rows of tags@1 (split `train`), 1 of tags@1 held out" in body
    assert "least: 2" in body
    assert model.meta["recipe"] in body
    assert "`NOUN`" in body


def test_equal_recipes_make_equal_models(ledger: Ledger, dataset: Version):
    one, two = (train(ledger, ACTOR, "words", dataset, "majority") for _ in range(2))
    assert (one.number, two.number) == (1, 2)
    assert one.digest == two.digest
    assert one.meta["recipe"] == two.meta["recipe"]
    assert train(ledger, ACTOR, "words", dataset, {"majority": {"least": 2}}).meta["recipe"] != one.meta["recipe"]


def test_a_dev_dataset_is_held_out_whole(ledger: Ledger, dataset: Version):
    dev = keep(ledger, "more-tags", [row(f"doc_{i}", "train", "brew", "VERB") for i in range(5)])
    model = train(ledger, ACTOR, "words", dataset, "majority", dev=dev)
    assert (model.meta["dev"], model.meta["rows"]) == ("more-tags@1", {"train": 2, "dev": 5})
    assert ledger.find_run(model.run_id).inputs == ("tags@1", "more-tags@1")


def test_training_on_all_holds_nothing_out(ledger: Ledger, dataset: Version):
    model = train(ledger, ACTOR, "words", dataset, "majority", split="all")
    assert model.meta["rows"] == {"train": 3, "dev": 0}
    assert model.meta["training"]["held_out"] is False


def test_an_empty_train_split_is_refused_with_its_figures(ledger: Ledger):
    dataset = keep(ledger, "tags", ROWS[2:])
    with pytest.raises(BadInput, match=r"tags@1 has no row in split 'train' \(rows: train 0, dev 1, test 0\)\. Choose"):
        train(ledger, ACTOR, "words", dataset, "majority")
    nothing_was_left(ledger)


def test_a_missing_column_is_refused_by_name(ledger: Ledger, dataset: Version):
    with pytest.raises(BadInput, match=r"no column 'upo'\. Did you mean 'upos'\? Name another column"):
        train(ledger, ACTOR, "words", dataset, {"majority": {"tags": "upo"}})
    nothing_was_left(ledger)


def test_a_half_made_folder_becomes_no_version(ledger: Ledger, dataset: Version):
    with pytest.raises(BadInput, match="It fails"):
        train(ledger, ACTOR, "words", dataset, {"majority": {"fails": True}})
    nothing_was_left(ledger)


def nothing_was_left(ledger: Ledger) -> None:
    assert ledger.versions(kind="model") == []
    (run,) = ledger.runs(verb="train")
    assert run.state == "failed"
    assert run.error
    assert list((ledger.home / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("spec", "split", "message"),
    [
        ("majorty", "train", r"train: there is no family 'majorty'\. Did you mean 'majority'\?"),
        ({"majority": {"lest": 2}}, "train", r"train\.majority has no setting 'lest'\. Did you mean 'least'\?"),
        ({"majority": {"least": "two"}}, "train", r"train\.majority\.least: Expected `int`"),
        ("majority", "trian", r"train\.split is 'trian'\. Did you mean 'train'\? Known: train, dev, test, all\."),
    ],
)
def test_a_wrong_setting_is_named_with_its_path(ledger: Ledger, dataset: Version, spec: object, split: str, message: str):
    with pytest.raises(BadSpec, match=message):
        train(ledger, ACTOR, "words", dataset, spec, split=split)


def test_a_model_is_no_dataset(ledger: Ledger, dataset: Version):
    model = train(ledger, ACTOR, "words", dataset, "majority")
    with pytest.raises(BadInput, match="words@1 is a model; train needs a dataset"):
        train(ledger, ACTOR, "other", model, "majority")


def test_a_language_of_few_texts_is_not_the_datasets(ledger: Ledger):
    texts = [row(f"doc_{i}", "train", "好 的" if i < 30 else "good" if i < 98 else "はい", "X") for i in range(100)]
    version = keep(ledger, "texts", texts)
    assert languages(Dataset(ledger.materialise(version))) == ["en", "zh"]
