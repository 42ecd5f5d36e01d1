"""What was left out can be looked at: documents in the dataset before, lines in the raw file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fourfold.core.errors import BadInput
from fourfold.core.nouns import Actor
from fourfold.data.clean import clean
from fourfold.data.collect import collect
from fourfold.data.drops import drops
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
ALL: dict[str, Any] = {"reason": None, "step": None, "limit": 10, "offset": 0}


def test_drops(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,n\none good line,1\na bad one,2,3\nanother good line,4\none good line,5\nhi,6\n")
    ledger = Ledger.open(tmp_path / "home")
    raw = collect(ledger, ACTOR, "raw", {"files": {"path": str(tmp_path / "a.csv")}})
    page = drops("raw@1", ledger.materialise(raw), [], **ALL)
    assert [(one.source, one.line, one.reason, one.text) for one in page.rows] == [
        ("a.csv", 3, "wrong_length", "a bad one,2,3")
    ]
    version = clean(ledger, ACTOR, "clean", raw, [{"drop_short": {"min_words": 2}}, "drop_duplicates"])
    folders = ledger.materialise(version), [ledger.materialise(raw)]
    page = drops("clean@1", *folders, **ALL)
    assert {(one.line, one.step, one.reason, one.text) for one in page.rows} == {
        (6, "drop_short", "short", "hi"),
        (5, "drop_duplicates", "duplicate", "one good line"),
    }
    assert page.by_reason == {"duplicate": 1, "short": 1}
    duplicate = next(one for one in page.rows if one.reason == "duplicate")
    assert duplicate.detail, "the document that stays"
    assert drops("c", *folders, **ALL | {"reason": "duplicate"}).rows == [duplicate]
    assert drops("c", *folders, **ALL | {"step": "drop_duplicates"}).rows == [duplicate]
    one, other = (drops("c", *folders, **ALL | {"limit": 1, "offset": n}).rows for n in (0, 1))
    assert one + other == page.rows
    with pytest.raises(BadInput, match="Did you mean 'duplicate'"):
        drops("c", *folders, **ALL | {"reason": "duplicates"})
    ledger.close()
