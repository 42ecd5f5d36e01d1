"""The project file: what YAML becomes, and that each mistake is told with its path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fourfold.application import project
from fourfold.application.project import Project, check_project, read_project, schema
from fourfold.core.errors import BadInput, BadSpec

SHIPPED = Path(project.__file__).with_name("project.schema.json")


def read(folder: Path, text: str) -> dict[str, Any]:
    (folder / "fourfold.yaml").write_text(text, encoding="utf-8")
    return read_project(folder)


def test_yaml_reads_as_it_looks(tmp_path):
    text = (
        "on: no\nday: 2026-01-01\nhalf: 1e-3\nat: 12:30\ncode: 010\nnone: ~\nempty:\nbase: &b {a: 1}\nmore: {<<: *b, b: true}"
    )
    assert read(tmp_path, text) == {
        "on": "no", "day": "2026-01-01", "half": 0.001, "at": "12:30", "code": 10, "none": None, "empty": None,
        "base": {"a": 1}, "more": {"a": 1, "b": True},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("project: [", "fourfold.yaml:1:11 is no YAML"),
        ("a: 1\nb: 2\na: 3", "fourfold.yaml:3:1 is no YAML: the key 'a' stands here twice"),
        ("\tproject: x", "fourfold.yaml:1:1 is no YAML"),
        ("x: !!python/object/apply:os.system [ls]", "is no YAML: could not determine a constructor"),
        ("- a", "holds a list where a mapping is expected"),
        ("", "holds empty where a mapping is expected"),
        ("a: &a [*a]", "is no project file"),
    ],
)
def test_what_is_no_project_file(tmp_path, text, said):
    with pytest.raises(BadSpec) as raised:
        read(tmp_path, text)
    assert said in str(raised.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_project(tmp_path / "other.yaml")


COLLECT = {"collect": {"files": {"path": "tickets"}}}
MODEL = {"train": "ngram", "on": "tickets"}
MISTAKES = [
    ({"project": "x", "dataset": {}}, "The project file has no setting 'dataset'. Did you mean 'datasets'?"),
    ({"datasets": {}}, "The project file has no 'project', which it needs."),
    ({"project": 3}, "project: Expected `str`, got `int`."),
    ({"datasets": {"a": []}}, "datasets.a is a list where a mapping is expected."),
    ({"datasets": [1]}, "datasets is a list where a mapping of names is expected."),
    ({"datasets": {"a/b": COLLECT}}, "datasets.a/b: 'a/b' is no name."),
    ({"datasets": {"a": {"from": "b"}}}, "datasets.a needs one of collect, clean, deidentify; it has none."),
    ({"datasets": {"a": {**COLLECT, "clean": ["normalise"]}}}, "it has collect and clean."),
    ({"datasets": {"a": {**COLLECT, "from": "b"}}}, "datasets.a has 'from', but collect takes no dataset."),
    ({"datasets": {"a": {"clean": ["normalise"]}}}, "datasets.a has no 'from'"),
    (
        {"datasets": {"a": {**COLLECT, "max_bad_line": 1}}},
        "datasets.a has no setting 'max_bad_line'. Did you mean 'max_bad_lines'?",
    ),
    (
        {"datasets": {"a": {"from": "b", "clean": ["normalise"], "max_bad_lines": 1}}},
        "datasets.a.max_bad_lines goes with collect only",
    ),
    (
        {"datasets": {"a": {"collect": {"file": {"path": "x"}}}}},
        "datasets.a.collect: there is no source 'file'. Did you mean 'files'?",
    ),
    (
        {"datasets": {"a": {"from": "b", "clean": ["normalise", {"drop_short": {"min_word": 2}}]}}},
        "datasets.a.clean[1].drop_short has no setting 'min_word'. Did you mean 'min_words'?",
    ),
    (
        {"datasets": {"a": {"from": "b", "deidentify": {"detectors": ["pattern"]}}}},
        "datasets.a.deidentify.detectors[0]: there is no detector 'pattern'. Did you mean 'patterns'?",
    ),
    ({"models": {"m": {"on": "a"}}}, "models.m has no 'train', which it needs."),
    ({"models": {"m": {**MODEL, "train": {"ngram": {"order": 9}}}}}, "models.m.train.ngram: order is 9; give 2 to 6"),
    ({"models": {"m": {**MODEL, "evaluate": {"split": "devel"}}}}, "models.m.evaluate.split is 'devel'. Did you mean 'dev'?"),
    ({"models": {"m": {**MODEL, "evaluate": "dev"}}}, "models.m.evaluate is a text where a mapping is expected."),
    ({"models": {"m": {**MODEL, "promote": {"to": "2"}}}}, "models.m.promote.to: '2' cannot be an alias"),
    ({"models": {"m": {**MODEL, "promote": {"to": "live", "gates": ["ece"]}}}}, "models.m.promote.gates[0]: 'ece' is no gate."),
    ({"datasets": {"m": COLLECT}, "models": {"m": MODEL}}, "models.m: datasets.m has the same name."),
    ({"deployments": {"d": {}}}, "deployments.d: give either a version or routes."),
    ({"deployments": {"d": {"routes": [{"version": "m", "weigh": 1}]}}}, "deployments.d.routes[0] has no setting 'weigh'."),
]


@pytest.mark.parametrize(("document", "said"), MISTAKES, ids=[said[:40] for _, said in MISTAKES])
def test_mistakes_are_told_with_their_path(document, said):
    with pytest.raises(BadSpec) as raised:
        check_project({"project": "x", **document} if "dataset" not in document and said.find("'project'") < 0 else document)
    assert said in str(raised.value)


def test_the_example_is_a_project(company):
    read = check_project(read_project(company))
    assert isinstance(read, Project)
    assert list(read.deployments) == ["words", "entities", "phrases", "suggest"]


def test_the_shipped_schema_is_the_present_one():
    assert json.loads(SHIPPED.read_text()) == schema(), "run make docs"


def test_the_schema_accepts_the_example_and_refuses_what_we_refuse(company):
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    assert list(validator.iter_errors(read_project(company))) == []
    wrong = {"project": "x", "datasets": {"a": {"from": "b", "clean": [{"drop_short": {"min_word": 2}}]}}}
    assert not validator.is_valid(wrong)
    assert not validator.is_valid({"project": "x", "deployments": {"d": {"version": "m", "limits": {"record": True}}}})
