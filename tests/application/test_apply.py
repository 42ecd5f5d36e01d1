"""Apply: what is true stays, what changed is made again with all that follows, a mistake stops it before anything is made."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fourfold.application.apply import apply
from fourfold.application.own_key import COMMAND_LINE
from fourfold.application.platform import Platform
from fourfold.application.results import Applied
from fourfold.core.config import Settings
from fourfold.core.errors import BadInput, BadSpec, Conflict, FourfoldError, GateRefused, NotFound, NotPermitted
from fourfold.storage.ledger import Ledger

PEOPLE = ("Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal")
THINGS = ("kettle", "lamp", "scale", "grinder", "purifier")
PROJECT: dict[str, Any] = {
    "project": "small",
    "datasets": {
        "notes": {"collect": {"files": {"path": "notes", "formats": {"txt": {"unit": "line"}}}}},
        "clean-notes": {"from": "notes", "clean": ["normalise", {"drop_short": {"min_words": 2}}]},
        "safe-notes": {"from": "clean-notes", "deidentify": {"actions": {"EMAIL_ADDRESS": "replace"}}},
        "tagged": {"collect": {"files": {"path": "tags"}}},
    },
    "models": {
        "lines": {
            "train": {"ngram": {"order": 2, "discount_fallback": [0.5, 1.0, 1.5]}},
            "on": "safe-notes",
            "evaluate": {"split": "all", "final": True},
            "promote": {"to": "production", "gates": ["perplexity <= 1000"]},
        },
        "tagger": {"train": {"crf": {"max_iterations": 5}}, "on": "tagged"},
    },
    "deployments": {
        "lines": {"version": "lines@production"},
        "both": {"routes": [{"version": "lines", "weight": 3}, {"version": "lines@production"}], "limits": {"max_inputs": 2}},
    },
}
VERBS = ["collect", "clean", "deidentify", "collect", "train", "evaluate", "promote", "train", "deploy", "deploy"]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A small company: forty notes and forty tagged sentences."""
    sentences = [f"{person} sold the {thing} again" for person in PEOPLE for thing in THINGS]
    (tmp_path / "notes").mkdir()
    (tmp_path / "tags").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("\n".join([*sentences, "short", "write to ann@shop.example today"]))
    tags = ("PROPN", "VERB", "DET", "NOUN", "ADV")
    rows = ["\n".join(f"{i}\t{w}\t_\t{t}" + "\t_" * 6 for i, (w, t) in enumerate(zip(s.split(), tags), 1)) for s in sentences]
    (tmp_path / "tags" / "a.conllu").write_text("\n\n".join(rows) + "\n\n")
    return tmp_path


@pytest.fixture
def platform(tmp_path) -> Iterator[Platform]:
    ledger = Ledger.open(tmp_path / "home")
    yield Platform(ledger, COMMAND_LINE, Settings())
    ledger.close()


def changed(path: str, value: Any) -> dict[str, Any]:
    """The project with one setting changed; `path` is dotted."""
    project = copy.deepcopy(PROJECT)
    here: Any = project
    *way, last = path.split(".")
    for key in way:
        here = here[key]
    here[last] = value
    return project


def states(applied: Applied) -> dict[str, str]:
    return {stage.stage: stage.state for stage in applied.stages}


def done(applied: Applied) -> list[str]:
    return [stage.stage for stage in applied.stages if stage.state != "unchanged"]


def nothing_was_made(ledger: Ledger) -> bool:
    return not ledger.runs() and not ledger.versions() and not ledger.deployments()


def test_a_second_apply_changes_nothing(platform, folder):
    first = apply(platform, PROJECT, folder, dry_run=False)
    assert [stage.verb for stage in first.stages] == VERBS
    assert set(states(first).values()) == {"done"}
    results = {stage.stage: stage.result for stage in first.stages}
    assert results["models.lines.promote"] == "lines@production"
    assert results["models.lines.evaluate"] == "lines-report@1"
    both = platform.deployment("both").deployment
    assert [(route.version, route.weight) for route in both.routes] == [("lines@1", 0.75), ("lines@1", 0.25)]
    runs = len(platform.ledger.runs(limit=100))

    second = apply(platform, PROJECT, folder, dry_run=False)
    assert done(second) == []
    assert {stage.stage: stage.result for stage in second.stages} == results
    assert len(platform.ledger.runs(limit=100)) == runs


def test_a_dry_run_makes_nothing(platform, folder):
    planned = apply(platform, PROJECT, folder, dry_run=True)
    assert set(states(planned).values()) == {"planned"}
    assert planned.stages[2].inputs == ["clean-notes"]
    assert nothing_was_made(platform.ledger)


def test_only_what_follows_from_a_change_is_made_again(platform, folder):
    apply(platform, PROJECT, folder, dry_run=False)
    expected = [
        "datasets.clean-notes", "datasets.safe-notes", "models.lines.train", "models.lines.evaluate", "models.lines.promote",
        "deployments.lines", "deployments.both",
    ]  # fmt: skip
    project = changed("datasets.clean-notes.clean", ["normalise", {"drop_short": {"min_words": 5}}])
    assert done(apply(platform, project, folder, dry_run=True)) == expected
    again = apply(platform, project, folder, dry_run=False)
    assert done(again) == expected
    assert platform.ledger.aliases()["lines@production"] == "lines@2"
    # Back again: everything but the alias and the deployments is there already.
    back = apply(platform, PROJECT, folder, dry_run=False)
    assert done(back) == ["models.lines.promote", "deployments.lines", "deployments.both"]
    assert platform.ledger.aliases()["lines@production"] == "lines@1"


