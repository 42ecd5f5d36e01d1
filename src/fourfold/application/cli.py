"""The command line: a table of commands, each loaded when it is called, and the edge where errors become exit codes."""

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cyclopts import App, CycloptsError, Group, Parameter

from fourfold import __version__
from fourfold.application.cli_stop import listen
from fourfold.core.config import default_home
from fourfold.core.errors import FourfoldError, StorageFull

DONE, FAILED, USAGE, INTERRUPTED, PIPE_CLOSED, TERMINATED = 0, 1, 2, 130, 141, 143
DEFAULTS = Parameter(negative=(), show_default=False)  # the help of each option says what its default is
HELP = "Bring your company's own language models into production, and trace every answer to the documents it came from."


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its name, where its function is, what it does, and an example."""

    name: str
    target: str  # module below fourfold.application, and attribute
    group: str
    about: str
    example: str

    @property
    def help(self) -> str:
        """What `--help` says."""
        return f"{self.about}\n\nExample: {self.example}"


COMMANDS = (
    Command("tour", "cli_home:tour", "Begin",
            "From documents to a traced answer: the whole flow on this machine, stage by stage.",
            "fourfold tour --once"),
    Command("apply", "cli_home:apply", "Begin",
            "Make a project file true: sources, datasets, models, gates, deployments. Unchanged stages are not run again.",
            "fourfold apply fourfold.yaml --dry-run"),
    Command("up", "cli_serving:up", "Begin",
            "Serve a home until Ctrl-C; the first start prints an admin token.",
            "fourfold up --port 8044"),
    Command("collect", "cli_data:collect", "Data",
            "Collect documents into a new version of a dataset.",
            "fourfold collect tickets support/tickets --set 'include=[\"*.csv\"]'"),
    Command("clean", "cli_data:clean", "Data",
            "Pass a dataset through cleaning steps, in order, into a new version.",
            "fourfold clean tickets-clean tickets normalise drop_short:min_words=2 drop_duplicates"),
    Command("deidentify", "cli_data:deidentify", "Data",
            "Find personal data in a dataset and mask, replace, hash or drop it.",
            "fourfold deidentify support tickets-clean --action CREDIT_CARD=drop"),
    Command("describe", "cli_data:describe", "Data",
            "Rows, columns, missing values, lengths, languages, labels, splits and drops of a dataset.",
            "fourfold describe support@2"),
    Command("documents", "cli_data:documents", "Data",
            "Rows of a dataset, or one document of it.",
            "fourfold documents support --limit 5"),
    Command("train", "cli_models:train", "Models",
            "Train a model of a family on the train split of a dataset.",
            "fourfold train words tags crf --set tags=upos --set l2=0.1"),
    Command("evaluate", "cli_models:evaluate", "Models",
            "Judge a model on a split of a dataset: a report with figures, intervals and plots.",
            "fourfold evaluate words tags --split dev"),
    Command("promote", "cli_models:promote", "Models",
            "Point an alias at a version once its newest report passes every gate.",
            "fourfold promote words@3 production --gate 'accuracy >= 0.9'"),
    Command("deploy", "cli_serving:deploy", "Serving",
            "Serve a version under a name, or several by weight.",
            "fourfold deploy words words@production --limit record_content=true"),
    Command("retire", "cli_serving:retire", "Serving",
            "Take a deployment out of service for good; its history stays.",
            "fourfold retire words --reason 'replaced by entities'"),
    Command("rollback", "cli_serving:rollback", "Serving",
            "Give a deployment back the versions that it served before.",
            "fourfold rollback words"),
    Command("deployments", "cli_serving:deployments", "Serving",
            "List the deployments: what they serve, and whether it is being served.",
            "fourfold deployments"),
    Command("ask", "cli_answers:ask", "Answers",
            "Ask a deployment: words and labels, a ranking, a score, suggestions or a text.",
            "fourfold ask words 今天天气怎么样 --task rank"),
    Command("why", "cli_answers:why", "Answers",
            "Trace an answer: step, version, run, datasets, source documents.",
            "fourfold why req_01k…"),
    Command("versions", "cli_look:versions", "Look",
            "List versions, newest first.",
            "fourfold versions --kind model"),
    Command("runs", "cli_look:runs", "Look",
            "List runs: what was done, from what, and how it ended.",
            "fourfold runs --state failed"),
    Command("jobs", "cli_look:jobs", "Look",
            "List jobs: long acts that were asked for over HTTP.",
            "fourfold jobs --state running"),
    Command("cancel", "cli_look:cancel", "Look",
            "Stop a job; what it began leaves nothing.",
            "fourfold cancel job_01k…"),
    Command("show", "cli_look:show", "Look",
            "Show whatever a version, alias, run, job, answer, deployment, document id or digest stands for.",
            "fourfold show words@3"),
    Command("keys", "cli_keys:keys", "Home",
            "List, create and revoke API keys.",
            "fourfold keys create shop-backend --role reader"),
    Command("doctor", "cli_home:doctor", "Home",
            "Examine a home: database, disk, audit chain, serving processes, extras.",
            "fourfold doctor"),
)  # fmt: skip


def make_app() -> App:
    """The commands as cyclopts knows them; none is imported before it is called."""
    made = App(
        name="fourfold",
        help=HELP,
        version=__version__,
        help_format="plaintext",
        default_parameter=DEFAULTS,
        suppress_keyboard_interrupt=False,  # `run` answers to Ctrl-C
    )
    groups = {name: Group(name, sort_key=place) for place, name in enumerate(dict.fromkeys(c.group for c in COMMANDS))}
    for place, command in enumerate(COMMANDS):
        target = f"fourfold.application.{command.target}"
        made.command(target, name=command.name, help=command.help, group=groups[command.group], sort_key=place)
    return made


app = make_app()


def main() -> None:
    """The entry point `fourfold`."""
    listen(TERMINATED)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Do what is typed; returns the exit code (docs/cli.md lists them)."""
    try:
        code = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        return _fail(arguments, "usage", _usage(error), f"Run: {_command(error)} --help", USAGE)
    except FourfoldError as error:
        return _fail(arguments, error.code, error.message, error.hint, error.exit_code)
    except KeyboardInterrupt:
        print("interrupted: what was begun left nothing half-made", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # a reader such as head has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        return _fail(arguments, *_of_the_machine(error), FAILED)
    except Exception as error:  # the edge: the one place for a mistake of ours
        return _mistake(arguments, error)
    return code if isinstance(code, int) else DONE


def _fail(arguments: Sequence[str], code: str, message: str, hint: str, exit_code: int) -> int:
    print(f"error: {message}{f' → {hint}' if hint else ''}", file=sys.stderr)
    if "--json" in arguments:
        error = {"code": code, "message": message, "hint": hint, "exit_code": exit_code}
        sys.stdout.buffer.write(msgspec.json.encode({"error": error}) + b"\n")
    return exit_code


def _usage(error: CycloptsError) -> str:
    return " ".join(str(error).split())


def _command(error: CycloptsError) -> str:
    return " ".join(["fourfold", *(error.command_chain or ())])


def _of_the_machine(error: OSError) -> tuple[str, str, str]:
    what = f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror or error}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull.code, what, "Free disk space; nothing was half-written."
    return "failed", what, "Run: fourfold doctor"


def _mistake(arguments: Sequence[str], error: Exception) -> int:
    said = f"{type(error).__name__}: {error}. This is a mistake in Fourfold."
    if "--debug" in arguments:
        traceback.print_exception(error)
        return _fail(arguments, "failed", said, "", FAILED)
    file = _home(arguments) / "logs" / f"mistake-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return _fail(arguments, "failed", said, "See the traceback with --debug.", FAILED)
    return _fail(arguments, "failed", said, f"The traceback is in {file}; --debug shows it.", FAILED)


def _home(arguments: Sequence[str]) -> Path:
    """The home that was typed, without asking the parser, which may be what failed."""
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--home":
            return Path(value if equals else next(iter(arguments[place + 1 :]), ".")).expanduser()
    return default_home()
