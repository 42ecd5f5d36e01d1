"""What every command shares: which home or server it acts on, how it prints, and how far its work is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import msgspec
from cyclopts import Group, Parameter

from fourfold.application.cli_stop import check
from fourfold.core.config import default_home
from fourfold.core.errors import BadSpec

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from fourfold.application.client import Client

EVERYWHERE = Group("Everywhere", sort_key=99)


def _everywhere(help: str) -> Parameter:
    return Parameter(help=help, group=EVERYWHERE)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Common:
    """The options of every command."""

    json: Annotated[bool, _everywhere("One JSON document on stdout; everything else goes to stderr.")] = False
    home: Annotated[Path | None, _everywhere("The home folder. Default: FOURFOLD_HOME, else ~/.fourfold.")] = None
    url: Annotated[str | None, _everywhere("A server instead of a home. Default: FOURFOLD_URL.")] = None
    token: Annotated[str | None, _everywhere("The key for that server; better in FOURFOLD_TOKEN.")] = None
    debug: Annotated[bool, _everywhere("Show the traceback of a mistake in Fourfold.")] = False

    @property
    def remote(self) -> bool:
        """Whether a server is meant, whose files are not this machine's."""
        return bool(self.url or (self.home is None and os.environ.get("FOURFOLD_URL")))

    def folder(self, command: str) -> Path:
        """The home, for a command that works on one of this machine. Raises BadSpec if a server was named."""
        if self.url:
            raise BadSpec(f"fourfold {command} works on a home of this machine, not on {self.url}.", hint="Leave out --url.")
        return self.home.expanduser().absolute() if self.home else default_home()


DEFAULT = Common()


@contextmanager
def opened(common: Common) -> Iterator[Client]:
    """A client of the home or server, with a progress bar while it works."""
    from fourfold.application.client import Client  # with database and tables: not for --help

    with Bar() as bar, Client(home=common.home, url=common.url, token=common.token, progress=bar) as client:
        yield client


def emit(common: Common, result: Any, text: Callable[[], object]) -> None:
    """Print the result: as JSON, or as `text` prints it."""
    if common.json:
        document = msgspec.json.format(msgspec.json.encode(result), indent=2)
        sys.stdout.buffer.write(document + b"\n")  # JSON is UTF-8, whatever the locale says
        sys.stdout.buffer.flush()
    else:
        text()


def note(text: str) -> None:
    """A line for people, beside the result."""
    print(text, file=sys.stderr, flush=True)


class Bar:
    """Progress as a bar on stderr, on a terminal only; gone when the work is done."""

    def __init__(self) -> None:
        self._progress: RichProgress | None = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, done: float, total: float | None, unit: str, /) -> None:
        """How far the work is. Raises what a signal asked for, if that was swallowed."""
        check()
        if not sys.stderr.isatty():
            return
        if self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            text = TextColumn("{task.completed:,.0f} {task.fields[of]}{task.fields[unit]}")
            self._progress = Progress(BarColumn(), text, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
            self._progress.start()
            self._task = self._progress.add_task("", total=total, of="", unit=unit)
        of = "" if total is None else f"of {total:,.0f} "
        self._progress.update(self._task, completed=done, total=total, of=of, unit=unit)
