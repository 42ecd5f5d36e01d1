"""Bad input of every kind at once, from a site and from a folder: the run goes on, and each item is counted with its reason."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.data import documents as make
from tests.data.sites import Reply, serving

from fourfold.core.nouns import Actor, Version
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
RARE = "龘𠮷𪚥🧧👨‍👩‍👧"
BODY = "本市图书馆从下月起延长开放时间，周末的闭馆时间由下午五点改为晚上九点，方便上班的读者借书和还书。"


def page(text: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}<title>页</title></head><body><article><p>{text}</p></article></body></html>"


FILES: dict[str, bytes] = {
    "wrong.html": page(f"乙{BODY}", '<meta charset="utf-8">').encode("gb18030"),
    "nul.html": page(f"丙\x00{BODY}\x00").encode(),
    "rare.html": page(f"丁{RARE}{BODY}").encode(),
    "broken.html": page(f"戊{BODY}").replace("</p></article></body></html>", "</div></b><table><tr><p").encode(),
    "locked.pdf": make.pdf([[(72, 700, "secret")]], locked=True),
    "bomb.zip": make.zipped({"zeros.txt": bytes(8 << 20), "note.txt": "便条".encode()}),
    "cut.zip": make.zipped({"a.txt": b"words of a text"})[:40],
    "nothing.html": b"<html><body><script>x=1</script></body></html>",
    "huge.html": b"<p>" + b"a" * (2 << 20),
}
REASONS = {
    "locked.pdf": "password", "bomb.zip": "bomb", "cut.zip": "not_zip", "nothing.html": "no_main_text",
    "huge.html": "too_large",
}  # fmt: skip
KINDS = {"pdf": "application/pdf", "zip": "application/zip", "html": "text/html; charset=iso-8859-1"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


def texts(ledger: Ledger, version: Version) -> list[str]:
    return sorted(Dataset(ledger.materialise(version)).table()["text"].to_pylist())


def dropped(ledger: Ledger, version: Version) -> dict[str, str]:
    rows = pq.read_table(ledger.materialise(version) / "drops.parquet").to_pylist()
    found = {}
    for row in rows:
        name = row["source"].partition("!/")[0].rpartition("/")[2]
        stem, _, rest = name.partition("~")
        found[f"{stem}.{rest.rpartition('.')[2]}" if rest else name] = row["reason"]
    return found


GOOD = sorted(["便条", f"乙{BODY}", f"丙{BODY}", f"丁{RARE}{BODY}", f"戊{BODY}"])


def test_from_a_site(ledger: Ledger) -> None:
    links = "".join(f'<a href="/{name}">{name}</a> ' for name in (*FILES, "loop", "gone", "down"))

    def answer(path: str, headers: dict[str, str]) -> Reply:
        name = path.strip("/")
        if not name:
            return Reply(page(f"首页 {links}").encode())
        if name.startswith("loop"):
            return Reply(b"", 302, {"Location": "/loop2" if name == "loop" else "/loop"})
        if name == "down":
            return Reply(b"", 503)
        if name == "robots.txt":
            return Reply(b"User-agent: *\n", headers={"Content-Type": "text/plain"})
        if name not in FILES:
            return Reply(b"", 404)
        return Reply(FILES[name], headers={"Content-Type": KINDS[name.rpartition(".")[2]]})

    with serving(answer) as site:
        settings: dict[str, Any] = {
            "start": [f"{site.url}/"], "allow": ["127.0.0.1"], "delay_seconds": 0.0, "attempts": 1, "retry_seconds": 0.0,
            "max_file_bytes": 1 << 20, "sitemaps": False, "exclude": ["/x"],
        }  # fmt: skip
        version = collect(ledger, ACTOR, "site", {"web": settings})
    found = texts(ledger, version)
    assert [text for text in found if not text.startswith("首页")] == GOOD
    reasons = dropped(ledger, version)
    assert {name: reasons.get(name) for name in REASONS} == REASONS
    assert (reasons["loop"], reasons["gone"], reasons["down"]) == ("redirect", "status_404", "status_503")


def test_from_a_folder(ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "share"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    (folder / "zeros.txt.gz").write_bytes(gzip.compress(bytes(4 << 20)))
    version = collect(ledger, ACTOR, "share", {"files": {"path": str(folder), "max_file_bytes": 1 << 20}})
    assert texts(ledger, version) == GOOD
    reasons = dropped(ledger, version)
    assert {name: reasons.get(name) for name in REASONS} == REASONS
    assert reasons["zeros.txt.gz"] == "too_large"
