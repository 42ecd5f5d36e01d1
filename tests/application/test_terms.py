"""Licence and purpose: declared when data is collected, kept by all that is made of it, enforced by train and deploy."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.application.small_company import write_company

from fourfold.application.terms import check_use
from fourfold.client import Client
from fourfold.core.config import Settings
from fourfold.core.errors import BadSpec, NotPermitted
from fourfold.core.nouns import Version


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    write_company(tmp_path / "company")
    with Client(home=tmp_path / "home") as opened:
        yield opened


def model(licence: str | None = None, purpose: str | None = None) -> Version:
    term = {"dataset": "texts@3"}
    term |= {key: value for key, value in (("licence", licence), ("purpose", purpose)) if value is not None}
    return Version("", "m", 1, "model", "", "", 0.0, 0, {"terms": [term]} if len(term) > 1 else {})


def test_what_is_for_evaluation_only_is_not_trained_on_however_it_was_changed(client: Client, tmp_path: Path) -> None:
    source = {"files": {"path": str(tmp_path / "company" / "tickets.csv")}}
    made = client.collect("tickets", source, licence="CC-BY-4.0", purpose="evaluation only")
    assert (made.meta["licence"], made.meta["purpose"]) == ("CC-BY-4.0", "evaluation only")
    client.clean("clean", "tickets", ["normalise"])
    last = client.deidentify("safe", "clean")
    assert last.meta["terms"] == [{"dataset": "tickets@1", "licence": "CC-BY-4.0", "purpose": "evaluation only"}]
    with pytest.raises(NotPermitted, match=r"safe@1 may not be trained on: the dataset tickets@1 .*'evaluation only'"):
        client.train("words", "safe", {"ngram": {"order": 2}})
    allowed = client.collect("open", source, licence="CC-BY-4.0")
    with pytest.raises(NotPermitted, match="safe@1 may not be trained on"):
        client.train("words", allowed.ref, {"ngram": {"order": 2}}, dev="safe")


def test_research_only_is_trained_on_and_not_served(client: Client, tmp_path: Path) -> None:
    source = {"files": {"path": str(tmp_path / "company" / "tickets.csv")}}
    client.collect("tickets", source, licence="CC-BY-SA-4.0", purpose="research only")
    trained = client.train("words", "tickets", {"ngram": {"order": 2, "discount_fallback": [0.5, 1.0, 1.5]}})
    assert trained.meta["licence"] == "CC-BY-SA-4.0"
    with pytest.raises(NotPermitted, match=r"words@1 may not be served: the dataset tickets@1"):
        client.deploy("words", version="words")
    assert client.deployments() == []


def test_an_unknown_purpose_binds_nobody_and_is_refused(client: Client, tmp_path: Path) -> None:
    source = {"files": {"path": str(tmp_path / "company" / "tickets.csv")}}
    with pytest.raises(BadSpec, match="Did you mean 'evaluation only'"):
        client.collect("tickets", source, purpose="evaluaton only")  # type: ignore[arg-type]
    assert client.versions().data == []


def test_the_policy_of_the_home(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with pytest.raises(NotPermitted, match=r"texts@3 is CC-BY-NC-4.0 \(non-commercial\)"):
        check_use([model("CC-BY-NC-4.0")], "deploy", Settings())
    check_use([model("CC-BY-NC-4.0")], "deploy", Settings(licence_non_commercial="allow"))
    assert not caplog.records
    check_use([model("CC-BY-SA-4.0")], "train", Settings())
    assert "licence of texts@3 is CC-BY-SA-4.0 (share-alike)" in caplog.text
    check_use([model()], "train", Settings())
    with pytest.raises(NotPermitted, match="licence_undeclared"):
        check_use([model()], "train", Settings(licence_undeclared="refuse"))
    with pytest.raises(NotPermitted, match="undeclared"):
        check_use([model(purpose="any")], "train", Settings(licence_undeclared="refuse"))
