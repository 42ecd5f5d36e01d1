"""The whole flow on real processes: from documents to a traced answer, through a crash, a rollback and a retirement."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from fourfold.application.serving.home import read_status

FOURFOLD = [sys.executable, "-c", "from fourfold.application.cli import main; main()"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("FOURFOLD_")}
ENVIRONMENT |= {"NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
ASKED = "今天天气怎么样"
CHAIN = ["answer", "step", "version", "run", "report", "dataset", "document", "source"]


class House:
    """A home, the command line on it, and a hand on its port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self.http = httpx.Client(timeout=30, trust_env=False)

    def do(self, *words: str, code: int = 0) -> Any:
        """What a command prints with --json."""
        command = [*FOURFOLD, *words, "--home", str(self.folder), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def up(self, port: int = 0) -> dict[str, Any]:
        """Serve; what `up` says of itself. Everything answers then: what is deployed, and management."""
        command = [*FOURFOLD, "up", "--port", str(port), "--home", str(self.folder), "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        assert self.process.stdout is not None
        lines = iter(self.process.stdout.readline, "}\n")
        said = json.loads("".join(lines) + "}")
        self.http.base_url = said["address"]
        self.http.headers.setdefault("authorization", f"Bearer {said['admin_token']}")
        until(lambda: self.http.get("/readyz").status_code == self.http.get("/api/v1/whoami").status_code == 200)
        return said

    def ask(self, deployment: str, task: str, **body: Any) -> httpx.Response:
        """POST to a deployment."""
        return self.http.post(f"/v1/deployments/{deployment}:{task}", json=body or {"text": ASKED})

    def why(self, answer: str) -> dict[str, Any]:
        """The trace of an answer over HTTP."""
        reply = self.http.get(f"/api/v1/answers/{answer}/why")
        assert reply.status_code == 200, reply.text
        assert reply.headers["x-request-id"].startswith("req_")  # as every reply of the port
        assert len(reply.headers.get_list("date")) == 1
        return reply.json()

    def kill_everything(self) -> None:
        """SIGKILL to the supervisor and to each process below it, all at once."""
        status = read_status(self.folder)
        assert status is not None and self.process is not None
        pids = [status.pid, *(child.pid for child in status.children if child.pid)]
        assert {child.name for child in status.children} >= {"front 1", "engine", "management"}
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()
        until(lambda: not any(lives(pid) for pid in pids))

    def close(self) -> None:
        """Stop what runs."""
        self.http.close()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.communicate(timeout=30)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(met: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for a condition; a refused connection is not yet one."""
    end = time.monotonic() + seconds
    while True:
        try:
            if met():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < end, "the condition was not met"
        time.sleep(0.05)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def documents(tmp_path: Path, company: Path) -> Path:
    """A small part of the example company: 150 tickets, and 190 sentences in two languages with their words labelled."""
    folder = tmp_path / "documents"
    folder.mkdir()
    tickets = (company / "tickets" / "tickets.csv").read_bytes().splitlines(keepends=True)
    (folder / "tickets.csv").write_bytes(b"".join(tickets[:150]))
    for language, sentences in (("zh", 130), ("en", 60)):
        blocks = (company / "tags" / f"{language}.conllu").read_text(encoding="utf-8").split("\n\n")
        (folder / f"{language}.conllu").write_text("\n\n".join(blocks[:sentences]) + "\n\n", encoding="utf-8")
    return folder


def test_the_walk(house: House, documents: Path):
    make(house, documents)
    first = house.up()
    ask_every_task(house)
    answers = trace_a_hundred(house)

    before = house.http.get("/v1/models").json(), [house.ask("words", "tag").json()["results"], routes(house)]
    house.kill_everything()
    again = house.up(port=int(first["address"].rpartition(":")[2]))
    assert again == {**first, "admin_token": None}  # the token of the first start is shown once, and still opens the door
    assert (house.http.get("/v1/models").json(), [house.ask("words", "tag").json()["results"], routes(house)]) == before

    until(lambda: read_status(house.folder).sealed_segments)  # type: ignore[union-attr]
    for answer, version in (answers[0], answers[1], answers[-1]):  # given before the crash: now in a sealed segment
        assert house.why(answer)["version"] == version
    fresh = house.ask("words", "tag").json()["id"]
    assert house.why(fresh)["version"] == "words@1"

    refuse_a_revoked_key(house)
    roll_back_and_retire(house)


def make(house: House, documents: Path) -> None:
    """Collect, clean, take personal data out, train, evaluate, promote through a gate, deploy: by command."""
    house.do("collect", "tickets", str(documents / "tickets.csv"), "--set", 'formats={"csv": {"text": ["subject", "body"]}}')
    cleaned = house.do("clean", "clean", "tickets", "normalise", "drop_short:min_words=2", "drop_duplicates")
    assert 0 < cleaned["meta"]["rows"] < 150
    masked = house.do("deidentify", "support", "clean")
    assert masked["meta"]["findings"]["EMAIL_ADDRESS"]["text"] > 0
    house.do("collect", "labelled", str(documents), "--set", 'include=["*.conllu"]')

    house.do("train", "phrases", "support", "ngram:order=3,unit=character")
    house.do("train", "words", "labelled", "crf:max_iterations=40")
    assert house.do("evaluate", "phrases", "support")["meta"]["metrics"]["perplexity"] > 1
    assert house.do("evaluate", "words", "labelled")["meta"]["metrics"]["accuracy"] > 0.5

    refused = house.do("promote", "words@1", "production", "--gate", "accuracy >= 0.9999", code=5)["error"]
    assert refused["code"] == "gate_refused"
    assert "off by" in refused["message"]
    moved = house.do("promote", "words@1", "production", "--gate", "accuracy >= 0.5", "--reason", "good enough")
    assert moved["to_version"] == "words@1"
    house.do("deploy", "words", "words@production", "--limit", "record_content=true")
    house.do("deploy", "phrases", "phrases@1")


def ask_every_task(house: House) -> None:
    """今天天气怎么样 through each task: every figure is of its promised shape."""
    labels = set(house.http.get("/api/v1/versions/words@1").json()["version"]["meta"]["labels"])
    reply = house.ask("words", "tag", inputs=[{"id": "a", "text": ASKED}])
    body = reply.json()
    assert reply.headers["x-model-version"] == body["version"] == "words@1"
    assert reply.headers["x-request-id"] == body["id"]
    assert body["route"]["step"] == "crf"
    (tagged,) = body["results"]
    tokens = tagged["tokens"]
    assert tagged["id"] == "a"
    assert isinstance(tagged["calibrated"], bool)
    assert "".join(token["text"] for token in tokens) == ASKED
    assert [ASKED[token["start"] : token["end"]] for token in tokens] == [token["text"] for token in tokens]  # half-open
    assert (tokens[0]["start"], tokens[-1]["end"]) == (0, len(ASKED))  # code points, of which each is 3 bytes
    assert all(a["end"] == b["start"] for a, b in pairwise(tokens))
    assert {token["label"] for token in tokens} <= labels
    assert all(0 <= token["score"] <= 1 for token in tokens)

    for deployment in ("words", "phrases"):
        words = shares(house.ask(deployment, "rank", text=ASKED))
        assert sorted(text for text in words) != [ASKED]
        assert sorted("".join(words)) == sorted(ASKED)  # every segment, whatever the order
        two = f"{ASKED}？我的灯坏了。"
        assert set(shares(house.ask(deployment, "rank", text=two, unit="sentence"))) == {f"{ASKED}？", "我的灯坏了。"}

    (scored,) = house.ask("phrases", "score").json()["results"]
    assert scored["log10_probability"] == pytest.approx(sum(token["log10_probability"] for token in scored["tokens"]))
    (suggested,) = house.ask("phrases", "suggest", text="我的", top_k=3).json()["results"]
    assert 1 <= len(suggested["suggestions"]) <= 3
    assert all(one["text"].startswith("我的") for one in suggested["suggestions"])
    sampling = {"text": "我", "seed": 7, "max_tokens": 8}
    texts = {house.ask("phrases", "generate", **sampling).json()["results"][0]["text"] for _ in range(2)}
    assert len(texts) == 1


def shares(reply: httpx.Response) -> list[str]:
    """The texts of a ranking, whose scores descend and sum to 1."""
    assert reply.status_code == 200, reply.text
    (result,) = reply.json()["results"]
    scores = [row["score"] for row in result["ranking"]]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)
    assert all(0 <= score <= 1 for score in scores)
    return [row["text"] for row in result["ranking"]]


def trace_a_hundred(house: House) -> list[tuple[str, str]]:
    """100 answers and the version that gave each; every one is traced, the youngest at once."""
    answers: list[tuple[str, str]] = []
    for n in range(50):
        for deployment, task in (("words", "tag"), ("phrases", "score")):
            answer = house.ask(deployment, task, text=f"{ASKED}，订单{n}还没到？").json()
            answers.append((answer["id"], answer["version"]))
    youngest, *_ = traces = [house.why(answer) for answer, _ in reversed(answers)]
    assert youngest["answer_id"] == answers[-1][0]
    for trace, (answer, version) in zip(traces, reversed(answers), strict=True):
        nodes = trace["trace"]
        assert (trace["answer_id"], trace["version"]) == (answer, version)
        assert list(dict.fromkeys(node["kind"] for node in nodes)) == CHAIN
        assert next(node for node in nodes if node["kind"] == "version")["id"] == version
        assert [node["id"] for node in nodes if node["kind"] == "dataset"] == (
            ["labelled@1"] if version == "words@1" else ["support@1", "clean@1", "tickets@1"]
        )
        sources = [node["id"].partition("#")[0] for node in nodes if node["kind"] == "source"]
        assert set(sources) <= ({"zh.conllu", "en.conllu"} if version == "words@1" else {"tickets.csv"})
    digests = {node["digest"] for trace in traces for node in trace["trace"] if node.get("digest")}
    assert len(digests) >= 8
    for digest in digests:
        assert house.http.get(f"/api/v1/things/{digest}").json()["what"] in ("version", "file")
    opened = house.do("show", next(node["id"] for node in traces[0]["trace"] if node["kind"] == "document"))
    assert opened["what"] == "document"
    return answers


def routes(house: House) -> dict[str, Any]:
    """What is deployed: versions and weights by name."""
    found = house.http.get("/api/v1/deployments").json()
    return {one["name"]: one["routes"] for one in found}


def refuse_a_revoked_key(house: House) -> None:
    made = house.http.post("/api/v1/keys", json={"name": "shop", "role": "reader"}).json()
    theirs = {"authorization": f"Bearer {made['token']}"}

    def asked() -> int:
        return house.http.post("/v1/deployments/words:tag", json={"text": ASKED}, headers=theirs).status_code

    until(lambda: asked() == 200, seconds=10)
    house.do("keys", "revoke", made["key"]["id"])
    until(lambda: asked() == 401, seconds=10)


def roll_back_and_retire(house: House) -> None:
    def serving() -> str:
        return house.ask("phrases", "score").headers.get("x-model-version", "")

    house.do("train", "phrases", "support", "ngram:order=2,unit=character")
    house.do("deploy", "phrases", "phrases@2")
    until(lambda: serving() == "phrases@2")
    house.do("rollback", "phrases")
    until(lambda: serving() == "phrases@1")
    house.do("retire", "phrases", "--reason", "the walk ends")
    until(lambda: house.ask("phrases", "score").status_code == 404)
    assert house.ask("words", "tag").status_code == 200
