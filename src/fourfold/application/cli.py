"""The command line: each command is loaded when it is called; the edge where errors become exit codes."""

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cyclopts import App, CycloptsError, Group, Parameter

from fourfold import __version__
from fourfold.application.cli_commands import COMMANDS
from fourfold.application.cli_stop import listen
from fourfold.core.config import default_home
from fourfold.core.errors import FourfoldError, StorageFull

DONE, FAILED, USAGE, INTERRUPTED, PIPE_CLOSED, TERMINATED = 0, 1, 2, 130, 141, 143
DEFAULTS = Parameter(negative=(), show_default=False)  # the help of each option says what its default is
HELP = "Bring your company's own language models into production, and trace every answer to the documents it came from."


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
