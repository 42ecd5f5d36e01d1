"""Commands that look things up: versions, runs, jobs, show."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, note, opened
from fourfold.core.errors import Conflict

Limit = Annotated[int, Parameter(help="Rows to show, newest first. Default: 50.")]
Cursor = Annotated[str | None, Parameter(help="Go on after this id, as the end of the page before says.")]
Where = Annotated[str | None, Parameter(help="A condition, such as \"f1 > 0.9 and family = 'crf'\".")]
TextWords = Annotated[
    str | None, Parameter(name="--text", help="Words that stand in names, settings, what meta says, or errors.")
]
Kind = Literal["dataset", "model", "index", "ruleset", "graph", "pipeline", "report"]
SHOWN_OF_LOGS = ("at", "level", "message", "logger")


def versions(
    name: Annotated[str | None, Parameter(help="Only versions of this name.")] = None,
    /,
    *,
    kind: Annotated[Kind | None, Parameter(help="Only versions of this kind.")] = None,
    where: Where = None,
    words: TextWords = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    common: Common = DEFAULT,
) -> None:
    """List versions."""
    where = _and_text(where, words)
    with opened(common) as client:
        page = client.versions(name=name, kind=kind, where=where, limit=limit, cursor=cursor)
        pointing: dict[str, list[str]] = {}
        for alias, ref in client.aliases(name).items():
            pointing.setdefault(ref, []).append(alias.rpartition("@")[2])

    def text() -> None:
        from fourfold.application.cli_print import facts, size, table, when

        rows = [
            (v.ref, v.kind, ", ".join(pointing.get(v.ref, [])), facts(v.kind, v.meta), size(v.size_bytes), when(v.created_at),
             page.ended.get(v.ref, ""))
            for v in page.data
        ]  # fmt: skip
        head = ("version", "kind", "aliases", "", "size", "made", "")
        table(head, rows, empty="No such version." if where else "No version yet. Run: fourfold collect NAME FOLDER")
        _more(page.next_cursor)

    emit(common, page, text)


runs = App(name="runs", help_format="plaintext")


@runs.default
def list_runs(
    *,
    verb: Annotated[str | None, Parameter(help="Only runs of this verb, such as train.")] = None,
    name: Annotated[str | None, Parameter(help="Only runs under this name.")] = None,
    state: Annotated[Literal["running", "done", "failed"] | None, Parameter(help="Only runs in this state.")] = None,
    where: Where = None,
    words: TextWords = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    common: Common = DEFAULT,
) -> None:
    """List runs: what was done, from what, and how it ended.

    Example: fourfold runs --state failed
    """
    where = _and_text(where, words)
    with opened(common) as client:
        page = client.runs(verb=verb, name=name, state=state, where=where, limit=limit, cursor=cursor)

    def text() -> None:
        from fourfold.application.cli_print import short, table, when

        rows = [
            (
                r.id,
                r.verb,
                r.version or r.name,
                r.state,
                _seconds(r.started_at, r.finished_at),
                when(r.started_at),
                short(r.error or ""),
            )
            for r in page.data
        ]
        table(("run", "verb", "of", "state", "seconds", "begun", ""), rows, empty="Nothing was done yet. Run: fourfold tour")
        _more(page.next_cursor)

    emit(common, page, text)


@runs.command
def metrics(
    run: Annotated[str, Parameter(help="Id of the run.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="Only the metric of this name.")] = None,
    common: Common = DEFAULT,
) -> None:
    """The metrics of a run, step by step.

    Example: fourfold runs metrics run_01k… --name loss
    """
    with opened(common) as client:
        found = client.run_metrics(run, name=name)

    def text() -> None:
        from fourfold.application.cli_print import table, when

        rows = [
            (metric, step, value, when(at))
            for metric, series in found.metrics.items()
            for step, value, at in zip(series.steps, series.values, series.at, strict=True)
        ]
        table(("metric", "step", "value", "told"), rows, empty="This run told nothing of single steps.")

    emit(common, found, text)


@runs.command
def log(run: Annotated[str, Parameter(help="Id of the run.")], /, *, common: Common = DEFAULT) -> None:
    """What was logged during a run.

    Example: fourfold runs log run_01k…
    """
    with opened(common) as client:
        found = client.run_log(run)

    def text() -> None:
        from fourfold.application.cli_print import plain, table, when

        rows = [
            (when(one["at"]), one["level"], one["message"], plain({k: v for k, v in one.items() if k not in SHOWN_OF_LOGS}))
            for one in found.lines
        ]
        table(("at", "level", "message", ""), rows, empty="Nothing was logged.")

    emit(common, found, text)


def jobs(
    *,
    state: Annotated[
        Literal["queued", "running", "done", "failed", "cancelled"] | None, Parameter(help="Only jobs in this state.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    common: Common = DEFAULT,
) -> None:
    """List jobs."""
    with opened(common) as client:
        page = client.jobs(state=state, limit=limit, cursor=cursor)

    def text() -> None:
        from fourfold.application.cli_print import table, when

        rows = [
            (j.id, j.act, j.actor.name, j.state, _seconds(j.started_at, j.finished_at), when(j.created_at), _so_far(j))
            for j in page.data
        ]
        head = ("job", "act", "for", "state", "seconds", "asked", "")
        table(head, rows, empty="No job yet: a job is a long act that was asked for over HTTP. Run: fourfold runs")
        _more(page.next_cursor)

    emit(common, page, text)


def fetch(
    version: Annotated[str, Parameter(help="A version: name, name@3 or name@alias.")],
    to: Annotated[Path, Parameter(help="The folder; it is made if need be.")],
    /,
    *,
    common: Common = DEFAULT,
) -> None:
    """Bring the files of a version into a folder."""
    with opened(common) as client:
        fetched = client.fetch(version, to)

    def text() -> None:
        from fourfold.application.cli_print import line, size

        line(f"{to}", f"{len(fetched)} files, {size(sum(path.stat().st_size for path in fetched))}, all as they were stored")

    emit(common, {"files": [str(path.absolute()) for path in fetched]}, text)


def show(
    thing: Annotated[str, Parameter(help="A version, alias, run, job, answer, deployment, document id or digest.")],
    /,
    *,
    file: Annotated[str | None, Parameter(help="Of a version: copy this file of it.")] = None,
    to: Annotated[Path | None, Parameter(help="Where to copy it. Default: its name, in the present folder.")] = None,
    common: Common = DEFAULT,
) -> None:
    """Show whatever a name or an id stands for."""
    with opened(common) as client:
        if file is not None:
            target = to or Path(Path(file).name)
            if target.exists():
                raise Conflict(f"{target} is there already.", hint="Name another place with --to.")
            shutil.copyfile(client.version_file(thing, file), target)
            emit(common, {"file": str(target.absolute())}, lambda: print(target))
            return
        shown = client.show(thing)

    def text() -> None:
        from fourfold.application.cli_answers import print_trace
        from fourfold.application.cli_print import line, outline

        if shown.what == "answer":
            print_trace(shown.value)
            return
        line(shown.what, style="bold")
        outline(_readable(_flat(shown.what, msgspec.to_builtins(shown.value))), indent=2)

    emit(common, shown, text)


def _flat(what: str, value: dict[str, Any]) -> dict[str, Any]:
    """The thing's own fields first, then what stands around it; a history as one row per change."""
    inner = value.get(what)
    around = {key: one for key, one in value.items() if key != what} if isinstance(inner, dict) else value
    if "history" in around:
        around = {**around, "history": [_change(**one) for one in around["history"]]}
    return {**inner, **around} if isinstance(inner, dict) else around


