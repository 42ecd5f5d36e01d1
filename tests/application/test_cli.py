"""The command line as its user has it: real processes, exit codes, one JSON document on stdout, errors with the next step."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.application.small_company import write_company

from fourfold.application import cli
from fourfold.application.cli_commands import COMMANDS
from fourfold.core.errors import BadInput

FOURFOLD = (sys.executable, "-c", "from fourfold.application.cli import main; main()")
QUIET = {**{k: v for k, v in os.environ.items() if not k.startswith("FOURFOLD_")}, "OMP_NUM_THREADS": "1"}


def type_in(
    *words: str, home: Path | None = None, text: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What `fourfold WORDS` does in a process of its own."""
    at = ["--home", str(home)] if home else []
    return subprocess.run(
        [*FOURFOLD, *words, *at], input=text, capture_output=True, text=True, timeout=120, env={**QUIET, **(env or {})}
    )


def call(*words: str, home: Path | None = None, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """The same without a process of its own: exit code, standard output and standard error."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    at = ["--home", str(home)] if home else []
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("FOURFOLD_")]:
            patch.delenv(name)
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        code = cli.run([*words, *at])
    out.flush()
    return code, out.buffer.getvalue().decode(), err.getvalue()  # type: ignore[attr-defined]


def ask_json(*words: str, home: Path | None = None, code: int = 0, env: Mapping[str, str] | None = None) -> Any:
    """The one JSON document that the command prints."""
    found, out, err = call(*words, "--json", home=home, env=env)
    assert found == code, err
    return json.loads(out)


@contextmanager
def up(home: Path, *words: str) -> Iterator[dict[str, Any]]:
    """A served home, and what `fourfold up --json` said of it."""
    command = [*FOURFOLD, "up", "--home", str(home), "--port", "0", "--json", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=QUIET)
    try:
        assert process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            said += line
        yield json.loads(said)
    finally:
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert rest == "", "one document only"
    assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_company(tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, company: Path) -> Path:
    """A home in which everything up to a deployment was done by commands."""
    home = tmp_path_factory.mktemp("cli") / "home"
    raw = ask_json("collect", "raw", str(company / "tickets.csv"), home=home)
    assert (raw["name"], raw["number"], raw["meta"]["rows"]) == ("raw", 1, 72)
    clean = ask_json("clean", "tickets", "raw", "normalise", "drop_short:min_words=2", "drop_duplicates", home=home)
    assert clean["meta"]["rows"] == 70
    safe = ask_json("deidentify", "safe", "tickets", "--action", "EMAIL_ADDRESS=replace", home=home)
    assert safe["meta"]["findings"] == {"EMAIL_ADDRESS": {"text": 70}}
    tags = ask_json("collect", "tags", str(company / "tags"), home=home)
    assert tags["meta"]["rows"] == 144
    words = ask_json("train", "words", "tags", "crf", "--set", "tags=upos", "--set", "max_iterations=30", home=home)
    assert words["meta"]["tasks"][0] == "tag"
    report = ask_json("evaluate", "words", "tags", "--split", "dev", home=home)
    assert report["kind"] == "report"
    moved = ask_json("promote", "words", "production", "--gate", "accuracy >= 0.5", "--reason", "first", home=home)
    assert moved["to_version"] == "words@1"
    deployed = ask_json("deploy", "words", "words@production", "--limit", "record_content=true", home=home)
    assert deployed["limits"]["record_content"] is True
    return home


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[dict[str, Any]]:
    with up(home) as said:
        yield said


def test_two_models_are_compared(home: Path) -> None:
    other = ask_json("train", "other", "tags", "crf", "--set", "tags=upos", "--set", "max_iterations=2", home=home)
    accuracy = ask_json("compare", other["name"], "words", "tags", home=home)["meta"]["differences"]["accuracy"]
    assert accuracy["difference"] == pytest.approx(accuracy["second"] - accuracy["first"])
    said = " ".join(type_in("compare", "other", "words", "tags", home=home).stdout.split())
    assert said.startswith("figure other@1 words@1 difference from to p accuracy")
    assert "of the difference lies in" in said


def test_rows_pass_through_a_model(home: Path) -> None:
    made = ask_json("predict", "guessed", "words", "tickets", "--split", "dev", home=home)
    assert (made["kind"], made["meta"]["model"], made["meta"]["task"]) == ("dataset", "words@1", "tag")
    row = ask_json("documents", "guessed", "--limit", "1", home=home)["rows"][0]
    assert len(row["predicted_labels"]) == len(row["predicted_tokens"]) > 0
    refused = ask_json("predict", "guessed", "words", "tickets", "--task", "chat", home=home, code=2)
    assert "words@1 does not chat" in refused["error"]["message"]


# ---- help ----------------------------------------------------------------------------------------------------------------


def test_help_names_every_command() -> None:
    done = type_in("--help")
    assert done.returncode == 0
    assert all(f" {command.name} " in done.stdout for command in COMMANDS)


COMMAND_LINES = [[c.name] for c in COMMANDS] + [["keys", "list"], ["keys", "create"], ["keys", "revoke"]]


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_every_command_has_a_line_an_example_and_the_options_of_all(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*words, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"Example: fourfold {words[0]}" in said
    for option in ("--json", "--home", "--url"):
        assert option in said


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from fourfold.application import cli; cli.run(sys.argv[1:]); "
        "print([m for m in ('sqlalchemy', 'pyarrow', 'numpy', 'matplotlib', 'litestar', 'httpx', 'yaml') if m in sys.modules])"
    )
    for words in ([], ["train"], ["why"], ["up"], ["keys"]):
        done = subprocess.run([sys.executable, "-c", code, *words, "--help"], capture_output=True, text=True, env=QUIET)
        assert done.stdout.splitlines()[-1] == "[]", words


def test_version() -> None:
    from fourfold import __version__

    assert type_in("--version").stdout.strip() == __version__


# ---- exit codes and errors --------------------------------------------------------------------------------------------------

REFUSED = [
    (("versions", "--knd", "model"), 2, "--kind", "Run: fourfold versions --help"),
    (("tran",), 2, 'Did you mean "train"?', "Run: fourfold --help"),
    (("train", "x"), 2, "DATASET", "Run: fourfold train --help"),
    (("versions", "--kind", "modle"), 2, "modle", "Run: fourfold versions --help"),
    (("keys", "create", "x", "--role", "king"), 2, "king", "Run: fourfold keys create --help"),
    (("train", "x", "tags", "crff"), 2, "Did you mean 'crf'?", "Known: "),
    (("train", "x", "tags", "crf", "--set", "tagz=upos"), 2, "Did you mean 'tags'?", "Known: "),
    (("train", "x", "tags", "crf", "--set", "tags"), 2, "is no setting", "key=value"),
    (("clean", "x", "raw", "{drop_short: {min_words: [}}"), 2, "neither JSON nor YAML", "For example"),
    (("clean", "x", "raw", "@nowhere.yaml"), 1, "cannot be read", "Check the path."),
    (("collect", "x", "a", "--set", "path=b"), 2, "given twice", "not both"),
    (("collect", "x", "/nowhere/at/all"), 1, "There is no file or folder", "Check the path"),
    (("deploy", "x"), 2, "no version is named", "fourfold deploy x"),
    (("deploy", "x", "words@1=much"), 2, "is no weight", "For example"),
    (("deploy", "x", "raw"), 2, "only models can be deployed", "Run: fourfold versions --kind model"),
    (("deploy", "words", "words", "--limit", "max_input=1"), 2, "Did you mean 'max_inputs'?", "Known: "),
    (("deploy", "words", "words", "--expected-revision", "7"), 5, "revision", ""),
    (("promote", "words", "best", "--gate", "accuracy >= 1.1"), 5, "is not promoted", "Train or choose"),
    (("promote", "words", "best", "--gate", "acuracy >= 0.1"), 2, "Did you mean 'accuracy'?", "Known: "),
    (("show", "nothing@1"), 4, "nothing", "Run: fourfold"),
    (("show", "words@1", "--file", "model"), 4, "has no file 'model'", "Run: fourfold show words@1"),
    (("retire", "wrds"), 4, "Did you mean 'words'?", "Run: fourfold deployments"),
    (("ask", "wrds", "x"), 4, "Did you mean 'words'?", "Run: fourfold deployments"),
    (("rollback", "words"), 5, "never served anything else", "Run: fourfold show words"),
    (("why", "no-id"), None, "no-id", ""),
    (("cancel", "job_none"), 4, "job_none", "Run: fourfold"),
    (("keys", "create", "x", "--role", "reader", "--days", "0"), 2, "--days", ""),
    (("apply", "/nowhere.yaml"), None, "/nowhere.yaml", ""),
    (("versions", "--url", "localhost:8044"), 2, "is no address", "http://127.0.0.1:8044"),
    (("up", "--url", "http://127.0.0.1:1"), 2, "works on a home of this machine", "Leave out --url"),
]


@pytest.mark.parametrize(("words", "code", "said", "then"), REFUSED, ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_errors_say_what_and_what_next(home: Path, words: Sequence[str], code: int | None, said: str, then: str) -> None:
    found, out, err = call(*words, "--json", home=None if "--url" in words else home)
    assert found == code if code is not None else found in (1, 2, 4)
    assert err.startswith("error: ")
    assert said in err
    assert then in err.partition("→")[2] if then else True
    error = json.loads(out)["error"]
    assert said in error["message"]
    assert error["exit_code"] == found
    assert err.count("\n") == 1


def test_without_json_an_error_prints_nothing_on_stdout(home: Path) -> None:
    done = type_in("show", "nothing", home=home)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: ")


def test_a_key_without_the_right_ends_with_three(home: Path, served: dict[str, Any]) -> None:
    token = ask_json("keys", "create", "guest", "--role", "reader", home=home)["token"]
    env = {"FOURFOLD_URL": served["address"], "FOURFOLD_TOKEN": token}
    assert ask_json("versions", env=env)["data"]
    assert ask_json("retire", "words", env=env, code=3)["error"]["code"] == "not_permitted"
    assert ask_json("runs", env={**env, "FOURFOLD_TOKEN": "ff_wrong"}, code=3)["error"]["code"] == "not_signed_in"


def test_a_mistake_of_ours_is_one_line_and_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_words: object, **_options: object) -> None:
        raise KeyError("tokens")

    monkeypatch.setattr(cli, "app", broken)
    assert cli.run(["versions", "--home", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "This is a mistake in Fourfold" in said
    assert said.count("\n") == 1
    (log,) = (tmp_path / "logs").iterdir()
    assert str(log) in said
    assert "KeyError: 'tokens'" in log.read_text()
    assert cli.run(["versions", f"--home={tmp_path}", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_words: object, **_options: object) -> None:
        raise OSError(28, "No space left on device", "/home/work/fragment.parquet")

    monkeypatch.setattr(cli, "app", full)
    assert cli.run(["versions"]) == 1
    assert "/home/work/fragment.parquet: No space left on device. → Free disk space" in capsys.readouterr().err


def test_a_home_that_cannot_be_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    done = type_in("versions", home=file)
    assert done.returncode == 1
    assert "cannot be a home" in done.stderr


@pytest.fixture(scope="module")
def long_work(home: Path, company: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A command that trains for many seconds."""
    folder = tmp_path_factory.mktemp("long")
    sentences = (company / "tags" / "train.conllu").read_text()
    (folder / "long.conllu").write_text("\n".join(f"{sentences}\n# again {n}" for n in range(100)) + "\n")
    ask_json("collect", "long", str(folder), home=home)
    settings = ("tags=upos", "max_iterations=100000", "epsilon=1e-300", "delta=0.0")
    return ["train", "slow", "long", "crf", *(word for setting in settings for word in ("--set", setting)), "--home", str(home)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_is_failed_and_makes_nothing(
    home: Path, long_work: list[str], number: signal.Signals, code: int
) -> None:
    process = subprocess.Popen([*FOURFOLD, *long_work], stderr=subprocess.PIPE, text=True, env=QUIET)
    while not ask_json("runs", "--name", "slow", "--state", "running", home=home)["data"]:
        assert process.poll() is None, "it ended by itself"
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert said == ("interrupted: what was begun left nothing half-made\n" if code == 130 else "")
    (run, *_) = ask_json("runs", "--name", "slow", home=home)["data"]
    assert (run["state"], run["version"]) == ("failed", None)
    assert not list((home / "work").iterdir())


def test_a_reader_that_has_seen_enough(home: Path) -> None:
    done = subprocess.run(
        f"{FOURFOLD[0]} -c '{FOURFOLD[2]}' documents tags --limit 100 --home {home} | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, env={**QUIET, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert done.stdout.startswith("document")
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr


# ---- looking -------------------------------------------------------------------------------------------------------------

LISTS = ["versions", "runs", "jobs", "deployments", "keys", "doctor"]


@pytest.mark.parametrize("command", LISTS)
def test_lists_of_an_empty_home_say_what_to_type(command: str, tmp_path: Path) -> None:
    code, out, _ = call(command, home=tmp_path)
    assert code == 0
    assert "fourfold" in out


@pytest.mark.parametrize("command", LISTS)
def test_lists_of_a_home_with_something_in_it(command: str, home: Path) -> None:
    code, text, _ = call(command, home=home)
    assert code == 0
    assert text
    assert "\x1b" not in text, "colours are for terminals"
    code, out, err = call(command, "--json", home=home)
    assert (code, err) == (0, "")
    assert isinstance(json.loads(out), dict | list)


def test_versions_show_kind_alias_and_figures(home: Path) -> None:
    (head, row, *_) = call("versions", "words", home=home)[1].splitlines()
    assert head.split() == ["version", "kind", "aliases", "size", "made"]
    assert row.split()[:4] == ["words@1", "model", "production", "crf,"]


@pytest.mark.parametrize("thing", ["words@1", "words@production", "words", "safe"])
def test_show_opens_what_a_name_stands_for(thing: str, home: Path) -> None:
    shown = {"words@production": "alias", "words": "deployment"}.get(thing, "version")
    code, text, _ = call("show", thing, home=home)
    assert code == 0
    assert text.splitlines()[0] == shown
    assert ask_json("show", thing, home=home)["what"] == shown


def test_show_opens_documents_and_digests(home: Path) -> None:
    row = ask_json("documents", "safe", "--limit", "1", home=home)["rows"][0]
    assert "safe@1" in ask_json("show", row["doc_id"], home=home)["value"]
    assert ask_json("show", row["source_digest"], home=home)["what"] == "file"
    assert ask_json("documents", "safe", "--doc-id", row["doc_id"], home=home)["total"] == 1


def test_show_copies_a_file_once(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "card.md"
    words = ["show", "words@1", "--file", "README.md", "--to", str(target)]
    assert ask_json(*words, home=home) == {"file": str(target)}
    assert target.read_text().startswith("---")
    assert "is there already" in ask_json(*words, home=home, code=5)["error"]["message"]


def test_describe_prints_figures(home: Path) -> None:
    assert "rows: 70" in call("describe", "safe", home=home)[1]
    assert ask_json("describe", "safe", home=home)["rows"] == 70


def test_text_of_documents_cannot_move_the_cursor(tmp_path: Path) -> None:
    evil = tmp_path / "evil.txt"
    evil.write_text("one \x1b[2J\x1b[31mred\x07 [bold]two[/bold] :smile: and three\n")
    home = tmp_path / "home"
    ask_json("collect", "evil", str(evil), home=home)
    said = call("documents", "evil", home=home)[1]
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "[bold]two[/bold] :smile:" in said


def test_several_files_become_their_folder_and_a_list(company: Path, home: Path) -> None:
    names = [str(company / "tags" / f"{part}.conllu") for part in ("train", "dev")]
    version = ask_json("collect", "some", *names, home=home)
    assert version["meta"]["files"] == 2
    assert version["meta"]["rows"] == 144


# ---- a terminal ------------------------------------------------------------------------------------------------------------


def on_a_terminal(words: Sequence[str], env: Mapping[str, str]) -> str:
    """What a command shows on a terminal of 100 columns."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(FOURFOLD[0], [*FOURFOLD, *words], {**QUIET, "TERM": "xterm-256color", "COLUMNS": "100", **env})
    shown = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return shown.decode()


def test_colours_and_bars_are_for_terminals_and_no_color_is_obeyed(home: Path) -> None:
    words = ["clean", "again", "raw", "normalise", "--home", str(home)]
    assert "\x1b[" in on_a_terminal(words, {})
    plain = on_a_terminal(["versions", "--home", str(home)], {"NO_COLOR": "1"})
    assert "\x1b[3" not in plain
    assert "words@1" in plain


# ---- serving ---------------------------------------------------------------------------------------------------------------


def test_the_first_start_shows_a_token_and_the_second_none(tmp_path: Path) -> None:
    with up(tmp_path) as first:
        assert first["admin_token"].startswith("ff_")
        who = ask_json("keys", env={"FOURFOLD_URL": first["address"], "FOURFOLD_TOKEN": first["admin_token"]})
        assert {key["name"] for key in who} == {"command line", "first admin"}
        again = ask_json("up", "--port", "0", home=tmp_path, code=5)
        assert "already runs" in again["error"]["message"]
    with up(tmp_path) as second:
        assert second["admin_token"] is None


def test_an_open_address_without_a_key_is_refused(tmp_path: Path) -> None:
    said = ask_json("up", "--host", "0.0.0.0", "--port", "0", home=tmp_path, code=3)
    assert "fourfold keys create" in said["error"]["hint"]
    assert ask_json("keys", home=tmp_path) == []


def test_a_port_in_use_is_named(tmp_path: Path, served: dict[str, Any]) -> None:
    port = served["address"].rpartition(":")[2]
    said = ask_json("up", "--port", port, home=tmp_path, code=5)
    assert port in said["error"]["message"]
    assert "--port" in said["error"]["hint"]
    assert ask_json("keys", home=tmp_path) == [], "no token was made that nobody saw"


def test_ask_and_why(home: Path, served: dict[str, Any]) -> None:
    asked = "The lamp of Anna sings today"
    answer = ask_json("ask", "words", asked, home=home)
    assert [t["text"] for t in answer["results"][0]["tokens"]] == asked.split()
    assert {"DET", "NOUN"} <= {t["label"] for t in answer["results"][0]["tokens"]}
    trace = ask_json("why", answer["id"], home=home)
    kinds = [node["kind"] for node in trace["trace"]]
    assert kinds[:4] == ["answer", "step", "version", "run"]
    assert {"report", "dataset", "document", "source"} <= set(kinds)
    assert trace["version"] == answer["version"] == "words@1"
    for node in trace["trace"]:
        if node.get("digest") and node["kind"] in ("version", "report", "dataset"):
            assert ask_json("show", node["digest"], home=home)["what"] == "version"


def test_an_answer_reads_well(home: Path, served: dict[str, Any]) -> None:
    done = type_in("ask", "words", "-", home=home, text="The lamp of Anna sings today\n")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["word", "label", "score"]
    assert lines[1].split()[:2] == ["The", "DET"]
    last = lines[-1]
    assert last.startswith("Run: fourfold why req_")
    _, traced, _ = call("why", last.split()[-1], home=home)
    assert "words@1" in traced
    assert "train.conllu#" in traced
    assert "█" in call("ask", "words", "The lamp of Anna", "--task", "rank", home=home)[1]


def test_each_task_prints_its_answer(home: Path, served: dict[str, Any]) -> None:
    ask_json("train", "phrases", "tags", "ngram:order=2,discount_fallback=[0.5,1,1.5]", home=home)
    ask_json("deploy", "phrases", "phrases", home=home)
    ask = partial(call, "ask", "phrases", home=home)
    assert "perplexity" in ask("The lamp of Anna")[1], "score is its first task"
    suggested = ask("The lamp", "--task", "suggest", "--set", "top_k=3")[1].splitlines()
    assert [line.split()[:2] for line in suggested[1:4]] == [["The", "lamp"]] * 3
    code, text, _ = ask("The lamp", "--task", "generate", "--set", "seed=1", "--set", "max_tokens=4")
    assert (code, len(text.splitlines())) == (0, 3), "a text, its id, what to type next"
    ranked = ask_json("ask", "phrases", "The lamp of", "--item", "sings", "--item", "Anna", home=home)
    assert [one["text"] for one in ranked["results"][0]["ranking"]] == ["Anna", "sings"]
    assert ask_json("ask", "phrases", "x", "--set", "topk=3", "--task", "suggest", home=home, code=2)["error"]


def test_the_same_commands_on_a_server(home: Path, served: dict[str, Any], company: Path) -> None:
    token = ask_json("keys", "create", "remote", "--role", "admin", "--days", "1", home=home)["token"]
    env = {"FOURFOLD_URL": served["address"], "FOURFOLD_TOKEN": token}
    version = ask_json("collect", "remote", str(company / "tickets.csv"), env=env)
    assert version["meta"]["rows"] == 72
    assert ask_json("versions", "remote", env=env) == ask_json("versions", "remote", home=home)
    answer = ask_json("ask", "words", "The lamp of Anna", env=env)
    assert answer["version"] == "words@1"


def test_deploy_waits_until_it_is_served_and_rollback_goes_back(home: Path, served: dict[str, Any]) -> None:
    ask_json("train", "other", "tags", "crf:tags=upos,max_iterations=5", home=home)
    ask_json("deploy", "two", "words@1", home=home)
    ask_json("deploy", "two", "other@1", "--reason", "a try", home=home)
    assert ask_json("ask", "two", "The lamp", home=home)["version"] == "other@1"
    assert ask_json("rollback", "two", home=home)["routes"] == [{"version": "words@1", "weight": 1.0}]
    assert ask_json("ask", "two", "The lamp", home=home)["version"] == "words@1"
    shared = ask_json("deploy", "two", "words@1=3", "other@1=1", home=home)
    assert [route["weight"] for route in shared["routes"]] == [0.75, 0.25]
    assert ask_json("retire", "two", home=home)["state"] == "retired"
    _, listed, _ = call("deployments", home=home)
    assert [line.split()[0] for line in listed.splitlines()] == ["name", "phrases", "two", "words"]
    assert "75%" in listed


def test_a_revoked_key_opens_nothing(home: Path, served: dict[str, Any]) -> None:
    made = ask_json("keys", "create", "soon gone", "--role", "reader", home=home)
    closed = ask_json("keys", "revoke", made["key"]["id"], home=home)
    assert closed["revoked_at"] is not None
    env = {"FOURFOLD_URL": served["address"], "FOURFOLD_TOKEN": made["token"]}
    assert ask_json("versions", env=env, code=3)["error"]["code"] == "not_signed_in"
    assert "revoked" in call("keys", home=home)[1]


# ---- the whole -------------------------------------------------------------------------------------------------------------


def test_apply_prints_stages_and_does_nothing_twice(tmp_path: Path, company: Path) -> None:
    project = tmp_path / "fourfold.yaml"
    project.write_text(
        f"project: small\ndatasets:\n  raw: {{collect: {{files: {{path: {json.dumps(str(company / 'tickets.csv'))}}}}}}}\n"
        "  clean: {from: raw, clean: [normalise]}\n"
    )
    home = tmp_path / "home"
    planned = ask_json("apply", str(project), "--dry-run", home=home)
    assert {stage["state"] for stage in planned["stages"]} == {"planned"}
    assert ask_json("versions", home=home)["data"] == []
    assert "2 done" in call("apply", str(tmp_path), home=home)[1]
    assert {stage["state"] for stage in ask_json("apply", str(project), home=home)["stages"]} == {"unchanged"}


def test_doctor_ends_with_one_when_something_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fourfold.application import doctor
    from fourfold.application.results import Check, Health

    sick = Health(False, [Check("disk", "error", "0 bytes free", "Free some.")])
    monkeypatch.setattr(doctor, "examine", lambda *_: sick)
    code, out, _ = call("doctor", home=tmp_path)
    assert code == 1
    assert "0 bytes free" in out


# ---- parts as they are typed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "more", "spec"),
    [
        ("crf", [], "crf"),
        ("crf", ["tags=upos", "c2=0.1"], {"crf": {"tags": "upos", "c2": 0.1}}),
        ("drop_short:min_words=2", [], {"drop_short": {"min_words": 2}}),
        ("a:b=1,c=[1,2],d=x,y", [], {"a": {"b": 1, "c": [1, 2], "d": "x,y"}}),
        ("{crf: {tags: upos}}", ["min_word_count=3"], {"crf": {"tags": "upos", "min_word_count": 3}}),
        ('{"crf": null}', [], "crf"),
        ("files", ['path="2024"', "deep=true", "n=null"], {"files": {"path": "2024", "deep": True, "n": None}}),
        ("files", ["path=a=b"], {"files": {"path": "a=b"}}),
    ],
)
def test_a_part_as_it_is_typed(text: str, more: list[str], spec: object) -> None:
    from fourfold.application.cli_specs import part

    assert part(text, more) == spec


def test_a_part_from_a_file(tmp_path: Path) -> None:
    from fourfold.application.cli_specs import part

    (tmp_path / "crf.yaml").write_text("crf:\n  tags: upos\n")
    assert part(f"@{tmp_path / 'crf.yaml'}") == {"crf": {"tags": "upos"}}
    (tmp_path / "crf.yaml").write_bytes(b"\xff")
    with pytest.raises(BadInput, match="neither JSON nor YAML"):
        part(f"@{tmp_path / 'crf.yaml'}")
