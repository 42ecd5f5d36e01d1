"""Following documents: each change by its step, where that can be told; drops; archives; ids that change on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fourfold.application.following import diff, open_chain
from fourfold.core.errors import Erased, NotFound
from fourfold.core.nouns import Actor, Version
from fourfold.data.clean import clean
from fourfold.data.collect import collect
from fourfold.data.deidentify import deidentify
from fourfold.data.extract import extract
from fourfold.data.follow import Way
from fourfold.storage.erase import erase
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
LINES = ["Ｈello　there, write to li@example.com", "hm", "same text here", "same text here", "nothing to change in this"]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def notes(ledger: Ledger, tmp_path: Path) -> Version:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("\n".join(LINES), encoding="utf-8")
    formats = {"txt": {"unit": "line"}}
    return collect(ledger, ACTOR, "notes", {"files": {"path": str(tmp_path / "notes"), "formats": formats}})


def ways(ledger: Ledger, version: Version) -> dict[int, Way]:
    """Line of the raw file → the way of its document."""
    chain, note = open_chain(ledger, version)
    assert note == ""
    followed = [chain.follow(doc_id) for doc_id in chain.documents()]
    return {way.raw.line: way for way in followed if way.raw and way.raw.line}


def test_each_change_is_told_by_its_step(ledger, notes):
    cleaned = clean(ledger, ACTOR, "clean", notes, ["normalise", {"drop_short": {"min_words": 2}}, "drop_duplicates"])
    final = deidentify(ledger, ACTOR, "final", cleaned)
    found = ways(ledger, final)
    assert sorted(found) == [1, 2, 3, 4, 5]
    first = found[1]
    assert [stage.dataset for stage in first.stages] == ["notes@1", "clean@1", "final@1"]
    ((step,), (masked,)) = (first.stages[1].changes, first.stages[2].changes)
    assert (step.step, step.column, step.before, step.after) == (
        "normalise",
        "text",
        LINES[0],
        "Hello there, write to li@example.com",
    )
    assert (masked.step, masked.before, masked.after) == ("deidentify", step.after, "Hello there, write to <EMAIL_ADDRESS>")
    assert first.raw is not None
    assert (first.raw.path, first.raw.verified, first.raw.excerpt.splitlines()[0]) == ("a.txt", True, LINES[0])
    short, twin = found[2].stages[-1], found[4].stages[-1]
    assert short.drop is not None and (short.dataset, short.drop.step, short.drop.reason) == ("clean@1", "drop_short", "short")
    assert twin.drop is not None and (twin.drop.step, twin.row) == ("drop_duplicates", None)
    assert found[3].doc_id in twin.drop.detail
    assert [stage.changes for stage in found[5].stages] == [(), (), ()]


def test_steps_that_took_the_whole_dataset_are_told_together(ledger, tmp_path):
    (tmp_path / "site").mkdir()
    for n in range(6):
        (tmp_path / "site" / f"{n}.txt").write_text(
            f"Menu of the site\nＰage number {n} has words of its own\n", encoding="utf-8"
        )
    site = collect(ledger, ACTOR, "site", {"files": {"path": str(tmp_path / "site")}})
    cleaned = clean(ledger, ACTOR, "clean", site, ["drop_boilerplate", "normalise"])
    chain, _ = open_chain(ledger, cleaned)
    way = chain.follow(chain.documents()[0])
    (change,) = way.stages[1].changes
    assert change.step == "drop_boilerplate, normalise"
    assert (change.before, change.after) == (
        "Menu of the site\nＰage number 0 has words of its own",
        "Page number 0 has words of its own",
    )


def test_columns_that_come_go_and_are_filled_are_told(ledger, tmp_path):
    lines = ["text,stars,origin", "Ｇood,5,web", "bad,,shop", "fair,3,"]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = collect(ledger, ACTOR, "data", {"files": {"path": str(tmp_path / "a.csv")}})
    fields = {"rating": {"column": "stars", "type": "int"}, "channel": "origin"}
    fill = {"fill": {"columns": {"origin": {"constant": {"value": "unknown"}}}}}
    cleaned = clean(ledger, ACTOR, "clean", data, ["normalise", fill, {"convert": {"fields": fields}}])
    chain, _ = open_chain(ledger, cleaned)
    told = {}
    for doc_id in chain.documents():
        before, after = chain.follow(doc_id).stages
        told[before.row["text"]] = [(c.step, c.column, c.before, c.after) for c in after.changes]
        made = dict(before.row)
        for change in after.changes:
            assert made.get(change.column) == change.before
            made[change.column] = change.after
        assert {name: value for name, value in made.items() if value is not None} == {
            name: value for name, value in after.row.items() if value is not None
        }
    assert told["Ｇood"][0] == ("normalise", "text", "Ｇood", "Good")
    assert ("convert", "channel", None, "web") in told["Ｇood"]
    assert any(column == "channel" and after == "unknown" for _, column, _, after in told["fair"])


def test_what_is_read_anew_is_followed_by_its_place(ledger, tmp_path):
    page = "<html><body><nav>Menu</nav><article><p>A page about kettles, long enough to be text.</p></article></body></html>"
    (tmp_path / "page.html").write_text(page)
    site = collect(
        ledger, ACTOR, "site", {"files": {"path": str(tmp_path / "page.html"), "formats": {"html": {"extract": "whole"}}}}
    )
    anew = extract(ledger, ACTOR, "anew", site, mode="fast")
    chain, _ = open_chain(ledger, anew)
    way = chain.follow(next(iter(open_chain(ledger, anew)[0].documents())))
    assert [stage.dataset for stage in way.stages] == ["site@1", "anew@1"]
    assert way.stages[0].doc_id != way.stages[1].doc_id
    assert {change.column for change in way.stages[1].changes} >= {"text"}


def test_a_raw_file_leads_to_what_came_of_it(ledger, notes, tmp_path):
    cleaned = clean(ledger, ACTOR, "clean", notes, [{"drop_short": {"min_words": 2}}])
    chain, _ = open_chain(ledger, cleaned)
    raw, found, lost = chain.of_file("a.txt")
    assert (raw.dataset, raw.path, raw.verified) == ("notes@1", "a.txt", True)
    assert [way.raw and way.raw.line for way in found] == [1, 2, 3, 4, 5]
    assert [way.stages[-1].row is None for way in found] == [False, True, False, False, False]
    assert lost == []
    assert chain.of_file(raw.digest)[1] == found
    with pytest.raises(NotFound, match=r"Did you mean 'a\.txt'"):
        chain.of_file("b.txt")
    with pytest.raises(NotFound, match="know no document"):
        chain.follow("doc_none")


def test_lines_that_became_no_document_are_told(ledger, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n{"text": \n')
    data = collect(ledger, ACTOR, "data", {"files": {"path": str(tmp_path / "a.jsonl")}})
    (lost,) = open_chain(ledger, data)[0].of_file("a.jsonl")[2]
    assert (lost.step, lost.line) == ("collect", 2)
    assert lost.reason


def test_the_way_begins_where_the_data_is_still_there(ledger, notes):
    cleaned = clean(ledger, ACTOR, "clean", notes, ["normalise"])
    erase(ledger, ["notes@1"], actor="key_1", reason="request 1")
    chain, note = open_chain(ledger, cleaned)
    assert "erased" in note
    way = chain.follow(chain.documents()[0])
    assert (way.raw, [stage.dataset for stage in way.stages]) == (None, ["clean@1"])
    with pytest.raises(Erased):
        open_chain(ledger, notes)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("客服态度", "客服的态度", [("=", "客服"), ("+", "的"), ("=", "态度")]),
        ("call 123 now", "call <PHONE> now", [("=", "call "), ("-", "123"), ("+", "<PHONE>"), ("=", " now")]),
        (3, None, [("-", "3")]),
        ("", "a", [("+", "a")]),
    ],
)
def test_diffs(before, after, expected):
    assert diff(before, after) == expected


def test_a_diff_of_a_long_text_is_of_lines():
    before = "\n".join(str(n) for n in range(20_000))
    found = diff(before, before.replace("\n777\n", "\nx\n"))
    assert [part for part in found if part[0] != "="] == [("-", "777\n"), ("+", "x\n")]
    assert "".join(text for sign, text in found if sign != "+") == before
