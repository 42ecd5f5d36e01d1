"""Commands on models: train, evaluate, promote."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, opened
from fourfold.application.cli_data import Dataset, Name, Set, made
from fourfold.application.cli_specs import part, settings

Model = Annotated[str, Parameter(help="A model: name, name@3 or name@alias.")]

Final = Annotated[bool, Parameter(negative="", help="Look at test rows, which are kept for the end; each look is recorded.")]


def train(
    name: Name,
    dataset: Dataset,
    family: Annotated[str, Parameter(help="The family, with settings if need be: crf, ngram:order=3, '{crf: {…}}', @file.")],
    /,
    *,
    set: Set = (),
    dev: Annotated[str | None, Parameter(help="Dataset to calibrate or stop on. Default: the dataset's split dev.")] = None,
    common: Common = DEFAULT,
) -> None:
    """Train a model."""
    with opened(common) as client:
        version = client.train(name, dataset, part(family, set), dev=dev)
    made(common, version, f"fourfold evaluate {version.ref} {dataset}")


def evaluate(
    model: Model,
    dataset: Dataset,
    /,
    *,
    split: Annotated[Literal["train", "dev", "test", "all"], Parameter(help="The rows to judge by. Default: dev.")] = "dev",
    name: Annotated[str | None, Parameter(help="Name of the report. Default: MODEL-report.")] = None,
    final: Final = False,
    common: Common = DEFAULT,
) -> None:
    """Judge a model."""
    with opened(common) as client:
        version = client.evaluate(model, dataset, split=None if split == "all" else split, name=name, final=final)
    made(common, version, f"fourfold show {version.ref}")


def compare(
    first: Model,
    second: Model,
    dataset: Dataset,
    /,
    *,
    split: Annotated[Literal["train", "dev", "test", "all"], Parameter(help="The rows to judge by. Default: dev.")] = "dev",
    name: Annotated[str | None, Parameter(help="Name of the report. Default: FIRST-compared.")] = None,
    final: Final = False,
    common: Common = DEFAULT,
) -> None:
    """Judge two models on the same rows."""
    with opened(common) as client:
        version = client.compare(first, second, dataset, split=None if split == "all" else split, name=name, final=final)

    def text() -> None:
        from fourfold.application.cli_print import line, table

        meta = version.meta
        head = ("figure", *meta["models"], "difference", "from", "to", "p")
        keys = ("first", "second", "difference", "low", "high", "p")
        table(head, [(figure, *(row[key] for key in keys)) for figure, row in meta["differences"].items()])
        for note in meta["notes"]:
            line(note, style="dim")
        line(meta["verdict"])
        line(f"Run: fourfold show {version.ref}", style="dim")

    emit(common, version, text)


def predict(
    name: Name,
    model: Model,
    dataset: Dataset,
    /,
    *,
    task: Annotated[str | None, Parameter(help="What the model is asked for. Default: the first task that it serves.")] = None,
    column: Annotated[str, Parameter(help="The column of texts. Default: text.")] = "text",
    split: Annotated[Literal["train", "dev", "test", "all"], Parameter(help="The rows to predict. Default: all.")] = "all",
    set: Set = (),
    common: Common = DEFAULT,
) -> None:
    """Pass the rows of a dataset through a model."""
    options = settings(set)
    with opened(common) as client:
        asked = {"task": task, "column": column, "split": None if split == "all" else split}
        version = client.predict(name, model, dataset, **asked, options=options)
    made(common, version, f"fourfold documents {version.ref}")


def promote(
    version: Model,
    alias: Annotated[str, Parameter(help="The alias to move, such as production.")],
    /,
    *,
    gate: Annotated[tuple[str, ...], Parameter(help="A bound that the report must keep, 'accuracy >= 0.9'.")] = (),
    report: Annotated[str | None, Parameter(help="The report that judges; else the newest on dev or test data.")] = None,
    reason: Annotated[str, Parameter(help="Why; it stays in the alias's history.")] = "",
    common: Common = DEFAULT,
) -> None:
    """Point an alias at a version that passes every gate."""
    with opened(common) as client:
        move = client.promote(version, alias, gates=gate, report=report, reason=reason)

    def text() -> None:
        from fourfold.application.cli_print import line

        line(f"{move.name}@{move.alias} → {move.to_version}", f"before: {move.from_version}" if move.from_version else "")
        line(f"Run: fourfold deploy NAME {move.name}@{move.alias}", style="dim")

    emit(common, move, text)
