"""The management application: one Litestar app per home."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath
from litestar.response import ServerSentEvent, ServerSentEventMessage

from fourfold import __version__
from fourfold.application import answers
from fourfold.application.http.openapi import document
from fourfold.application.http.problems import HANDLERS
from fourfold.application.http.routes import PREFIX, handlers
from fourfold.application.http.sign_in import KeyHolder
from fourfold.application.platform import Platform
from fourfold.application.runner import Runner
from fourfold.core.config import read_settings
from fourfold.storage import jobs
from fourfold.storage.jobs import ENDED, Job
from fourfold.storage.ledger import Ledger

POLL_SECONDS = 0.3  # how often a job's row is read for those who watch it
OPEN_PATHS = [r"^/openapi\.json$", r"^/livez$"]


def management_app(home: Path) -> Litestar:
    """The application of a home. It opens the ledger when it starts and closes it when it ends."""

    @contextlib.asynccontextmanager
    async def open_home(app: Litestar) -> AsyncGenerator[None, None]:
        settings = read_settings(home)
        ledger = await asyncio.to_thread(Ledger.open, home)
        app.state.ledger, app.state.settings = ledger, settings
        app.state.runner = Runner(ledger, settings.workers)
        task = asyncio.create_task(app.state.runner.run())
        warming = asyncio.create_task(asyncio.to_thread(answers.warm_all, ledger))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, warming, return_exceptions=True)
            await asyncio.to_thread(ledger.close)

    return Litestar(
        [*handlers(), job_events, openapi_document, alive],
        lifespan=[open_home],
        middleware=[DefineMiddleware(KeyHolder, exclude=OPEN_PATHS)],
        exception_handlers=HANDLERS,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Fourfold",
            version=__version__,
            description="Versions, runs, deployments and answers of one home. Every route needs an API key.",
            path="/api/v1/schema",
            components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"key": []}],
            render_plugins=[],
        ),
    )


@get(f"{PREFIX}/jobs/{{job_id:str}}/events", operation_id="job_events", tags=["jobs"], opt={"action": "read"})
async def job_events(request: Request[Any, Any, Any], job_id: FromPath[str]) -> ServerSentEvent:
    """A job as it goes on: events `state`, `progress`, `log`, `metric` and at the end `done` with the whole job. A client that
    comes back with Last-Event-ID is told what came after it."""
    platform = Platform(request.app.state.ledger, request.user, request.app.state.settings)
    await asyncio.to_thread(platform.job, job_id)  # refused or not found before the stream begins
    begun = request.headers.get("last-event-id", "0")
    return ServerSentEvent(_events(platform, job_id, int(begun) if begun.isdecimal() else 0))


async def _events(platform: Platform, job_id: str, number: int) -> AsyncIterator[ServerSentEventMessage]:
    progress = b""
    while True:
        job, told = await asyncio.to_thread(_look, platform, job_id, number)
        for number, event, data in told:
            yield ServerSentEventMessage(event=event, id=str(number), data=data)
        if job.progress and msgspec.json.encode(job.progress) != progress:
            progress = msgspec.json.encode(job.progress)
            yield ServerSentEventMessage(event="progress", id=str(number), data=progress.decode())
        if job.state in ENDED:
            yield ServerSentEventMessage(event="done", id=str(number), data=msgspec.json.encode(job).decode())
            return
        await asyncio.sleep(POLL_SECONDS)


def _look(platform: Platform, job_id: str, after: int) -> tuple[Job, list[tuple[int, str, str]]]:
    with platform.ledger.database.read() as connection:
        return jobs.one(connection, job_id), jobs.events(connection, job_id, after)


@get("/openapi.json", include_in_schema=False, opt={"action": "read"})
async def openapi_document(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Every route of the one port, those of predictions included."""
    return Response(document(request.app.openapi_schema.to_schema()), media_type="application/json")


@get("/livez", include_in_schema=False, opt={"action": "read"})
async def alive() -> dict[str, str]:
    """Says that the process runs; asks nothing else."""
    return {"status": "alive"}
