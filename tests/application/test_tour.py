"""The tour as people run it: a process of its own, a home of its own, serving and all."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fourfold.application.own_key import token_path
from fourfold.application.serving.home import status_of
from fourfold.application.tour_data import datasets_of
from fourfold.client import Client
from fourfold.core.errors import BadInput

COMMAND = [sys.executable, "-c", "import sys; from fourfold.application.cli import main; sys.exit(main())", "tour"]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=200)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tour") / "home"


@pytest.fixture(scope="module")
def told(home: Path) -> subprocess.CompletedProcess[str]:
    """A whole tour of the example company."""
    return run(home, "--once", "--json")


def test_one_document_with_the_trace_down_to_sources(told):
    assert told.returncode == 0, told.stderr
    document = json.loads(told.stdout)
    assert set(document) == {"answer_id", "deployment", "version", "trace", "seconds"}
    assert (document["deployment"], document["version"]) == ("words", "words@1")
    kinds = [node["kind"] for node in document["trace"]]
    assert list(dict.fromkeys(kinds)) == ["answer", "step", "version", "run", "report", "dataset", "document", "source"]
    sources = [node["id"] for node in document["trace"] if node["kind"] == "source"]
    assert all(source.partition("#")[0] in ("zh.conllu", "en.conllu") for source in sources)


def test_a_line_per_stage_and_the_answers(told):
    lines = [line.split() for line in told.stderr.splitlines() if line.strip().startswith("✓")]
    verbs = [line[1] for line in lines]
    assert set(verbs) == {"collect", "clean", "deidentify", "train", "evaluate", "promote", "deploy"}
    assert [
        name for name in (line[2] for line in lines) if name in ("tickets@1", "support@1", "words@1", "words@production")
    ] == ["tickets@1", "support@1", "words@1", "words@production"]
    assert "POST /v1/deployments/words:tag" in told.stderr
    assert "\x1b" not in told.stderr


def test_nothing_is_left_running(told, home):
    assert told.returncode == 0
    assert status_of(home) is None


def test_why_of_the_answer_after_the_tour(told, home):
    document = json.loads(told.stdout)
    with Client(home=home) as client:
        trace = client.why(document["answer_id"])
        assert trace.version == "words@1"
        versions = [node for node in trace.trace if node.kind in ("version", "dataset", "report")]
        for node in versions:
            assert client.show(node.digest).what in ("version", "file")
        document_node = next(node for node in trace.trace if node.kind == "document")
        assert client.show(document_node.id).what == "document"


def fourfold(*words: str, code: int = 0) -> str:
    """What a command prints with --json; what it says against it, if it is to fail."""
    done = subprocess.run([*COMMAND[:-1], *words, "--json"], capture_output=True, text=True, env=ENVIRONMENT, timeout=200)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


@contextmanager
def served(home: Path) -> Iterator[None]:
    """`fourfold up` on a home, until the block ends; all that is deployed answers."""
    command = [*COMMAND[:-1], "up", "--port", "0", "--home", str(home), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT) as process:
        try:
            assert process.stdout is not None
            address = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")["address"]
            until = time.monotonic() + 120
            while httpx.get(f"{address}/readyz", trust_env=False, timeout=60).status_code != 200:
                assert time.monotonic() < until
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.communicate(timeout=60)


def test_a_backup_of_the_home_answers_elsewhere_and_a_flipped_byte_in_it_is_found(told, home, tmp_path):
    asked = json.loads(told.stdout)
    place, elsewhere, away = tmp_path / "place", tmp_path / "elsewhere" / "home", home.with_name("away")
    with Client(home=home) as client:
        before = client.why(asked["answer_id"])
        versions = [version.ref for version in client.versions(limit=100).data]
    fourfold("backup", str(place), "--home", str(home))
    fourfold("backup", str(place), "--verify", "--home", str(home))
    home.rename(away)  # whatever leads back to it breaks now
    try:
        fourfold("restore", str(place), "--home", str(elsewhere))
        assert json.loads(fourfold("fsck", "--home", str(elsewhere)))["findings"] == []
        with Client(home=elsewhere) as client:
            assert client.why(asked["answer_id"]).trace == before.trace
            assert [version.ref for version in client.versions(limit=100).data] == versions
            with served(elsewhere):
                answer = client.ask("words", "tag", "今天天气怎么样")
                assert answer.version == "words@1"
                trace = client.why(answer.id)
                assert [node.kind for node in trace.trace][-1] == "source"
            assert client.fsck().findings == []
    finally:
        away.rename(home)
    chunk = max((path for path in (place / "chunks").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    assert "is not what was stored" in fourfold("backup", str(place), "--verify", "--home", str(home), code=1)
    assert "is not what was stored" in fourfold("restore", str(place), "--home", str(tmp_path / "never"), code=1)
    assert not (tmp_path / "never").exists()


def test_a_port_in_use_is_told_before_any_work(home):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = run(home, "--port", str(other.getsockname()[1]))
    assert done.returncode == 5
    assert "is in use" in done.stderr
    assert "collect" not in done.stdout


@pytest.fixture
def files(tmp_path) -> Path:
    """Somebody's own files, in a folder of theirs."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for n, thing in enumerate(("kettle", "lamp", "scale", "grinder", "purifier", "humidifier")):
        text = f"# About the {thing}\n\nPlease send the {thing} back to us before day {n}. We repair every {thing} for free.\n"
        (folder / f"{thing}.md").write_text(text)
    people, places = ("Ann", "Bob", "Cleo", "Dan"), ("Rome", "Oslo", "Bonn", "Bern")
    rows = [f"{person} B-PER\nlives O\nin O\n{place} B-LOC\n. O\n" for person in people for place in places]
    (folder / "names.conll").write_text("\n".join(rows))
    return folder


def test_own_files_and_staying_up(tmp_path, files):
    """Serves on until it is told to stop; then nothing is left running, and the exit code is 0."""
    home = tmp_path / "home"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*COMMAND, "--home", str(home), "--data", str(files), "--port", str(port), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.fail(process.communicate()[1])
        document = json.loads(line)
        assert document["deployment"] == "tags"
        assert next(node["id"] for node in document["trace"] if node["kind"] == "source").startswith("names.conll#")
        assert httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
        assert token_path(home).stat().st_mode & 0o077 == 0
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "fourfold ask" in said
    assert "Stopping" in said
    until = time.monotonic() + 10
    while status_of(home) is not None and time.monotonic() < until:
        time.sleep(0.05)
    assert status_of(home) is None


def test_folders_without_anything_to_read(tmp_path):
    with pytest.raises(BadInput, match="is not a folder"):
        datasets_of(tmp_path / "nowhere")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "a.txt").write_text("never looked at")
    with pytest.raises(BadInput, match="holds no file that can be read"):
        datasets_of(tmp_path)
