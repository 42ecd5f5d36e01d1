"""Commands on a whole home: tour, apply, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, opened

STYLES = {"ok": "", "warning": "yellow", "error": "bold red"}


def tour(
    *,
    once: Annotated[bool, Parameter(help="End after the trace instead of staying up.")] = False,
    data: Annotated[Path | None, Parameter(help="A folder of yours instead of the example company.")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on. Default: the home's setting, 8044.")] = None,
    common: Common = DEFAULT,
) -> int:
    """From documents to a traced answer, on this machine."""
    from fourfold.application.tour import tour as take_tour
    from fourfold.core.config import read_settings

    home = common.folder("tour")
    return take_tour(home, read_settings(home), once=once, json=common.json, data=data, port=port)


def apply(
    file: Annotated[Path, Parameter(help="The project file, or the folder of a fourfold.yaml.")],
    /,
    *,
    dry_run: Annotated[bool, Parameter(help="Only say what would be done.")] = False,
    common: Common = DEFAULT,
) -> None:
    """Make a project file true."""
    from fourfold.application.project import read_project

    project = read_project(file)
    folder = (file if file.is_dir() else file.parent).absolute()
    with opened(common) as client:
        applied = client.apply(project, folder=str(folder), dry_run=dry_run)

    def text() -> None:
        from fourfold.application.cli_print import line, table

        rows = [
            (s.stage, s.verb, s.state, s.result, s.figures or "", round(s.seconds, 1) if s.state == "done" else None)
            for s in applied.stages
        ]
        table(("stage", "", "state", "result", "figures", "seconds"), rows, empty="The project has no stage.")
        counts = {state: sum(s.state == state for s in applied.stages) for state in ("planned", "done", "unchanged")}
        line(applied.project, ", ".join(f"{n} {state}" for state, n in counts.items() if n))
        line(f"Run: fourfold apply {file}" if dry_run else "Run: fourfold deployments", style="dim")

    emit(common, applied, text)


def doctor(*, common: Common = DEFAULT) -> int:
    """Examine a home."""
    with opened(common) as client:
        health = client.doctor()

    def text() -> None:
        from rich.text import Text

        from fourfold.application.cli_print import line, table

        rows = [(c.name, Text(c.state, style=STYLES[c.state]), c.detail, c.next) for c in health.checks]
        table(("check", "state", "", "next"), rows)
        line("All is well." if health.ok else "Not all is well: see the errors above.")

    emit(common, health, text)
    return 0 if health.ok else 1
