"""What a tour shows: a line per stage, answers, traces. Colours and a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from fourfold.application.client import Answer
from fourfold.application.results import StageOutcome, Trace
from fourfold.application.stages import Stage
from fourfold.application.tour_words import shown, what
from fourfold.application.trace_tree import trace_tree
from fourfold.compute.tasks import Span, Suggested, Tagged, Token

PLAIN_COLUMNS = 160  # where there is no terminal to fit
WIDEST_COLUMNS = 130
NAME_COLUMNS = 23
BAR_COLUMNS = 24
INDENT = (0, 0, 0, 4)
MARKS = {"done": ("✓", "green"), "unchanged": ("=", "dim"), "planned": ("·", "dim")}
SURE, UNSURE = 0.9, 0.6  # a score is green from the one, red below the other


class Screen:
    """Prints to standard output, or with `json` to standard error. It is the Watch of an apply."""

    def __init__(self, *, json: bool) -> None:
        console = Console(stderr=json, highlight=False)
        width = min(console.width, WIDEST_COLUMNS) if console.is_terminal else PLAIN_COLUMNS
        self.console = Console(stderr=json, highlight=False, width=width)
        self._live: Live | None = None
        self._stage: Stage | None = None
        self._far = ""

    def title(self, text: str, below: str) -> None:
        """What this is."""
        self.console.print(Text.assemble("\n  ", (text, "bold"), f"\n  {below}\n"))

    def heading(self, text: str) -> None:
        """A part of the tour begins."""
        self.console.print(Text(f"\n  {text}\n", "bold"))

    def say(self, *lines: str | Text) -> None:
        """Some lines."""
        for line in lines:
            self.console.print(Padding(line, INDENT, expand=False) if line else "")

    # Stages

    def begins(self, stage: Stage, /) -> None:
        """A stage is under way."""
        self._stage, self._far = stage, ""
        if self.console.is_terminal:
            self._live = Live(console=self.console, transient=True, refresh_per_second=12, get_renderable=self._waiting)
            self._live.start()

    def progress(self, done: float, total: float | None, unit: str, /) -> None:
        """How far the stage is."""
        self._far = f"{done:,.0f}{'' if total is None else f' of {total:,.0f}'} {unit}"

    def ends(self, outcome: StageOutcome, /) -> None:
        """A stage is done: its line."""
        self.still()
        mark, style = MARKS[outcome.state]
        origin = f"{outcome.inputs[0]}: " if outcome.inputs and outcome.verb not in ("promote", "deploy") else ""
        seconds = "unchanged" if outcome.state == "unchanged" else f"{outcome.seconds:.1f} s"
        said = Text.assemble((origin, "dim"), what(outcome))
        if self.console.is_terminal:
            self.console.print(self._line(Text(mark, style), outcome.verb, outcome.result, said, Text(seconds, "dim")))
        else:  # a line stays a line, however long
            self.console.print(
                f"  {mark}  {outcome.verb:<11} {outcome.result:<{NAME_COLUMNS}} {said} ({seconds})", soft_wrap=True
            )

    def still(self) -> None:
        """Take the spinner away, whatever comes next."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _waiting(self) -> RenderableType:
        assert self._stage is not None
        return self._line(Spinner("dots", style="cyan"), self._stage.verb, self._stage.makes, Text(self._far, "dim"), Text(""))

    def _line(self, mark: RenderableType, verb: str, name: str, said: Text, seconds: Text) -> Table:
        line = Table.grid(padding=(0, 2, 0, 0), expand=True)
        line.add_column(width=3, justify="right")
        line.add_column(width=10, style="bold")
        line.add_column(width=NAME_COLUMNS, style="cyan", overflow="fold")
        line.add_column(ratio=1, overflow="fold")
        line.add_column(width=9, justify="right", no_wrap=True)
        line.add_row(mark, verb, name, said, seconds)
        return line

    # Answers

    def answer(self, task: str, texts: Sequence[str], answer: Answer) -> None:
        """A question and its answer."""
        timings = f"{sum(answer.timings_ms.values()):.1f} ms"
        head = f"POST /v1/deployments/{answer.deployment}:{task}"
        self.say(Text.assemble((head, "bold"), (f"   {answer.version}, {answer.id}, {timings}", "dim")), "")
        for text, result in zip(texts, answer.results):
            self.say(Text(shown(text), "italic"))
            for part in self._result(text, result):
                self.console.print(Padding(part, (0, 0, 0, 6), expand=False))
            self.say("")

    def _result(self, text: str, result: Any) -> Iterator[RenderableType]:
        match result:
            case Tagged(spans=[*spans]) if spans:
                yield from map(_span, spans)
            case Tagged(tokens=tokens):
                yield from _rows(tokens, self.console.width - 10)
            case Suggested(suggestions=suggestions):
                for suggestion in suggestions:
                    yield _suggestion(shown(text), shown(suggestion.text), suggestion.score)

    def trace(self, trace: Trace) -> None:
        """Why an answer is what it is."""
        self.console.print(Padding(trace_tree(trace), INDENT, expand=False))
        self.say(Text(f"found in {1000 * trace.seconds:.0f} ms", "dim"))


def _rows(tokens: Sequence[Token], width: int) -> Iterator[Table]:
    """Words with labels and scores below them, in as many rows as fit."""
    row: list[Token] = []
    used = 0
    for token in tokens:
        needs = max(cell_len(token.text), len(token.label), 4) + 2
        if row and used + needs > width:
            yield _row(row)
            row, used = [], 0
        row.append(token)
        used += needs
    if row:
        yield _row(row)


def _row(tokens: Sequence[Token]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in tokens:
        table.add_column(no_wrap=True)
    table.add_row(*(Text(shown(token.text), "bold") for token in tokens))
    table.add_row(*(Text(token.label, "cyan") for token in tokens))
    table.add_row(*(Text(f"{token.score:.2f}", _style(token.score)) for token in tokens))
    return table


def _span(span: Span) -> Text:
    return Text.assemble(
        (f"{span.score:.2f}", _style(span.score)),
        f"  {span.label:<9} ",
        (shown(span.text), "bold"),
        (f"  {span.start}–{span.end}", "dim"),
    )


def _style(score: float) -> str:
    return "green" if score >= SURE else "yellow" if score >= UNSURE else "red"


def _suggestion(asked: str, text: str, score: float) -> RenderableType:
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(width=BAR_COLUMNS)
    line.add_column(width=4, justify="right")
    line.add_column()
    going_on = Text.assemble((asked, "dim"), (text[len(asked) :], "bold")) if text.startswith(asked) else Text(text, "bold")
    line.add_row(
        ProgressBar(1.0, score, width=BAR_COLUMNS, complete_style="cyan", finished_style="cyan"), f"{score:.2f}", going_on
    )
    return Group(line)
