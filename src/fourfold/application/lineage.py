"""Lineage for others: each run as OpenLineage RunEvents (spec 2-0-2), appended to a file and posted to a URL.

The file is the outbox: what could not be posted is posted before the next event, in order. Nothing that goes wrong here stops a
run: it is logged.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from fourfold import __version__
from fourfold.core.config import Settings
from fourfold.core.nouns import Run, Version

log = logging.getLogger(__name__)

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = "https://openlineage.io/spec/facets"
PRODUCER = f"https://github.com/fourfold/fourfold/tree/v{__version__}"
TIMEOUT_SECONDS = 3.0
BUDGET_SECONDS = 10.0  # of one attempt to post what is waiting
PATIENCE = 20  # a receiver that took a second to fail is left alone for this many
LONGEST_PAUSE = 60.0
REFUSED_FOR_NOW = (408, 425, 429)
IDS = uuid.UUID("6f1d2f6e-0d0c-5f0a-9a52-6d3d3c1f4f0a")  # namespace in which a run's id becomes a UUID


@dataclass(frozen=True, slots=True)
class Lineage:
    """Told of each run when it begins and when it has ended: writes the event, then posts what waits."""

    home: Path
    settings: Settings

    def __call__(self, state: str, run: Run, inputs: Sequence[Version], version: Version | None, error: str = "") -> None:
        """`state` is START, COMPLETE or FAIL."""
        made = event(state, run, inputs, version, error, namespace=self.settings.lineage_namespace, now=time.time())
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with open(descriptor, "ab") as file:
                file.write(msgspec.json.encode(made) + b"\n")  # one write: lines of several processes do not mix
            self.post()
        except OSError as failed:
            log.warning("lineage of %s was not written: %s", run.id, failed)

    @property
    def file(self) -> Path:
        """Where events are appended."""
        return self.home / (self.settings.lineage_file or "lineage/events.jsonl")

    def post(self) -> int:
        """Post the events that wait, oldest first, unless another process does or the receiver failed just now; how many."""
        if not self.settings.lineage_url:
            return 0
        with _alone(self._beside("lock")) as mine:
            if not mine or time.time() < self._number("pause"):
                return 0
            return self._post_all()

    def _post_all(self) -> int:
        begun, went = time.monotonic(), 0
        headers = {"content-type": "application/json"}
        if self.settings.lineage_token:
            headers["authorization"] = f"Bearer {self.settings.lineage_token}"
        with httpx.Client(timeout=TIMEOUT_SECONDS, headers=headers, trust_env=False) as client:
            for line, end in _lines(self.file, int(self._number("sent"))):
                if time.monotonic() - begun > BUDGET_SECONDS:
                    break
                asked = time.monotonic()
                problem, again = _posted(client, self.settings.lineage_url, line)
                if problem:
                    log.warning("an event of lineage was not taken by its receiver: %s", problem)
                if again:
                    pause = min(LONGEST_PAUSE, PATIENCE * (time.monotonic() - asked))
                    self._beside("pause").write_text(str(time.time() + pause))
                    break
                self._beside("sent").write_text(str(end))
                went += not problem
        return went

    def _beside(self, what: str) -> Path:
        return self.file.with_name(f"{self.file.name}.{what}")

    def _number(self, what: str) -> float:
        try:
            return float(self._beside(what).read_text())
        except (OSError, ValueError):
            return 0.0


def event(
    state: str,
    run: Run,
    inputs: Sequence[Version],
    version: Version | None,
    error: str,
    *,
    namespace: str,
    now: float,
) -> dict[str, Any]:
    """A RunEvent of OpenLineage 2-0-2."""
    facets: dict[str, Any] = {
        "processing_engine": _facet("1-1-1/ProcessingEngineRunFacet", version=__version__, name="fourfold"),
        "fourfold_run": {
            "_producer": PRODUCER,
            "_schemaURL": f"{PRODUCER}/docs/lineage.md",
            "id": run.id,
            "recipe": run.recipe,
        },
    }
    if error:
        facets["errorMessage"] = _facet("1-0-1/ErrorMessageRunFacet", message=error, programmingLanguage="PYTHON")
    job_type = _facet("2-0-3/JobTypeJobFacet", processingType="BATCH", integration="FOURFOLD", jobType=run.verb.upper())
    return {
        "eventType": state,
        "eventTime": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
        "producer": PRODUCER,
        "schemaURL": SPEC,
        "run": {"runId": str(uuid.uuid5(IDS, run.id)), "facets": facets},
        "job": {"namespace": namespace, "name": f"{run.verb}.{run.name}", "facets": {"jobType": job_type}},
        "inputs": [*(_dataset(each, namespace) for each in inputs), *_sources(run.spec)],
        "outputs": list(_outputs(run, version, namespace)),
    }


def _outputs(run: Run, version: Version | None, namespace: str) -> Iterator[dict[str, Any]]:
    if version is not None:
        statistics = {"size": version.size_bytes}
        if isinstance(version.meta.get("rows"), int):
            statistics["rowCount"] = version.meta["rows"]
        facet = _facet("1-0-2/OutputStatisticsOutputDatasetFacet", **statistics)
        yield {**_dataset(version, namespace), "outputFacets": {"outputStatistics": facet}}
    elif run.verb == "promote":  # its name is name@alias
        yield {"namespace": namespace, "name": run.name}


def _dataset(version: Version, namespace: str) -> dict[str, Any]:
    facets = {"version": _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=str(version.number))}
    columns = version.meta.get("columns", ())
    if version.kind == "dataset" and columns:
        fields = [{"name": column["name"], "type": column["type"]} for column in columns]
        facets["schema"] = _facet("1-1-1/SchemaDatasetFacet", fields=fields)
    return {"namespace": namespace, "name": version.name, "facets": facets}


def _sources(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a run collected from: a folder, or addresses without the names and passwords in them."""
    source = spec.get("source")
    for kind, settings in source.items() if isinstance(source, Mapping) else ():
        if kind == "files" and isinstance(settings.get("path"), str):
            yield {"namespace": "file", "name": settings["path"]}
        addresses = settings.get("urls", settings.get("url", ()))
        for address in [addresses] if isinstance(addresses, str) else addresses:
            parts = urlsplit(str(address))
            if parts.hostname:
                yield {"namespace": f"{parts.scheme}://{parts.hostname}", "name": parts.path or "/"}


def _facet(schema: str, **values: Any) -> dict[str, Any]:
    name = schema.partition("/")[2]
    return {"_producer": PRODUCER, "_schemaURL": f"{FACETS}/{schema}.json#/$defs/{name}", **values}


def _posted(client: httpx.Client, url: str, line: bytes) -> tuple[str, bool]:
    """What was wrong, and whether to try again later: an event that is refused for good is passed over."""
    try:
        status = client.post(url, content=line).status_code
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}", True
    if status < 400:
        return "", False
    return f"HTTP {status}", status >= 500 or status in REFUSED_FOR_NOW


def _lines(path: Path, begin: int) -> Iterator[tuple[bytes, int]]:
    """Whole lines from a place on, each with the place after it; from the start where the file is a new one."""
    with path.open("rb") as file:
        if begin > file.seek(0, os.SEEK_END):
            begin = 0
        file.seek(begin)
        for line in file:
            if line.endswith(b"\n"):
                begin += len(line)
                yield line[:-1], begin


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[bool]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
