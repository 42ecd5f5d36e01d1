"""Gates that say by how much, deployments that keep their history, rollbacks that walk back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold.application import lifecycle
from fourfold.application.lifecycle import Gate
from fourfold.core.errors import BadInput, BadSpec, Conflict, GateRefused, NotFound
from fourfold.core.nouns import Actor, Deployment, Route, Version
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")


@pytest.fixture
def ledger(tmp_path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


def publish(ledger: Ledger, name: str, kind: str = "model", inputs: tuple[Version, ...] = (), **meta: object) -> Version:
    with ledger.run("make", kind=kind, name=name, spec=meta, inputs=inputs, actor=OWNER) as run:  # type: ignore[arg-type]
        (run.folder / "f.txt").write_text(repr(meta))
        run.meta.update(meta)
    return run.version


def deploy(ledger: Ledger, name: str, *refs: str, expected_revision: int | None = None) -> Deployment:
    routes = [Route(ref) for ref in refs]
    return lifecycle.deploy(ledger, OWNER, name, routes, limits={}, reason="test", expected_revision=expected_revision)


def served(deployment: Deployment) -> list[str]:
    return [route.version for route in deployment.routes]


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("accuracy >= 0.9", Gate("accuracy", ">=", 0.9)),
        ("macro_f1>.88", Gate("macro_f1", ">", 0.88)),
        ("perplexity <= 1e2", Gate("perplexity", "<=", 100.0)),
        ("ece < -0.5", Gate("ece", "<", -0.5)),
    ],
)
def test_gates_are_read(text, gate):
    assert Gate.parse(text) == gate


@pytest.mark.parametrize("text", ["", "accuracy", "accuracy = 0.9", "0.9 <= accuracy", "accuracy >= high"])
def test_what_is_no_gate(text):
    with pytest.raises(BadSpec, match="is no gate"):
        Gate.parse(text)


def test_a_version_passes_its_gate_or_is_told_by_how_much_it_failed(ledger):
    model = publish(ledger, "intents", family="crf")
    publish(ledger, "intents-report", "report", (model,), split="dev", metrics={"macro_f1": {"value": 0.861}, "ece": 0.01})
    lifecycle.promote(ledger, OWNER, model, "production", gates=["macro_f1 >= 0.86", "ece < 0.02"], report=None, reason="")
    assert ledger.aliases() == {"intents@production": "intents@1"}
    with pytest.raises(GateRefused) as caught:
        lifecycle.promote(ledger, OWNER, model, "staging", gates=["macro_f1 >= 0.88"], report=None, reason="")
    assert "intents@1 is not promoted: dev macro_f1 0.861 < gate 0.880, off by 0.019 (report intents-report@1)." in str(
        caught.value
    )
    assert ledger.aliases() == {"intents@production": "intents@1"}
    assert ledger.runs(verb="promote")[0].version is None


def test_a_gate_needs_a_report_that_knows_its_figure(ledger):
    model = publish(ledger, "intents", family="crf")
    with pytest.raises(NotFound, match="has no report"):
        lifecycle.promote(ledger, OWNER, model, "production", gates=["accuracy >= 0"], report=None, reason="")
    publish(ledger, "intents-report", "report", (model,), metrics={"accuracy": 0.9})
    with pytest.raises(BadSpec, match="Did you mean 'accuracy'"):
        lifecycle.promote(ledger, OWNER, model, "production", gates=["acuracy >= 0"], report=None, reason="")


def test_a_report_on_training_data_judges_nothing_and_another_models_report_neither(ledger):
    model, other = publish(ledger, "intents"), publish(ledger, "others")
    publish(ledger, "intents-report", "report", (model,), split="train", metrics={"accuracy": 1.0})
    with pytest.raises(NotFound, match="no report on dev or test"):
        lifecycle.promote(ledger, OWNER, model, "production", gates=["accuracy >= 0.8"], report=None, reason="")
    foreign = publish(ledger, "others-report", "report", (other,), split="dev", metrics={"accuracy": 1.0})
    with pytest.raises(BadInput, match="others-report@1 is no report of intents@1"):
        lifecycle.promote(ledger, OWNER, model, "production", gates=["accuracy >= 0.8"], report=foreign, reason="")


def test_a_named_report_judges(ledger):
    model = publish(ledger, "intents")
    good = publish(ledger, "intents-report", "report", (model,), split="test", metrics={"accuracy": 0.9})
    publish(ledger, "intents-report", "report", (model,), split="dev", metrics={"accuracy": 0.1})
    lifecycle.promote(ledger, OWNER, model, "production", gates=["accuracy >= 0.8"], report=good, reason="")
    assert ledger.runs(verb="promote")[0].inputs == ("intents@1", "intents-report@1")


def test_the_newest_report_judges(ledger):
    model = publish(ledger, "intents")
    for value in (0.9, 0.5):
        publish(ledger, "intents-report", "report", (model,), metrics={"accuracy": value})
    with pytest.raises(GateRefused, match="intents-report@2"):
        lifecycle.promote(ledger, OWNER, model, "production", gates=["accuracy >= 0.8"], report=None, reason="")


def test_a_deployment_keeps_what_it_served(ledger):
    publish(ledger, "words", n=1)
    publish(ledger, "words", n=2)
    deploy(ledger, "tagger", "words@1")
    deploy(ledger, "tagger", "words")  # the newest
    assert served(ledger.deployment("tagger")) == ["words@2"]
    assert [(served(d), d.revision) for d, _ in ledger.deployment_history("tagger")] == [(["words@1"], 1), (["words@2"], 2)]
    assert ledger.runs(verb="deploy")[0].inputs == ("words@2",)


def test_two_rollbacks_go_two_changes_back(ledger):
    for number in (1, 2, 3):
        publish(ledger, "words", n=number)
        deploy(ledger, "tagger", f"words@{number}")
    assert served(lifecycle.rollback(ledger, OWNER, "tagger", reason="")) == ["words@2"]
    assert served(lifecycle.rollback(ledger, OWNER, "tagger", reason="")) == ["words@1"]
    with pytest.raises(Conflict, match="never served anything else"):
        lifecycle.rollback(ledger, OWNER, "tagger", reason="")
    assert served(deploy(ledger, "tagger", "words@3")) == ["words@3"]
    assert served(lifecycle.rollback(ledger, OWNER, "tagger", reason="")) == ["words@1"]


def test_retired_is_for_good(ledger):
    publish(ledger, "words")
    deploy(ledger, "tagger", "words")
    retired = lifecycle.retire(ledger, OWNER, "tagger", reason="old")
    assert retired.state == "retired"
    assert lifecycle.retire(ledger, OWNER, "tagger", reason="again") == retired
    for act in (lambda: deploy(ledger, "tagger", "words"), lambda: lifecycle.rollback(ledger, OWNER, "tagger", reason="")):
        with pytest.raises(Conflict, match="never serves again"):
            act()


def test_a_change_on_an_old_revision_is_refused(ledger):
    publish(ledger, "words")
    deploy(ledger, "tagger", "words", expected_revision=0)
    with pytest.raises(Conflict, match="at revision 1, not 0"):
        deploy(ledger, "tagger", "words", expected_revision=0)
    assert ledger.runs(verb="deploy")[0].state == "failed"
    assert ledger.deployment("tagger").revision == 1


def test_only_models_are_deployed_and_names_suggest(ledger):
    publish(ledger, "tickets", "dataset")
    with pytest.raises(BadSpec, match="tickets@1 is a dataset"):
        deploy(ledger, "tagger", "tickets")
    with pytest.raises(NotFound):
        deploy(ledger, "tagger", "words")
    publish(ledger, "words")
    deploy(ledger, "tagger", "words")
    with pytest.raises(NotFound, match="Did you mean 'tagger'"):
        ledger.deployment("taggr")


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=5).filter(lambda w: sum(w) > 0))
def test_weights_are_shares(tmp_path_factory, weights):
    ledger = Ledger.open(tmp_path_factory.getbasetemp() / "weights")
    names = [f"m{i}" for i in range(len(weights))]
    for name in names:
        if not ledger.versions(name=name):
            publish(ledger, name)
    routes = [Route(name, weight) for name, weight in zip(names, weights)]
    made = lifecycle.deploy(ledger, OWNER, "shared", routes, limits={}, reason="")
    assert sum(r.weight for r in made.routes) == pytest.approx(1.0)
    ledger.close()


@pytest.mark.parametrize("weights", [[0.0], [-1.0, 2.0]])
def test_weights_that_make_no_sense(ledger, weights):
    publish(ledger, "words")
    with pytest.raises(BadSpec, match="weights must be"):
        lifecycle.deploy(ledger, OWNER, "d", [Route("words", w) for w in weights], limits={}, reason="")
