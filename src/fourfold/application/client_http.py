"""The acts of a platform elsewhere: one request each; long ones are followed as jobs until they end."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec

from fourfold.application.acts import ACTS, Act
from fourfold.application.downloads import download
from fourfold.application.results import FileEntry, VersionDetail
from fourfold.core import errors
from fourfold.core.errors import (
    BadInput,
    BadSpec,
    Busy,
    Conflict,
    FourfoldError,
    NotFound,
    NotPermitted,
    NotReady,
    NotSignedIn,
    TimedOut,
    TooLarge,
)
from fourfold.core.progress import Progress, silent
from fourfold.storage.artifacts import safe_path
from fourfold.storage.jobs import Job

PREFIX = "/api/v1"
LOOPBACK = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
TIMEOUT = httpx.Timeout(120.0, connect=10.0)
PATIENCE_SECONDS = 60.0  # with a server that says when to come back: it is starting, or loads a model
BREAKS = 20  # of a stream of events or bytes in a row
BREAK_SECONDS = 1.0  # between them
MOST_SECONDS = 10.0  # that a Retry-After is obeyed for
KEY = "idempotency-key"
REVISION = "expected_revision"  # travels as If-Match
BY_CODE = {kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FourfoldError)}
BY_STATUS: dict[int, type[FourfoldError]] = {  # for codes that are HTTP's own
    400: BadInput, 401: NotSignedIn, 403: NotPermitted, 404: NotFound, 409: Conflict, 412: Conflict, 413: TooLarge,
    422: BadSpec, 428: Conflict, 429: Busy, 503: NotReady, 504: TimedOut,
}  # fmt: skip


class HttpTransport:
    """A server's platform, with the rights of a key's holder."""

    def __init__(self, url: str, token: str, progress: Progress = silent) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        self.progress = progress
        ours = _host(url) in LOOPBACK  # then a proxy of the environment has nothing to do with it
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT, trust_env=not ours)
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Close the connection and remove the files that were fetched."""
        self.http.close()
        if self._folder is not None:
            self._folder.cleanup()

    def do(self, act: str, arguments: dict[str, Any], /) -> bytes:
        """The JSON of an act's result."""
        line = ACTS[act]
        request = self._request(line, dict(arguments))
        reply = self._send(request, repeatable=line.method in ("GET", "PUT") or KEY in request.headers)
        return self._follow(reply) if line.long else reply.content

    def ask(self, deployment: str, task: str, body: dict[str, Any], /) -> bytes:
        """The JSON of an answer. A question changes nothing, so that it is put again while a model is being loaded."""
        path = f"/v1/deployments/{quote(deployment, safe='')}:{task}"
        return self._send(self._json("POST", path, body), repeatable=True).content

    def file(self, ref: str, path: str, /) -> Path:
        """Fetch a file of a version into a folder that is removed on close. Raises Corrupt if it arrives changed."""
        detail = msgspec.json.decode(self.do("version", {"ref": ref}), type=VersionDetail)
        entry = next((file for file in detail.files if file.path == path), None)
        if entry is None:
            raise error_of(self._reply(self._request(ACTS["version_file"], {"ref": ref, "path": path}), again=True))
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="fourfold-client-")
        target = Path(self._folder.name) / quote(ref, safe="@") / safe_path(path)
        self.fetch(detail.version.ref, entry, target)
        return target

    def fetch(self, ref: str, entry: FileEntry, target: Path, /) -> None:
        """Bring a file of a version to `target`; goes on where an earlier fetch stopped. Raises Corrupt if it was changed."""
        download(lambda offset: self._bytes(ref, entry.path, offset), entry, target, self.progress)

    def _bytes(self, ref: str, path: str, offset: int) -> Iterator[bytes]:
        """The bytes of a file from `offset` on. A connection that breaks is taken up again."""
        breaks = 0
        while True:
            request = self._request(ACTS["version_file"], {"ref": ref, "path": path})
            request.headers.update({"range": f"bytes={offset}-", "accept-encoding": "identity"})
            try:
                for some in self._part(request, offset):
                    yield some
                    offset, breaks = offset + len(some), 0
                return
            except httpx.TransportError as error:
                breaks += 1
                if breaks == BREAKS or (isinstance(error, httpx.ConnectError) and offset == 0):
                    raise self._away(error) from error
                time.sleep(BREAK_SECONDS)

    def _part(self, request: httpx.Request, offset: int) -> Iterator[bytes]:
        reply = self.http.send(request, stream=True)
        try:
            if not reply.is_success:
                reply.read()
                raise error_of(reply)
            before = offset if reply.status_code == 200 else 0  # something on the way took no notice of the range
            for some in reply.iter_bytes():  # as they come: what waits for more is lost with the line
                yield some[before:]
                before = max(0, before - len(some))
        finally:
            reply.close()

    # One request

    def _request(self, act: Act, arguments: dict[str, Any]) -> httpx.Request:
        path = act.path
        for name in [n for n in arguments if f"{{{n}}}" in path or f"{{{n}:path}}" in path]:
            value = str(arguments.pop(name))
            path = path.replace(f"{{{name}:path}}", quote(value, safe="/")).replace(f"{{{name}}}", quote(value, safe="@"))
        if act.method == "GET":
            given = {name: str(value) for name, value in arguments.items() if value is not None}
            return self.http.build_request("GET", PREFIX + path, params=given)
        headers = {}
        if REVISION in arguments:
            revision = arguments.pop(REVISION)
            headers["if-match"] = "*" if revision is None else f'"{revision}"'
        if act.long or act.status == 201:
            headers[KEY] = str(uuid4())
        return self._json(act.method, PREFIX + path, arguments, headers)

    def _json(self, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> httpx.Request:
        headers = {"content-type": "application/json", **(headers or {})}
        return self.http.build_request(method, path, content=msgspec.json.encode(body), headers=headers)

    def _send(self, request: httpx.Request, *, repeatable: bool) -> httpx.Response:
        """The reply, or the error that it holds. What does no harm when done twice is put again when the server says when to
        come back, and once more when the connection breaks on the way."""
        reply = self._reply(request, again=repeatable)
        until = time.monotonic() + PATIENCE_SECONDS
        while repeatable and reply.status_code == 503 and "retry-after" in reply.headers and time.monotonic() < until:
            time.sleep(_seconds(reply))
            reply = self._reply(request, again=repeatable)
        if not reply.is_success:
            raise error_of(reply)
        return reply

    def _reply(self, request: httpx.Request, *, again: bool) -> httpx.Response:
        """Whatever comes back."""
        try:
            return self.http.send(request)
        except httpx.TimeoutException as error:
            raise TimedOut(f"{self.url} did not answer in time.", hint="Run: fourfold doctor") from error
        except httpx.TransportError as error:
            if again and not isinstance(error, httpx.ConnectError):
                return self._reply(request, again=False)
            raise self._away(error) from error

    def _away(self, error: Exception) -> NotReady:
        return NotReady(f"Nothing answers at {self.url}: {error}.", hint="Run: fourfold up")

    # Long acts

    def _follow(self, reply: httpx.Response) -> bytes:
        location = reply.headers["location"]
        try:
            job = self._watch(f"{location}/events")
        except KeyboardInterrupt:
            self._send(self._json("POST", f"{location}/cancel", {}), repeatable=False)
            raise
        if job.state == "done":
            return msgspec.json.encode(job.result)
        if job.state == "cancelled":
            raise Conflict(f"{job.id} was cancelled.", hint=f"Run: fourfold show {job.id}")
        error = dict(job.error or {})
        raise make_error(int(error.get("status", 500)), error.get("code", ""), error.get("message", ""), error.get("hint", ""))

    def _watch(self, path: str) -> Job:
        """The job as it ended. A stream that breaks is taken up again after its last event."""
        last, breaks = "", 0
        while breaks < BREAKS:
            with suppress(httpx.TransportError):
                for event, number, data in self._events(path, last):
                    last, breaks = number, 0
                    if event == "done":
                        return msgspec.json.decode(data, type=Job)
                    if event == "progress":
                        told = msgspec.json.decode(data)
                        self.progress(told["done"], told["total"], told["unit"])
            breaks += 1
            time.sleep(BREAK_SECONDS)
        raise NotReady(f"{self.url} went away; the work goes on when it is back.", hint="Run: fourfold jobs")

    def _events(self, path: str, last: str) -> Iterator[tuple[str, str, str]]:
        """(event, id, data) of a stream of server-sent events."""
        headers = {"accept": "text/event-stream", **({"last-event-id": last} if last else {})}
        with self.http.stream("GET", path, headers=headers, timeout=httpx.Timeout(10.0, read=None)) as reply:
            if not reply.is_success:
                reply.read()
                raise error_of(reply)
            fields: dict[str, str] = {}
            for line in reply.iter_lines():
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")  # data is one line: JSON
                if not line:
                    if "data" in fields:
                        yield fields.get("event", ""), fields.get("id", last), fields["data"]
                    fields = {}


# ---- errors ------------------------------------------------------------------------------------------------------------


def error_of(reply: httpx.Response) -> FourfoldError:
    """The error that a reply's problem details (RFC 9457) describe."""
    try:
        problem = msgspec.json.decode(reply.content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = {}
    said = str(problem.get("detail") or f"{reply.request.url} answered {reply.status_code} {reply.reason_phrase}.")
    hint = problem.get("hint") or ("" if problem else "Is this the address of Fourfold? See --url and FOURFOLD_URL.")
    error = make_error(reply.status_code, str(problem.get("code", "")), said, str(hint))
    if isinstance(error, Busy):
        error.retry_after_seconds = _seconds(reply)
    return error


def make_error(status: int, code: str, message: str, hint: str) -> FourfoldError:
    """An error of the class with that code; an unknown code gives the class of the status."""
    error = (BY_CODE.get(code) or BY_STATUS.get(status, FourfoldError))(message, hint=hint)
    vars(error).update({"status": status} | ({"code": code} if code else {}))  # what the server said counts
    return error


def _seconds(reply: httpx.Response) -> float:
    given = reply.headers.get("retry-after", "1")
    return min(float(given), MOST_SECONDS) if given.replace(".", "", 1).isdecimal() else 1.0


def _host(url: str) -> str:
    """The host of a URL. Raises BadSpec if it is none of http."""
    try:
        parsed = httpx.URL(url)
        if parsed.scheme in ("http", "https") and parsed.host:
            return parsed.host
        reason = "it has to begin with http:// or https:// and a host"
    except httpx.InvalidURL as error:
        reason = str(error)
    raise BadSpec(f"{url!r} is no address of a server: {reason}.", hint="For example: --url http://127.0.0.1:8044")
