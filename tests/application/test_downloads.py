"""Files of versions into a folder: over HTTP on a line that breaks, resumed after a kill, verified, and never in the way."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from tests.application.test_client import served
from tests.faults.proxy import Proxy

from fourfold.application import client_http
from fourfold.application.client import Client
from fourfold.application.http.app import management_app
from fourfold.application.results import FileEntry, VersionDetail
from fourfold.application.sdk.things import Things
from fourfold.core.errors import BadInput, Conflict, Corrupt, NotFound
from fourfold.core.nouns import Actor, Version
from fourfold.storage.ledger import Ledger

BIG = random.Random(1).randbytes(3_000_000)
OWNER = Actor("k", "owner", "admin")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    ledger = Ledger.open(home)
    with ledger.run("train", kind="model", name="words", spec={}, actor=OWNER) as run:
        (run.folder / "weights.bin").write_bytes(BIG)
        (run.folder / "vocabulary").mkdir()
        (run.folder / "vocabulary" / "词表 1.txt").write_text("今天", encoding="utf-8")
        (run.folder / "empty.txt").write_bytes(b"")
    ledger.close()
    return home


@pytest.fixture(scope="module")
def token(home: Path) -> str:
    with Client(home=home) as client:
        return client.create_key("reader", "reader").token


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with served(management_app(home)) as url:
        yield url


@pytest.fixture
def line(address: str) -> Iterator[Proxy]:
    """The way to the server, which can be broken."""
    proxy = Proxy(urlsplit(address).port or 0)
    yield proxy
    proxy.close()


def test_all_files_arrive_from_a_home_and_over_http(home: Path, address: str, token: str, tmp_path: Path):
    with Client(home=home) as here, Client(url=address, token=token) as there:
        for client, folder in ((here, tmp_path / "here"), (there, tmp_path / "there")):
            fetched = client.fetch("words@1", folder)
            assert sorted(str(path.relative_to(folder)) for path in fetched) == [
                "empty.txt", "vocabulary/词表 1.txt", "weights.bin",
            ]  # fmt: skip
            assert (folder / "weights.bin").read_bytes() == BIG
            assert (folder / "vocabulary" / "词表 1.txt").read_text(encoding="utf-8") == "今天"
            assert not list(folder.rglob("*.part"))
        assert there.version_file("words", "weights.bin").read_bytes() == BIG
        with pytest.raises(NotFound, match=r"Did you mean 'weights\.bin'"):
            there.version_file("words", "weight.bin")


def test_a_line_that_breaks_again_and_again_costs_nothing(
    line: Proxy, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client_http, "BREAK_SECONDS", 0.01)
    seen: list[float] = []
    progress = lambda done, total, unit: seen.append(done)  # noqa: E731
    line.weather.cut_after_bytes = 700_000
    with Client(url=f"http://127.0.0.1:{line.port}", token=token, progress=progress) as client:
        client.fetch("words", tmp_path)
    assert (tmp_path / "weights.bin").read_bytes() == BIG
    steps = [later - before for before, later in itertools.pairwise(seen) if later > 1]
    assert min(steps) > 0, "no byte of a file was fetched twice"


def test_a_fetch_that_was_stopped_goes_on(address: str, token: str, tmp_path: Path):
    (tmp_path / "weights.bin.part").write_bytes(BIG[:2_500_000])
    seen: list[float] = []
    with Client(url=address, token=token, progress=lambda done, total, unit: seen.append(done)) as client:
        client.fetch("words", tmp_path)
        assert (tmp_path / "weights.bin").read_bytes() == BIG
        assert min(done for done in seen if done > 1000) > 2_500_000
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        client.fetch("words", tmp_path)  # all there: nothing is written
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_what_arrives_changed_is_not_kept(address: str, token: str, tmp_path: Path):
    with Client(url=address, token=token) as client:
        (tmp_path / "weights.bin.part").write_bytes(bytes(1000))  # not how the file begins
        with pytest.raises(Corrupt, match=r"weights\.bin did not arrive as it was stored"):
            client.fetch("words", tmp_path)
        assert not (tmp_path / "weights.bin").exists()
        client.fetch("words", tmp_path)
        (tmp_path / "weights.bin").write_bytes(b"mine")
        with pytest.raises(Conflict, match=r"weights\.bin is there already"):
            client.fetch("words", tmp_path)
        assert (tmp_path / "weights.bin").read_bytes() == b"mine"


def test_a_range_is_what_the_standard_says(address: str, token: str):
    path = f"{address}/api/v1/versions/words@1/files/weights.bin"

    def get(wanted: str) -> httpx.Response:
        return httpx.get(path, headers={"authorization": f"Bearer {token}", "range": wanted})

    some = get("bytes=10-19")
    assert (some.status_code, some.content, some.headers["content-range"]) == (206, BIG[10:20], f"bytes 10-19/{len(BIG)}")
    assert get(f"bytes={len(BIG) - 5}-").content == BIG[-5:]
    assert get(f"bytes=0-{10 * len(BIG)}").content == BIG
    beyond = get(f"bytes={len(BIG)}-")
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")
    for ignored in ("bytes=5-2", "bytes=1-2,5-6", "lines=1-2", "bytes=-5"):
        assert (get(ignored).status_code, len(get(ignored).content)) == (200, len(BIG))


class LyingServer:
    """Says that a file lies above the folder that it is fetched into."""

    def do(self, act: str, arguments: dict[str, Any], /) -> bytes:
        version = Version("ver_1", "words", 1, "model", "d", "run_1", 0.0, 4, {})
        return msgspec.json.encode(VersionDetail(version, [FileEntry("../evil", 4, "d", "s")], [], [], []))

    def fetch(self, ref: str, entry: FileEntry, target: Path, /) -> None:
        target.write_text("evil")


def test_no_file_leads_out_of_the_folder(tmp_path: Path):
    (tmp_path / "in").mkdir()
    with pytest.raises(BadInput, match=r"'\.\./evil' is no path inside a version"):
        Things(LyingServer()).fetch("words", tmp_path / "in")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
