"""Commands on jobs: cancel, retry, submit, queue, schedules, schedule, unschedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, opened
from fourfold.core.errors import BadSpec

if TYPE_CHECKING:
    from fourfold.application.results import Job

Arguments = Annotated[str, Parameter(help="Its arguments as one JSON object.")]
Name = Annotated[str, Parameter(help="Name of the schedule.")]


OneJob = Annotated[str, Parameter(help="Id of the job.")]


def cancel(job: OneJob, /, *, common: Common = DEFAULT) -> None:
    """Stop a job."""
    with opened(common) as client:
        _told(common, client.cancel(job))


def retry(job: OneJob, /, *, common: Common = DEFAULT) -> None:
    """Queue a failed or cancelled job again."""
    with opened(common) as client:
        _told(common, client.retry(job))


def _told(common: Common, job: Job) -> None:
    def text() -> None:
        from fourfold.application.cli_print import line

        line(job.id, job.act, job.state)

    emit(common, job, text)


def submit(
    act: Annotated[str, Parameter(help="The act, such as train or back_up.")],
    /,
    *,
    arguments: Arguments = "{}",
    queue: Annotated[str, Parameter(help="The queue that it waits in. Default: default.")] = "default",
    priority: Annotated[int, Parameter(help="Jobs of a higher one go first. Default: 0.")] = 0,
    after: Annotated[tuple[str, ...], Parameter(help="A job that must be done before.", negative="")] = (),
    memory_mib: Annotated[int, Parameter(help="Memory that must be free when it begins. Default: 0.")] = 0,
    attempts: Annotated[int, Parameter(help="Times that it is tried if the error may pass. Default: 5.")] = 5,
    common: Common = DEFAULT,
) -> None:
    """Queue an act as a job."""
    given = _arguments(arguments)
    with opened(common) as client:
        job = client.submit(
            act, arguments=given, queue=queue, priority=priority, after=list(after), memory_bytes=memory_mib << 20,
            attempts=attempts,
        )  # fmt: skip
    _told(common, job)


def queue(
    name: Annotated[str, Parameter(help="Name of the queue.")],
    /,
    *,
    slots: Annotated[int | None, Parameter(help="Jobs of it that may run at once. Default: no limit.")] = None,
    common: Common = DEFAULT,
) -> None:
    """Limit a queue."""
    with opened(common) as client:
        limits = client.limit_queue(name, slots=slots)
    emit(common, limits, lambda: print(name, "no limit" if slots is None else slots))


def schedules(*, common: Common = DEFAULT) -> None:
    """List schedules."""
    with opened(common) as client:
        found = client.schedules()

    def text() -> None:
        from fourfold.application.cli_print import table, when

        rows = [(s.name, s.cron, s.act, s.actor.name, when(s.next_at), s.last_job) for s in found]
        empty = "No schedule yet. Run: fourfold schedule NAME CRON ACT"
        table(("schedule", "cron (UTC)", "act", "for", "next", "last job"), rows, empty=empty)

    emit(common, found, text)


def schedule(
    name: Name,
    cron: Annotated[str, Parameter(help="Minute, hour, day of month, month, day of week, in UTC: '30 2 * * *'.")],
    act: Annotated[str, Parameter(help="The long act, such as apply.")],
    /,
    *,
    arguments: Arguments = "{}",
    queue: Annotated[str, Parameter(help="The queue of its jobs.")] = "default",
    common: Common = DEFAULT,
) -> None:
    """Do a long act at set times."""
    given = _arguments(arguments)
    with opened(common) as client:
        made = client.schedule(name, cron, act, arguments=given, queue=queue)

    def text() -> None:
        from fourfold.application.cli_print import line, when

        line(f"{made.name}: {made.act}, next at {when(made.next_at)}")

    emit(common, made, text)


def unschedule(name: Name, /, *, common: Common = DEFAULT) -> None:
    """Remove a schedule."""
    with opened(common) as client:
        gone = client.unschedule(name)
    emit(common, gone, lambda: print(f"{gone.name} is removed"))


def _arguments(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BadSpec(f"--arguments is no JSON object: {error}.", hint='For example: --arguments \'{"name": "x"}\'') from error
