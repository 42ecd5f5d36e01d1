"""Commands on datasets: collect, sources, clean, export, fill, deidentify, describe, documents, drops."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from cyclopts import Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, opened
from fourfold.application.cli_specs import Spec, objects, part, settings
from fourfold.core.errors import BadInput, BadSpec

if TYPE_CHECKING:
    from fourfold.core.nouns import Version

Set = Annotated[tuple[str, ...], Parameter(name="--set", help="A setting of the part, key=value; values are JSON or text.")]
Name = Annotated[str, Parameter(help="Name of the version that it makes.")]
Dataset = Annotated[str, Parameter(help="A dataset: name, name@3 or name@alias.")]


def collect(
    name: Name,
    /,
    *paths: Annotated[str, Parameter(help="Files, or a folder: short for --set path=PATH.")],
    source: Annotated[str, Parameter(help="The source, with settings if need be: files, '{files: {…}}', @file.")] = "files",
    set: Set = (),
    max_bad_lines: Annotated[int | None, Parameter(help="More bad lines than this stop it. Default: no limit.")] = None,
    max_bad_share: Annotated[float | None, Parameter(help="A larger share of bad lines stops it. Default: no limit.")] = None,
    licence: Annotated[str | None, Parameter(help="Licence of what is collected, such as CC-BY-SA-4.0.")] = None,
    purpose: Annotated[str | None, Parameter(help="any, research only, evaluation only: what may be made of it.")] = None,
    common: Common = DEFAULT,
) -> None:
    """Collect documents into a new version of a dataset."""
    wanted = part(source, set)
    if paths:
        wanted = with_paths(wanted, paths, as_typed=common.remote)
    with opened(common) as client:
        version = client.collect(
            name,
            wanted,
            max_bad_lines=max_bad_lines,
            max_bad_share=max_bad_share,
            licence=licence,
            purpose=purpose,  # type: ignore[arg-type]  # collect says what is wrong with it
        )
    made(common, version, f"fourfold describe {version.ref}")


def with_paths(spec: Spec, paths: tuple[str, ...], *, as_typed: bool) -> Spec:
    """The spec of `files` with what was typed as its path; several files become their folder and a list of its files."""
    kind, given = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()))
    if kind != "files":
        raise BadSpec(f"Source {kind!r} takes no paths.", hint="Give its settings with --set key=value.")
    if "path" in given or (len(paths) > 1 and "include" in given):
        raise BadSpec("The path is given twice.", hint="Give it as an argument or with --set, not both.")
    if len(paths) == 1:
        return {kind: {**given, "path": paths[0] if as_typed else str(Path(paths[0]).expanduser().absolute())}}
    absolute = [Path(path).expanduser().absolute() for path in paths]
    folder = Path(os.path.commonpath([path.parent for path in absolute]))
    return {kind: {**given, "path": str(folder), "include": [f"/{path.relative_to(folder).as_posix()}" for path in absolute]}}


def sources(*, common: Common = DEFAULT) -> int:
    """List the accounts and addresses that sources ask."""
    with opened(common) as client:
        found = client.sources()

    def text() -> None:
        from rich.text import Text

        from fourfold.application.cli_print import table, when

        styles = {"ok": "", "expiring": "yellow", "expired": "bold red", "blocked": "bold red"}
        rows = [
            (
                one.source,
                one.account,
                Text(one.state, style=styles[one.state]),
                when(one.since),
                when(one.checked_at),
                when(one.expires_at) if one.expires_at else None,
                f"{one.code} {one.detail}".strip(),
                one.next,
            )
            for one in found.data
        ]
        head = ("source", "account", "state", "since", "asked", "expires", "", "next")
        table(head, rows, empty="No source was asked yet that can expire. Run: fourfold collect NAME --source feed")

    emit(common, found, text)
    return int(any(one.state in ("expired", "blocked") for one in found.data))


def extract(
    name: Name,
    dataset: Dataset,
    /,
    *,
    mode: Annotated[str, Parameter(help="How main text is found: fast, precise or whole.")] = "precise",
    rule: Annotated[tuple[str, ...], Parameter(help="HOST=SELECTOR of main text, * for any host; may be repeated.")] = (),
    common: Common = DEFAULT,
) -> None:
    """Read the raw pages of a collected dataset anew."""
    rules = {host: selector for host, _, selector in (one.partition("=") for one in rule)}
    with opened(common) as client:
        version = client.extract(name, dataset, mode=mode, rules=rules or None)
    made(common, version, f"fourfold describe {version.ref}")


def clean(
    name: Name,
    dataset: Dataset,
    /,
    *steps: Annotated[str, Parameter(help="Steps in order: normalise, drop_short:min_words=2, '{drop_short: {…}}'.")],
    runner: Annotated[str, Parameter(help="Where it is done: loop, pool (a process per core) or ray.")] = "loop",
    common: Common = DEFAULT,
) -> None:
    """Pass a dataset through cleaning steps."""
    with opened(common) as client:
        version = client.clean(name, dataset, [part(step) for step in steps], runner=runner)
    made(common, version, f"fourfold describe {version.ref}")


def deidentify(
    name: Name,
    dataset: Dataset,
    /,
    *,
    detector: Annotated[tuple[str, ...], Parameter(help="A detector; may be repeated. Default: patterns.")] = ("patterns",),
    action: Annotated[tuple[str, ...], Parameter(help="What happens to an entity: CREDIT_CARD=drop; may be repeated.")] = (),
    reversible: Annotated[bool, Parameter(help="Whoever may can turn pseudonyms back, by a key kept apart.")] = False,
    common: Common = DEFAULT,
) -> None:
    """Take personal data out of a dataset."""
    actions = {entity: str(what) for entity, what in settings(action).items()}
    with opened(common) as client:
        detectors = [part(one) for one in detector]
        version = client.deidentify(name, dataset, detectors=detectors, actions=actions or None, reversible=reversible)
    made(common, version, f"fourfold describe {version.ref}")


def export(
    dataset: Dataset,
    file: Annotated[Path, Parameter(help="Where to write it.")],
    /,
    *,
    format: Annotated[str, Parameter(help="The format, with settings if need be. Default: by the file's ending.")] = "",
    set: Set = (),
    split: Annotated[Literal["train", "dev", "test"] | None, Parameter(help="Only this split. Default: all rows.")] = None,
    name: Annotated[str | None, Parameter(help="Name of the version that keeps it. Default: DATASET-export.")] = None,
    common: Common = DEFAULT,
) -> None:
    """Write a dataset as a file."""
    chosen = format or file.suffix.removeprefix(".")
    if not chosen:
        raise BadSpec(f"{file} does not say which format.", hint="Name it: --format jsonl")
    with opened(common) as client:
        version = client.export(name or f"{dataset.partition('@')[0]}-export", dataset, part(chosen, set), split=split)
        write_beside(client.version_file(version.ref, version.meta["file"]), file)

    def text() -> None:
        from fourfold.application.cli_print import line

        skipped = ", ".join(f"{count:,} × {reason}" for reason, count in version.meta["skipped"].items())
        line(f"{version.meta['rows']:,} documents of {version.meta['dataset']} in {file}", f"kept as {version.ref}")
        if skipped:
            line(f"left out: {skipped}")

    emit(common, version, text)


def write_beside(source: Path, target: Path) -> None:
    """Copy a file to where a person wants it: whole, or not at all. Raises BadInput."""
    new = target.with_name(f"{target.name}.part")
    try:
        shutil.copyfile(source, new)
        new.replace(target)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise BadInput(f"{target} cannot be written: {error.strerror}.", hint="Name a file in a folder of yours.") from error


def fill(
    dataset: Dataset,
    /,
    *rows: Annotated[str, Parameter(help="Rows as JSON objects, or @file with one a line.")],
    common: Common = DEFAULT,
) -> None:
    """Missing values of rows."""
    with opened(common) as client:
        filled = client.fill(dataset, [one for row in rows for one in objects(row)])

    def text() -> None:
        from fourfold.application.cli_print import line

        for row in filled:
            line(msgspec.json.encode(row).decode())

    emit(common, filled, text)


def describe(dataset: Dataset, /, *, common: Common = DEFAULT) -> None:
    """Figures of a dataset."""
    with opened(common) as client:
        figures = client.describe(dataset)

    def text() -> None:
        from fourfold.application.cli_print import outline

        outline(figures)

    emit(common, figures, text)


def documents(
    dataset: Dataset,
    /,
    *,
    doc_id: Annotated[str | None, Parameter(help="Only the document of this id.")] = None,
    limit: Annotated[int, Parameter(help="Rows to show. Default: 20.")] = 20,
    offset: Annotated[int, Parameter(help="Rows to pass over first.")] = 0,
    common: Common = DEFAULT,
) -> None:
    """Rows of a dataset."""
    with opened(common) as client:
        found = client.documents(dataset, doc_id=doc_id, limit=limit, offset=offset)

    def text() -> None:
        from fourfold.application.cli_print import line, outline, short, table

        if doc_id is not None:
            outline(found.rows[0])
            return
        rows = [(row["doc_id"], row["source"], short(row["text"])) for row in found.rows]
        table(("document", "source", "text"), rows, empty="No row there.")
        line(f"{len(rows):,} of {found.total:,} rows of {found.dataset}")

    emit(common, found, text)


def drops(
    dataset: Dataset,
    /,
    *,
    reason: Annotated[str | None, Parameter(help="Only under this reason.")] = None,
    step: Annotated[str | None, Parameter(help="Only by this step.")] = None,
    limit: Annotated[int, Parameter(help="Rows to show. Default: 20.")] = 20,
    offset: Annotated[int, Parameter(help="Rows to pass over first.")] = 0,
    common: Common = DEFAULT,
) -> None:
    """What was left out of a dataset."""
    with opened(common) as client:
        page = client.drops(dataset, reason=reason, step=step, limit=limit, offset=offset)

    def text() -> None:
        from fourfold.application.cli_print import line, short, table

        rows = [
            (one.source, "" if one.line is None else one.line, one.step, one.reason, one.detail or "", short(one.text or ""))
            for one in page.rows
        ]
        table(("file", "line", "step", "reason", "detail", "text"), rows, empty="Nothing was left out.")
        counts = ", ".join(f"{count:,} × {name}" for name, count in page.by_reason.items())
        line(f"{len(rows):,} of {page.total:,} shown; left out of {page.dataset} in all: {counts or 'nothing'}")

    emit(common, page, text)


def made(common: Common, version: Version, then: str) -> None:
    """Print a version just made, and what to type next."""

    def text() -> None:
        from fourfold.application.cli_print import facts, line

        line(version.ref, facts(version.kind, version.meta))
        line(f"Run: {then}", style="dim")

    emit(common, version, text)
