"""Pseudonyms that can be turned back: the same in all versions of a name, sealed, by a key kept apart, and audited."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from fourfold.core.errors import BadInput, BadSpec, Corrupt, NotFound
from fourfold.core.nouns import Actor, Version
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.data.deidentify import deidentify
from fourfold.data.pseudonyms import SEALED, Original, key_path, make_key, read_map, reidentify, write_map
from fourfold.storage import schema
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")


@pytest.fixture
def ledger(tmp_path: Path):
    ledger = Ledger.open(tmp_path / "home")
    yield ledger
    ledger.close()


def made(ledger: Ledger, folder: Path, text: str, name: str = "safe") -> Version:
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_text(text, encoding="utf-8")
    raw = collect(ledger, ACTOR, "raw", {"files": {"path": str(folder)}})
    return deidentify(ledger, ACTOR, name, raw, action="replace", keys=folder.parent / "keys")


def text_of(ledger: Ledger, version: Version) -> str:
    return Dataset(ledger.materialise(version)).table()["text"][0].as_py()


def test_there_and_back(ledger: Ledger, tmp_path: Path) -> None:
    version = made(ledger, tmp_path / "in", "打 13800002947 或 a@b.example，再打 138-0000-2947")
    text = text_of(ledger, version)
    phone, mail, again = re.findall(r"[A-Z_]+_[0-9a-f]{16}", text)
    assert phone == again != mail
    found = reidentify(ledger, ACTOR, version, [phone, mail, "CN_MOBILE_0"], reason="case 12", keys=tmp_path / "keys")
    assert found == [Original(phone, "13800002947"), Original(mail, "a@b.example"), Original("CN_MOBILE_0", None)]
    with ledger.database.read() as connection:
        row = connection.execute(sa.select(schema.audit).where(schema.audit.c.act == "reidentify")).one()
    assert row.thing == version.ref
    assert msgspec.json.decode(row.detail_json) == {"pseudonyms": [phone, mail, "CN_MOBILE_0"], "known": 2, "reason": "case 12"}
    assert version.meta["pseudonyms"] == 2


def test_versions_of_a_name_share_pseudonyms_and_other_names_do_not(ledger: Ledger, tmp_path: Path) -> None:
    first, second = made(ledger, tmp_path / "in", "13800002947"), made(ledger, tmp_path / "in", "新号 13800002947 谢谢")
    other = made(ledger, tmp_path / "in", "13800002947", name="other")
    pseudonym = text_of(ledger, first)
    assert pseudonym in text_of(ledger, second)
    assert text_of(ledger, other) != pseudonym


def test_nothing_of_a_value_lies_in_the_version_and_the_key_lies_apart(ledger: Ledger, tmp_path: Path) -> None:
    version = made(ledger, tmp_path / "in", "13800002947")
    folder, key = ledger.materialise(version), key_path(tmp_path / "keys", "safe")
    assert all(b"13800002947" not in path.read_bytes() for path in folder.iterdir())
    assert all(key.read_bytes() not in path.read_bytes() for path in folder.iterdir())
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_equal_maps_make_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    write_map(tmp_path / "a", {"X_1": "x", "Y_2": "y"}, bytes(32))
    write_map(tmp_path / "b", {"Y_2": "y", "X_1": "x"}, bytes(32))
    assert (tmp_path / "a" / SEALED).read_bytes() == (tmp_path / "b" / SEALED).read_bytes()
    with pytest.raises(BadInput, match="does not fit"):
        read_map(tmp_path / "a", bytes([1] * 32))


def test_refusals(ledger: Ledger, tmp_path: Path) -> None:
    version = made(ledger, tmp_path / "in", "13800002947")
    keys = tmp_path / "keys"
    plain = deidentify(ledger, ACTOR, "plain", ledger.version("raw"), action="replace")
    make_key(keys, "plain")
    with pytest.raises(NotFound, match="no map of pseudonyms"):
        reidentify(ledger, ACTOR, plain, ["x"], reason="case", keys=keys)
    with pytest.raises(BadInput, match="why they are turned back"):
        reidentify(ledger, ACTOR, version, ["x"], reason=" ", keys=keys)
    with pytest.raises(BadSpec, match="nothing of this can be turned back"):
        deidentify(ledger, ACTOR, "safe", ledger.version("raw"), keys=keys)
    key_path(keys, "safe").write_bytes(b"short")
    with pytest.raises(Corrupt, match="5 bytes"):
        reidentify(ledger, ACTOR, version, ["x"], reason="case", keys=keys)
    key_path(keys, "safe").unlink()
    with pytest.raises(NotFound, match="key of safe is not in"):
        reidentify(ledger, ACTOR, version, ["x"], reason="case", keys=keys)
