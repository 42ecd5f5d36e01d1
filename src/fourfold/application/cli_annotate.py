"""Commands on annotation: projects made, worked on, judged, and made into datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from fourfold.application import cli_label
from fourfold.application.cli_common import DEFAULT, Common, emit, note, opened
from fourfold.application.cli_data import Dataset, Set, made
from fourfold.application.cli_label import Project, text_of
from fourfold.application.cli_specs import part
from fourfold.core.errors import BadInput

annotate = App(name="annotate", help_format="plaintext")
annotate.command(cli_label.next_items, name="next")
for each in (
    cli_label.answer,
    cli_label.release,
    cli_label.labels,
    cli_label.agreement,
    cli_label.disagreements,
    cli_label.adjudicate,
):
    annotate.command(each)


@annotate.command(name="list")
@annotate.default
def projects(*, common: Common = DEFAULT) -> None:
    """List annotation projects.

    Example: fourfold annotate
    """
    with opened(common) as client:
        found = client.annotations()

    def text() -> None:
        from fourfold.application.cli_print import table

        rows = [(a.name, a.dataset, next(iter(a.question)), a.redundancy, a.order, a.guideline, a.state) for a in found]
        head = ("project", "dataset", "question", "people", "order", "guideline", "state")
        table(head, rows, empty="No project yet. Run: fourfold annotate create NAME DATASET --question …")

    emit(common, found, text)


@annotate.command
def create(
    name: Annotated[str, Parameter(help="Name of the project.")],
    dataset: Dataset,
    /,
    *,
    question: Annotated[str, Parameter(help="classification, spans, preference or text; with settings if need be.")],
    set: Set = (),
    label: Annotated[tuple[str, ...], Parameter(help="A label of the question; may be repeated.")] = (),
    guideline: Annotated[str, Parameter(help="What annotators are told, or @FILE.")] = "",
    redundancy: Annotated[int, Parameter(help="How many people answer each document. Default: 1.")] = 1,
    lease_minutes: Annotated[float, Parameter(help="How long a document is somebody's once handed out. Default: 30.")] = 30.0,
    order: Annotated[
        Literal["dataset", "least_confident", "diverse"],
        Parameter(help="Order once a model has pre-labelled. Default: diverse."),
    ] = "diverse",
    common: Common = DEFAULT,
) -> None:
    """Ask a question about every document of a dataset.

    Example: fourfold annotate create intents tickets --question classification --label refund --label delivery
    """
    labels = (f"labels={msgspec.json.encode(label).decode()}",) if label else ()
    with opened(common) as client:
        project = client.create_annotation(
            name,
            dataset,
            part(question, (*set, *labels)),
            guideline=text_of(guideline),
            redundancy=redundancy,
            lease_seconds=lease_minutes * 60,
            order=order,
        )
        counts = client.annotation(name).counts

    def text() -> None:
        from fourfold.application.cli_print import line

        line(project.name, f"{counts.items:,} documents of {project.dataset}")
        line(f"Run: fourfold annotate next {project.name}", style="dim")

    emit(common, project, text)


@annotate.command
def show(name: Project, /, *, common: Common = DEFAULT) -> None:
    """A project: its question, its guideline, how far it is.

    Example: fourfold annotate show intents
    """
    with opened(common) as client:
        found = client.annotation(name)

    def text() -> None:
        from fourfold.application.cli_print import line, outline

        a, c = found.annotation, found.counts
        outline({"project": a.name, "dataset": a.dataset, "state": a.state, "question": dict(a.question)})
        items = {"open": c.open, "done": c.done, "adjudicated": c.adjudicated, "held": c.held, "suggested": c.suggested}
        outline({"people per document": a.redundancy, "order": a.order, "items": items, "answers": c.answers})
        line(f"Guideline {a.guideline}:", style="bold")
        line(found.guidelines[-1].text or "none")

    emit(common, found, text)


@annotate.command
def guideline(
    name: Project, text: Annotated[str, Parameter(help="The text, or @FILE.")], /, *, common: Common = DEFAULT
) -> None:
    """Write a new version of a project's guideline.

    Example: fourfold annotate guideline intents @guideline.md
    """
    with opened(common) as client:
        written = client.write_guideline(name, text_of(text))
    emit(common, written, lambda: print(f"guideline {written.number} of {name}"))


@annotate.command
def prelabel(
    name: Project, model: Annotated[str, Parameter(help="A model: name, name@3 or name@alias.")], /, *, common: Common = DEFAULT
) -> None:
    """Let a model suggest answers, and put those documents first of which it is least sure.

    Example: fourfold annotate prelabel entities words@production
    """
    with opened(common) as client:
        done = client.prelabel(name, model)

    def text() -> None:
        from fourfold.application.cli_print import line, outline

        line(done.project, f"{done.suggested:,} documents have a suggestion of {done.model}, by {done.task}.")
        outline(done.without)
        if done.agrees is not None:
            line(f"Of the documents that people answered, it says the same on {done.agrees:.1%}.")
        line(f"Order: {done.order}; its confidence is {'calibrated' if done.calibrated else 'not calibrated'}.")

    emit(common, done, text)


@annotate.command
def publish(
    name: Project,
    dataset: Annotated[str, Parameter(help="Name of the dataset that it makes.")],
    /,
    *,
    rule: Annotated[
        Literal["agreed", "majority"], Parameter(help="What decides: all the same, or more than half. Default: agreed.")
    ] = "agreed",
    common: Common = DEFAULT,
) -> None:
    """Make a dataset version of what is decided, with who said it, when, and by which guideline.

    Example: fourfold annotate publish intents tickets-intents
    """
    with opened(common) as client:
        version = client.publish_annotation(name, dataset, rule=rule)
    made(common, version, f"fourfold describe {version.ref}")


@annotate.command(name="import")
def import_tasks(
    name: Project, file: Annotated[Path, Parameter(help="Label Studio's export: JSON.")], /, *, common: Common = DEFAULT
) -> None:
    """Bring annotations and predictions from Label Studio into a project.

    Example: fourfold annotate import intents project-7.json
    """
    try:
        tasks = msgspec.json.decode(file.expanduser().read_bytes(), type=list[dict[str, Any]])
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.", hint="Check the path.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} is no list of tasks: {error}.", hint="Export as JSON in Label Studio.") from error
    with opened(common) as client:
        done = client.import_annotation(name, tasks)

    def text() -> None:
        from fourfold.application.cli_print import line, outline

        line(f"{done.tasks:,} tasks: {done.answers:,} answers, {done.decisions:,} decisions, {done.suggestions:,} suggestions.")
        outline({"left out": done.left_out} if done.left_out else {})
        for fault in done.faults:
            note(fault)

    emit(common, done, text)


@annotate.command
def export(
    name: Project, file: Annotated[Path, Parameter(help="The file to write; its configuration lies beside it.")], /, *,
    common: Common = DEFAULT,
) -> None:  # fmt: skip
    """Write a project as tasks for Label Studio, and its labelling configuration as FILE with the ending xml.

    Example: fourfold annotate export intents intents.json
    """
    with opened(common) as client:
        exported = client.export_annotation(name)
    config = file.expanduser().with_suffix(".xml")
    try:
        file.expanduser().write_bytes(msgspec.json.format(msgspec.json.encode(exported.tasks), indent=2) + b"\n")
        config.write_text(exported.config + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}.", hint="Check the path.") from error
    written = {"tasks": len(exported.tasks), "file": str(file), "config": str(config)}
    emit(common, written, lambda: print(f"{len(exported.tasks):,} tasks in {file}, configuration in {config}"))


@annotate.command
def close(
    name: Project, /, *, reopen: Annotated[bool, Parameter(help="Open it again.")] = False, common: Common = DEFAULT
) -> None:
    """End a project: it hands nothing out and takes no answer.

    Example: fourfold annotate close intents
    """
    with opened(common) as client:
        project = client.close_annotation(name, reopen=reopen)
    emit(common, project, lambda: print(f"{project.name} is {project.state}"))


@annotate.command
def move(
    name: Project,
    dataset: Dataset,
    /,
    *,
    forget_missing: Annotated[bool, Parameter(help="Let answers go whose documents are not in it.")] = False,
    common: Common = DEFAULT,
) -> None:
    """Go on with another version of the dataset; answers stay with their documents.

    Example: fourfold annotate move intents tickets@4
    """
    with opened(common) as client:
        moved = client.move_annotation(name, dataset, forget_missing=forget_missing)
    told = f"{name} is about {moved.dataset}: {moved.kept:,} documents kept, {moved.new:,} new, answers of {moved.lost:,} went"
    emit(common, moved, lambda: print(told))