def _change(deployment: dict[str, Any], reason: str) -> dict[str, Any]:
    serves = ", ".join(f"{route['version']} {route['weight']:.0%}" for route in deployment["routes"])
    kept = {key: deployment[key] for key in ("revision", "state", "updated_at", "updated_by")}
    return {**kept, "serves": serves, "reason": reason}


def _readable(value: Any) -> Any:
    """The same with times, which are Unix seconds, as dates."""
    from fourfold.application.cli_print import when

    if isinstance(value, dict):
        return {k: when(v) if _is_time(k, v) else _readable(v) for k, v in value.items()}
    return [_readable(one) for one in value] if isinstance(value, list) else value


def _is_time(key: str, value: Any) -> bool:
    return isinstance(value, float) and (key == "at" or key.endswith("_at"))


def _seconds(begun: float | None, ended: float | None) -> float | None:
    return None if begun is None or ended is None else round(ended - begun, 1)


def _so_far(job: Any) -> str:
    from fourfold.application.cli_print import short

    if job.error:
        return short(job.error.get("message", ""))
    if job.state == "queued":
        return short(f"waits for {job.waits_for}")
    p = job.progress
    return f"{p['done']:,.0f} of {p['total']:,.0f} {p['unit']}" if p.get("total") else ""


def _more(cursor: str | None) -> None:
    if cursor:
        note(f"There are more: --cursor {cursor}")


def _and_text(where: str | None, words: str | None) -> str | None:
    """A condition that also asks for words."""
    if words is None:
        return where
    quoted = words.replace("'", "''")
    asked = f"text contains '{quoted}'"
    return asked if where is None else f"({where}) and {asked}"
