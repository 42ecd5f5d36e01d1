"""Bad input: a clear message, the next step, the promised exit code, and nothing half-made."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.application.small_company import write_company

from fourfold.application.cli import run
from fourfold.core.errors import FourfoldError
from fourfold.core.ids import new_id
from fourfold.storage.ledger import Ledger

FOURFOLD = [sys.executable, "-c", "from fourfold.application.cli import main; main()"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("FOURFOLD_")}
ENVIRONMENT |= {"NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
REPOSITORY = Path(__file__).resolve().parents[1]
FAILED, USAGE, REFUSED, MISSING, CONFLICT, INTERRUPTED = 1, 2, 3, 4, 5, 130


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_company(tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, company: Path) -> Path:
    """A home with the datasets `tickets` and `tags`, and the models `words` and `phrases`."""
    folder = tmp_path_factory.mktemp("bad") / "home"
    for command in (
        ["collect", "tickets", str(company / "tickets.csv")],
        ["collect", "tags", str(company / "tags")],
        ["train", "words", "tags", "crf:max_iterations=10"],
        ["train", "phrases", "tickets", "ngram:order=2,discount_fallback=[0.5,1.0,1.5]"],
    ):
        assert run([*command, "--home", str(folder), "--json"]) == 0
    return folder


class Refusals:
    """Does what ought to be refused, and looks whether anything was left behind."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.capsys = capsys

    def __call__(self, *words: str, code: int, says: str, then: str) -> None:
        """`says` stands in the message, `then` in the next step."""
        before = left(self.home)
        assert run([*words, "--home", str(self.home)]) == code
        printed = self.capsys.readouterr()
        assert printed.out == ""
        message, arrow, next_step = printed.err.strip().rpartition(" → ")
        assert arrow, f"no next step: {printed.err}"
        assert message.startswith("error: ")
        assert "\n" not in printed.err.strip()
        assert says in message
        assert then in next_step
        assert left(self.home) == before


def left(home: Path) -> tuple[list[str], list[str], list[str]]:
    """Versions, working folders and open runs of a home."""
    with pytest.MonkeyPatch.context() as patch:
        for setting in ("FOURFOLD_PORT", "FOURFOLD_DATABASE"):  # what a test set wrongly is for the command alone
            patch.delenv(setting, raising=False)
        ledger = Ledger.open(home)
    try:
        versions = [version.ref for version in ledger.versions(limit=1000)]
        return (
            versions,
            sorted(path.name for path in (home / "work").iterdir()),
            [run.id for run in ledger.runs(state="running", limit=100)],
        )
    finally:
        ledger.close()


@pytest.fixture
def refused(home: Path, capsys: pytest.CaptureFixture[str]) -> Refusals:
    capsys.readouterr()
    return Refusals(home, capsys)


# ---- files --------------------------------------------------------------------------------------------------------------