def test_new_content_of_a_source_is_collected(platform, folder):
    apply(platform, PROJECT, folder, dry_run=False)
    with (folder / "notes" / "a.txt").open("a") as file:
        file.write("\nDan bought the lamp back")
    again = states(apply(platform, PROJECT, folder, dry_run=True))
    assert (again["datasets.notes"], again["datasets.tagged"], again["models.tagger.train"]) == (
        "planned",
        "unchanged",
        "unchanged",
    )


def test_a_file_that_no_format_reads_changes_nothing(platform, folder):
    (folder / "notes" / "logo.png").write_bytes(b"\x89PNG")
    apply(platform, PROJECT, folder, dry_run=False)
    assert done(apply(platform, PROJECT, folder, dry_run=True)) == []


def test_a_stricter_gate_is_judged_although_the_alias_stands(platform, folder):
    apply(platform, PROJECT, folder, dry_run=False)
    with pytest.raises(GateRefused, match=r"models\.lines\.promote: lines@1 is not promoted"):
        apply(platform, changed("models.lines.promote.gates", ["perplexity <= 1.01"]), folder, dry_run=False)
    looser = apply(platform, changed("models.lines.promote.gates", ["perplexity <= 999"]), folder, dry_run=False)
    assert done(looser) == ["models.lines.promote"]


def test_a_refused_gate_keeps_what_came_before(platform, folder):
    project = changed("models.lines.promote.gates", ["perplexity <= 1.01"])
    with pytest.raises(GateRefused):
        apply(platform, project, folder, dry_run=False)
    assert platform.ledger.aliases() == {}
    assert done(apply(platform, PROJECT, folder, dry_run=True))[0] == "models.lines.promote"


WRONG = [
    ("deployments.both.limits", {"max_input": 2}, BadSpec, "deployments.both: limits has no setting 'max_input'"),
    ("deployments.lines.version", "lines@prod", NotFound, "deployments.lines: There is no version 'lines@prod'"),
    ("models.tagger.on", "taged", NotFound, "models.tagger.train: There is no version 'taged'. Did you mean 'tagged'?"),
    ("models.tagger.on", "lines", BadInput, "models.tagger.train: lines@0 is a model; train needs a dataset."),
    ("deployments.lines.version", "tagged", BadSpec, "deployments.lines: tagged@0 is a dataset"),
    ("datasets.tagged.collect.files.path", "tag", BadInput, "datasets.tagged: There is no file or folder"),
    ("datasets.safe-notes.deidentify.actions", {"EMAIL_ADDRESS": "eat"}, BadSpec, "datasets.safe-notes: deidentify.actions"),
    (
        "datasets.notes",
        {"from": "safe-notes", "clean": ["normalise"]},
        BadSpec,
        "made from itself: notes → safe-notes → clean-notes",
    ),
]


@pytest.mark.parametrize(("path", "value", "kind", "said"), WRONG, ids=[path for path, *_ in WRONG])
def test_a_mistake_anywhere_stops_all_before_anything_is_made(platform, folder, path, value, kind, said):
    with pytest.raises(FourfoldError) as raised:
        apply(platform, changed(path, value), folder, dry_run=False)
    assert isinstance(raised.value, kind)
    assert said in str(raised.value)
    assert nothing_was_made(platform.ledger)


def test_a_retired_deployment_stops_all(platform, folder):
    apply(platform, PROJECT, folder, dry_run=False)
    platform.retire("lines")
    with pytest.raises(Conflict, match=r"deployments\.lines: Deployment lines is retired"):
        apply(platform, changed("datasets.clean-notes.clean", ["normalise"]), folder, dry_run=False)
    assert platform.ledger.version("clean-notes").number == 1


def test_each_act_takes_its_own_permission(platform, folder):
    """A developer may plan all of it and do none of what takes an approver; with nothing of that left to do, apply is fine."""
    developer = Platform(platform.ledger, dataclasses.replace(COMMAND_LINE, role="developer"), Settings())
    assert len(apply(developer, PROJECT, folder, dry_run=True).stages) == len(VERBS)
    with pytest.raises(NotPermitted, match=r"models\.lines\.promote: .* takes admin or approver"):
        apply(developer, PROJECT, folder, dry_run=False)
    assert nothing_was_made(platform.ledger)
    apply(platform, PROJECT, folder, dry_run=False)
    assert done(apply(developer, PROJECT, folder, dry_run=False)) == []
    again = apply(developer, changed("models.tagger.train", {"crf": {"max_iterations": 6}}), folder, dry_run=False)
    assert done(again) == ["models.tagger.train"]


def test_an_interrupted_apply_goes_on_where_it_was(platform, folder):
    class Impatient:
        def begins(self, stage, /) -> None:
            if stage.verb == "deidentify":
                raise KeyboardInterrupt

        def ends(self, outcome, /) -> None: ...

    with pytest.raises(KeyboardInterrupt):
        apply(platform, PROJECT, folder, dry_run=False, watch=Impatient())
    assert done(apply(platform, PROJECT, folder, dry_run=False))[0] == "datasets.safe-notes"
    assert platform.ledger.version("notes").number == 1
