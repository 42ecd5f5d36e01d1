"""The tour: from documents to a traced answer on this machine, shown stage by stage."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
from msgspec import Struct

import fourfold
from fourfold.application.apply import apply
from fourfold.application.client import Answer, Client
from fourfold.application.own_key import COMMAND_LINE, own_token, token_path
from fourfold.application.platform import Platform
from fourfold.application.project import read_project
from fourfold.application.results import Node, Trace
from fourfold.application.tour_data import Question, datasets_of, questions_of, with_models
from fourfold.application.tour_screen import Screen
from fourfold.application.tour_server import TourServer
from fourfold.core.config import Settings, default_home
from fourfold.core.errors import NotFound
from fourfold.data.dataset import Dataset
from fourfold.storage.ledger import Ledger

EXAMPLE = Path("examples") / "support-desk"
QUESTIONS = [
    Question("words", "tag", ("我的扫地机昨天开始不回充了，能退货吗？", "The kettle arrived broken. Can I return it?")),
    Question("entities", "tag", ("订单TM2026031877什么时候到杭州？", "SwiftPost lost my Vole in Rotterdam last week.")),
    Question("suggest", "suggest", ("退",)),
]
SUGGESTIONS = 5


class Told(Struct):
    """The document that `fourfold tour --json` prints. `seconds` are those of the whole tour."""

    answer_id: str
    deployment: str
    version: str
    trace: list[Node]
    seconds: float


def tour(home: Path, settings: Settings, *, once: bool, json: bool, data: Path | None, port: int | None) -> int:
    """Show the whole way on the example company, or on the files below `data`; then serve until Ctrl-C, unless `once`.

    With `json` one document (Told) goes to standard output, and all that is shown to standard error. Returns the exit code.
    """
    begun = time.perf_counter()
    screen = Screen(json=json)
    server = TourServer(home, settings.host, (0 if once else settings.port) if port is None else port)
    server.check()
    ledger = Ledger.open(home)
    try:
        with _terminated_as_interrupted():
            own_token(ledger)  # before serving begins, so that the first request finds its key known
            platform = Platform(ledger, COMMAND_LINE, settings, progress=screen.progress)
            deployments, questions = _build(platform, screen, data)
            server.start()
            address = server.wait_ready(deployments)
            trace = _ask_and_why(screen, address, own_token(ledger), questions)
            told = Told(trace.answer_id, trace.deployment, trace.version, trace.trace, round(time.perf_counter() - begun, 2))
            screen.say("", f"From documents to a traced answer in {told.seconds:.0f} s.")
            if json:
                sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
                sys.stdout.flush()
            if not once:
                _stay(screen, server, home, trace, questions[0])
    finally:
        screen.still()
        server.close()
        ledger.close()
    return 0


def example_folder() -> Path:
    """The example company: in the installed package, or in the repository that the package is run from."""
    package = Path(fourfold.__file__).parent
    for place in (package, package.parents[1]):
        if (place / EXAMPLE / "fourfold.yaml").is_file():
            return place / EXAMPLE
    raise NotFound("The example company was not installed with Fourfold.", hint="Run: fourfold tour --data FOLDER")


def _build(platform: Platform, screen: Screen, data: Path | None) -> tuple[list[str], Sequence[Question]]:
    """Make the project true; the deployments that must be up, and what to ask of them."""
    if data is None:
        folder = example_folder()
        screen.title(
            "Fourfold tour · 山雀家居 Titmouse Home, a small company with a support desk", f"{folder} → {platform.ledger.home}"
        )
        project = read_project(folder)
        apply(platform, project, folder, dry_run=False, watch=screen)
        return list(project["deployments"]), QUESTIONS
    folder = data.expanduser().absolute()
    project = datasets_of(folder)
    screen.title(f"Fourfold tour · your files in {folder.name}", f"{folder} → {platform.ledger.home}")
    made = apply(platform, project, folder, dry_run=False, watch=screen)
    ledger = platform.ledger
    newest = {stage.result.rpartition("@")[0]: ledger.version(stage.result) for stage in made.stages}
    datasets = {name: Dataset(ledger.materialise(newest[name])) for name in ("texts", "labelled") if name in newest}
    project = with_models(project, datasets)
    apply(platform, project, folder, dry_run=False, watch=_SecondHalf(screen))
    return list(project["deployments"]), questions_of(project, datasets)


class _SecondHalf:
    """Shows the stages of models and deployments; those of datasets have been seen."""

    def __init__(self, screen: Screen) -> None:
        self.begins = screen.begins
        self._ends = screen.ends

    def ends(self, outcome: Any, /) -> None:
        if not outcome.stage.startswith("datasets."):
            self._ends(outcome)


def _ask_and_why(screen: Screen, address: str, token: str, questions: Sequence[Question]) -> Trace:
    """Ask each question over HTTP, then why the first answer is what it is."""
    screen.heading(f"Asked over HTTP at {address}")
    with Client(url=address, token=token) as client:
        answers = [_ask(client, screen, question) for question in questions]
        screen.heading("Why the first answer is what it is, down to the documents")
        only = questions[0].texts[0] if len(questions[0].texts) == 1 else None
        trace = client.why(answers[0].id, text=only)
    screen.trace(trace)
    return trace


def _ask(client: Client, screen: Screen, question: Question) -> Answer:
    options = {"top_k": SUGGESTIONS} if question.task == "suggest" else {}
    answer = client.ask(question.deployment, question.task, list(question.texts), **options)
    screen.answer(question.task, question.texts, answer)
    return answer


def _stay(screen: Screen, server: TourServer, home: Path, trace: Trace, question: Question) -> None:
    """Say what to try next, and stay until somebody ends it."""
    where = "" if home == default_home() else f" --home {shlex.quote(str(home))}"
    screen.heading(f"Serving at {server.address}")
    screen.say(f"The token of this home's command line is in {token_path(home)}", "", "Try next, in another terminal:")
    asked = shlex.quote(question.texts[0])
    screen.say(
        f"  fourfold ask {question.deployment} {asked}{where}",
        f"  fourfold why {trace.answer_id}{f' --text {asked}' if len(question.texts) == 1 else ''}{where}",
        f"  fourfold versions{where}",
    )
    if not server.ours:
        screen.say("", "It was being served before this tour, and goes on.")
        return
    screen.say("", "Ctrl-C stops everything.")
    try:
        server.wait()
    except KeyboardInterrupt:
        screen.say("", "Stopping. What was made stays: fourfold up serves it again.")


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the tour as Ctrl-C does: nothing half-made, nothing left running."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