def test_no_such_file(refused: Refusals, tmp_path: Path):
    refused("collect", "new", str(tmp_path / "nowhere"), code=FAILED, says=str(tmp_path / "nowhere"), then="Check the path")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("noise.txt", random.Random(1).randbytes(4096)),
        ("torn.parquet", b"PAR1 and then nothing"),
        ("list.jsonl", b"[1, 2\nnot json\n"),
    ],
)
def test_an_unreadable_file(refused: Refusals, tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    refused("collect", "new", str(tmp_path / name), code=FAILED, says="Left out", then="Check")


def test_a_file_that_may_not_be_read(refused: Refusals, tmp_path: Path):
    secret = tmp_path / "secret.txt"
    secret.write_text("a text")
    secret.chmod(0)
    if os.access(secret, os.R_OK):
        pytest.skip("this user may read every file")
    refused("collect", "new", str(secret), code=FAILED, says="secret.txt", then="Check")


def test_a_bad_file_among_good_ones_stops_nothing(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "good.txt").write_text("Where is my parcel?")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and then nothing")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    assert run(["collect", "mixed", str(tmp_path), "--home", str(home), "--json"]) == 0
    meta = json.loads(capsys.readouterr().out)["meta"]
    assert meta["rows"] == 1
    assert sum(meta["drops"].values()) >= 1  # counted under a reason, not passed over


def test_an_empty_folder(refused: Refusals, tmp_path: Path):
    refused("collect", "new", str(tmp_path), code=FAILED, says="holds no file", then="Check the path")
    (tmp_path / "nothing.txt").touch()
    refused("collect", "new", str(tmp_path), code=FAILED, says="no document", then="Check the path")


def test_more_bad_lines_than_allowed(refused: Refusals, tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\nbroken\nbroken\n')
    refused("collect", "new", str(tmp_path), "--max-bad-lines", "1", code=FAILED, says="2", then="max_bad_lines")


# ---- names, settings, labels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "says", "then"),
    [
        ("train m tickets crff", USAGE, "Did you mean 'crf'?", "ngram"),
        ("train m tags crf:l3=1", USAGE, "train.crf has no setting 'l3'", "l2"),
        ("train m tags crf:max_iterations=many", USAGE, "train.crf.max_iterations: Expected `int`, got `str`", "150"),
        ("train m nothing crf", MISSING, "nothing", "fourfold versions"),
        ("train m words crf", FAILED, "words@1 is a model", "fourfold versions"),
        ("train m tickets crf", FAILED, "has no column 'tokens'", "Name another column"),
        ("train m/n tags crf", FAILED, "'m/n' is no name", "letters"),
        ("train tags tags crf", CONFLICT, "tags is a dataset", "another name"),
        ("clean c tickets drop_short:min_word=2", USAGE, "Did you mean 'min_words'?", "min_words"),
        ("clean c tickets", USAGE, "clean.steps is empty", "normalise"),
        ("deidentify d tickets --action EMAIL_ADRESS=drop", USAGE, "Did you mean 'EMAIL_ADDRESS'?", "PHONE_NUMBER"),
        ("deidentify d tickets --action EMAIL_ADDRESS=remove", USAGE, "no action 'remove'", "mask"),
        ("promote words@1 production --gate accuracy>=0.5", MISSING, "has no report", "fourfold evaluate words@1"),
        ("promote words@1 production --gate accuracy", USAGE, "is no gate", "accuracy >= 0.9"),
        ("deploy words tickets", USAGE, "tickets@1 is a dataset", "--kind model"),
        ("deploy words words --limit max_input=3", USAGE, "Did you mean 'max_inputs'?", "max_inputs"),
        ("retire nothing", MISSING, "nothing", "fourfold deployments"),
        ("rollback nothing", MISSING, "nothing", "fourfold deployments"),
        ("why nothing", FAILED, "no request id", "id"),
        ("show nothing", MISSING, "nothing", "fourfold versions"),
        ("keys revoke key_nothing", MISSING, "key_nothing", "fourfold keys"),
        ("keys create shop --role king", USAGE, "king", "--help"),
        ("evaluate words tags --split some", USAGE, "some", "--help"),
        ("colect new .", USAGE, "colect", "--help"),
    ],
)
def test_what_does_not_exist_or_fit(refused: Refusals, words: str, code: int, says: str, then: str):
    refused(*words.split(), code=code, says=says, then=then)


def test_an_answer_that_was_never_given(refused: Refusals):
    refused("why", "req_01m84veb8k000g000100000000", code=MISSING, says="req_01m84veb8k", then="another home")
    refused("show", new_id("run"), code=MISSING, says="no run", then="fourfold runs")


def test_labels_that_the_model_does_not_know(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """None of them known: refused. Some: judged, and counted as what they are."""
    line = "1\tThe\tthe\t{}\t_\t_\t0\troot\t_\t_\n2\tlamp\tlamp\t{}\t_\t_\t1\tx\t_\t_\n\n"
    (tmp_path / "none.conllu").write_text(line.format("ARTICLE", "THING") * 20)
    (tmp_path / "some.conllu").write_text(line.format("DET", "THING") * 20)
    for name in ("none", "some"):
        assert run(["collect", name, str(tmp_path / f"{name}.conllu"), "--home", str(home)]) == 0
    capsys.readouterr()
    refusal = Refusals(home, capsys)
    refusal("evaluate", "words", "none", "--split", "all", code=FAILED, says="kept for the end", then="--final")
    refusal("evaluate", "words", "none", "--split", "all", "--final", code=FAILED, says="ARTICLE, THING", then="label set")
    assert run(["evaluate", "words", "some", "--split", "all", "--final", "--home", str(home), "--json"]) == 0
    meta = json.loads(capsys.readouterr().out)["meta"]
    assert meta["unknown_labels"] == {"THING": 20}
    assert meta["metrics"]["accuracy"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("project", "says", "then"),
    [
        ("projct: x\n", "Did you mean 'project'?", "datasets"),
        ("project: x\ndatasets:\n  a: {colect: {files: {path: .}}}\n", "datasets.a", "collect"),
        ("project: x\ndatasets:\n  a: {collect: {files: {pth: .}}}\n", "datasets.a.collect.files has no setting 'pth'", ""),
        ("project: x\ndatasets: [\n", "is no YAML", "indentation"),
    ],
)  # fmt: skip
def test_a_wrong_project_file(refused: Refusals, tmp_path: Path, project: str, says: str, then: str):
    file = tmp_path / "fourfold.yaml"
    file.write_text(project)
    for more in ([], ["--dry-run"]):
        refused("apply", str(file), *more, code=USAGE, says=says, then=then)


def test_a_wrong_setting_of_the_home(refused: Refusals, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FOURFOLD_PORT", "eighty")
    refused("up", code=USAGE, says="The variable FOURFOLD_PORT: Expected `int`, got `str`", then="docs/settings.md")


# ---- the machine --------------------------------------------------------------------------------------------------------


def test_a_missing_extra(refused: Refusals, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FOURFOLD_DATABASE", "postgresql://nobody@/nothing")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    refused("versions", code=FAILED, says="needs psycopg", then="pip install 'fourfold[postgres]'")


def test_a_port_in_use(refused: Refusals):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused("up", "--port", str(port), code=CONFLICT, says=f"Port {port}", then=f"--port {port + 1}")


def test_an_open_house(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Ledger.open(tmp_path / "new").close()
    refusal = Refusals(tmp_path / "new", capsys)
    refusal("up", "--host", "0.0.0.0", "--port", "0", code=REFUSED, says="no key", then="fourfold keys create NAME --role")


def test_a_home_of_a_newer_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Ledger.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    connection.close()
    for words in (["versions"], ["up", "--port", "0"], ["doctor"]):
        assert run([*words, "--home", str(tmp_path)]) == CONFLICT
        said = capsys.readouterr().err
        assert "schema 9999, written by a newer Fourfold" in said
        assert "→ Run: pip install --upgrade fourfold" in said


def test_what_is_no_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "file"
    file.write_text("no folder")
    assert run(["versions", "--home", str(file)]) == FAILED
    assert "→ Name a folder of yours with --home." in capsys.readouterr().err
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "ledger.sqlite").write_text("no database at all" * 100)
    assert run(["versions", "--home", str(tmp_path / "home")]) == FAILED
    assert "ledger.sqlite is not a SQLite database." in capsys.readouterr().err


def do(home: Path, *words: str, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    command = [*FOURFOLD, *words, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, preexec_fn=before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path):
    home = small_disk / "home"
    words = tmp_path / "words.txt"
    words.write_bytes(os.urandom(2 << 20).hex().encode())
    assert do(home, "versions").returncode == 0
    before = left(home)
    done = do(home, "collect", "many", str(words))
    assert done.returncode == FAILED
    assert "full" in done.stderr or "No space left" in done.stderr
    assert "→ Free disk space" in done.stderr
    assert left(home) == before
    (tmp_path / "few.txt").write_text("Room for a line is left.")
    assert do(home, "collect", "few", str(tmp_path / "few.txt")).returncode == 0


def test_a_file_larger_than_allowed(home: Path, tmp_path: Path):
    """The limit of the shell (`ulimit -f`) says no in another way than a full disk."""
    words = tmp_path / "words.txt"
    words.write_bytes(os.urandom(2 << 20).hex().encode())
    before = left(home)
    done = do(home, "collect", "many", str(words), before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    assert done.returncode == FAILED
    assert os.strerror(errno.EFBIG) in done.stderr
    assert " → " in done.stderr
    assert "mistake" not in done.stderr
    assert left(home) == before


def test_ctrl_c_in_the_middle_of_training(home: Path):
    tags = REPOSITORY / "examples" / "support-desk" / "tags"  # enough for a minute
    assert run(["collect", "sentences", str(tags), "--home", str(home)]) == 0
    before = left(home)
    command = [*FOURFOLD, "train", "slow", "sentences", "crf:max_iterations=1000000,epsilon=0,delta=0,period=1000000"]
    process = subprocess.Popen([*command, "--home", str(home)], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    ledger = Ledger.open(home)
    until = time.monotonic() + 60
    while not any((home / "work").glob("*/*")):
        assert time.monotonic() < until
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    time.sleep(0.3)  # into the midst of it
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    (slow,) = ledger.runs(name="slow", limit=10)
    ledger.close()
    assert process.returncode == INTERRUPTED, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert (slow.state, slow.error, slow.version) == ("failed", "Interrupted.", None)
    assert left(home) == before


# ---- over HTTP ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def http(home: Path) -> Iterator[httpx.Client]:
    """A hand on the served home, with its admin key."""
    assert run(["deploy", "words", "words", "--home", str(home)]) == 0
    command = [*FOURFOLD, "up", "--port", "0", "--home", str(home), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        said = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        headers = {"authorization": f"Bearer {said['admin_token']}"}
        with httpx.Client(base_url=said["address"], headers=headers, timeout=30, trust_env=False) as client:
            until = time.monotonic() + 30
            while not client.get("/readyz").status_code == client.get("/api/v1/whoami").status_code == 200:
                assert time.monotonic() < until
                time.sleep(0.1)
            yield client
        process.terminate()


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "says"),
    [
        ("/v1/deployments/words:tag", {"text": "今天天气怎么样" * 500_000}, 413, "too_large", "max_body_bytes"),
        ("/v1/deployments/words:tag", {"text": "天" * 100_000}, 413, "too_large", "max_input_bytes"),
        ("/v1/deployments/words:tag", {"txt": "hello"}, 422, "bad_spec", "Did you mean 'text'?"),
        ("/v1/deployments/words:tag", {"text": 3}, 422, "bad_spec", "Expected `str`"),
        ("/v1/deployments/words:tag", {"inputs": []}, 422, "bad_spec", "empty"),
        ("/v1/deployments/words:tag", [], 422, "bad_spec", ""),
        ("/v1/deployments/words:score", {"text": "hello"}, 404, "not_found", "does not serve 'score'"),
        ("/v1/deployments/words:sing", {"text": "hello"}, 404, "not_found", "no task 'sing'"),
        ("/v1/deployments/nothing:tag", {"text": "hello"}, 404, "not_found", "nothing"),
        ("/api/v1/keys", {"name": "a", "role": "king"}, 422, "bad_spec", "role"),
        ("/api/v1/keys", {"nme": "a", "role": "reader"}, 422, "bad_spec", "nme"),
        ("/api/v1/aliases/promote", {"version": "words@9", "alias": "production"}, 404, "not_found", "words@9"),
        ("/api/v1/aliases/promote", {"version": "words@1", "alias": "7"}, 400, "bad_input", "cannot be an alias"),
        ("/api/v1/nothing", {}, 404, "not_found", ""),
    ],
)
def test_a_problem_document(http: httpx.Client, path: str, body: object, status: int, code: str, says: str):
    reply = http.post(path, json=body)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert says in problem["detail"]
    assert problem["hint"]


def test_what_is_no_json(http: httpx.Client):
    for path in ("/v1/deployments/words:tag", "/api/v1/keys"):
        reply = http.post(path, content=b'{"text": ', headers={"content-type": "application/json"})
        assert (reply.status_code, reply.json()["code"]) == (400, "bad_input"), reply.text


def test_without_a_key(http: httpx.Client):
    for path in ("/v1/models", "/api/v1/versions"):
        reply = http.get(path, headers={"authorization": ""})
        assert (reply.status_code, reply.json()["code"]) == (401, "not_signed_in")


def test_a_job_that_cannot_be_done_says_why(http: httpx.Client, home: Path):
    before = left(home)
    body = {"name": "m", "dataset": "tags", "family": {"crf": {"tagz": "upos"}}}
    job = http.post("/api/v1/models/train", json=body)
    assert job.status_code == 202
    until = time.monotonic() + 60
    while (found := http.get(job.headers["location"]).json())["state"] in ("queued", "running"):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert found["state"] == "failed"
    assert found["error"]["code"] == "bad_spec"
    assert "Did you mean 'tags'?" in found["error"]["message"]
    assert left(home) == before


def test_every_error_has_a_code_a_status_and_an_exit_code():
    kinds = FourfoldError.__subclasses__()
    assert len(kinds) >= 10
    assert {kind.exit_code for kind in kinds} <= {1, 2, 3, 4, 5, 6}
    assert all(400 <= kind.status < 600 for kind in kinds)
