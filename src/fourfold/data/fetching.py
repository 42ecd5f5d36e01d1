"""Fetching politely: one address after another of a host, within its robots.txt and delay, each kept on disk as it comes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from fourfold.core.fingerprint import digest_bytes
from fourfold.data.egress import Egress, EgressRefused
from fourfold.data.urls import host_of, normal

KEPT_HEADERS = ("content-type", "etag", "last-modified", "x-robots-tag", "retry-after")
AGAIN = frozenset({429, 500, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_WAIT_SECONDS = 120.0
CHUNK_BYTES = 1 << 16


class Fetched(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of asking for a URL. `reason` says why there is no body; `digest` names the body, which lies in the store."""

    url: str
    status: int = 0
    reason: str = ""
    detail: str = ""
    headers: dict[str, str] = {}
    location: str | None = None
    digest: str | None = None
    size_bytes: int = 0
    fetched_at: float = 0.0
    unchanged: bool = False  # 304: the body is the one of the version before


@dataclass(slots=True)
class Store:
    """Bodies by digest, and a journal of what was fetched, in a folder: a killed run finds both again."""

    folder: Path
    known: dict[str, Fetched] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "bodies").mkdir(parents=True, exist_ok=True)
        if self.journal.exists():
            for line in self.journal.read_bytes().split(b"\n")[:-1]:  # what a kill cut off has no line end
                try:
                    found = msgspec.json.decode(line, type=Fetched)
                except msgspec.DecodeError:
                    continue
                self.known[found.url] = found
            with self.journal.open("ab") as file:
                file.write(b"\n")  # a line that was cut off ends here

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    def forget(self) -> None:
        """Ask for everything anew next time: what was fetched led to nothing."""
        self.known.clear()
        self.journal.unlink(missing_ok=True)

    def body(self, digest: str) -> bytes:
        """The bytes of a body."""
        return (self.folder / "bodies" / digest).read_bytes()

    def keep(self, found: Fetched, body: bytes | None) -> Fetched:
        """Write a body, then the line that says it is there."""
        if body is not None:
            found = msgspec.structs.replace(found, digest=digest_bytes(body), size_bytes=len(body))
            target = self.folder / "bodies" / str(found.digest)
            if not target.exists():
                partial = target.with_suffix(".partial")
                partial.write_bytes(body)
                partial.rename(target)
        self.known[found.url] = found
        with self.journal.open("ab") as file:
            file.write(msgspec.json.encode(found) + b"\n")
        return found


@dataclass(frozen=True, slots=True)
class Manners:
    """How a host is treated."""

    user_agent: str
    per_host: int
    delay_seconds: float
    timeout_seconds: float
    attempts: int
    retry_seconds: float
    max_bytes: int  # of one body, unpacked


class Fetcher:
    """Fetches over one client; `close()` it."""

    def __init__(self, egress: Egress, store: Store, manners: Manners, validators: Mapping[str, Mapping[str, str]]) -> None:
        self.store, self.manners, self.validators = store, manners, validators
        self.requests = 0
        self.delays: dict[str, float] = {}  # host → seconds that its robots.txt asks for
        self._gates: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(manners.per_host))
        self._next: dict[str, float] = {}
        self._client = httpx.AsyncClient(
            transport=egress.transport(),
            headers={"User-Agent": manners.user_agent, "Accept": "text/html,application/xhtml+xml,*/*;q=0.5"},
            follow_redirects=False,  # each hop is a URL of its own, judged like any other
            timeout=manners.timeout_seconds,
            trust_env=False,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def fetch(self, url: str) -> Fetched:
        """What is at a URL: from the store if it was fetched before, else over the network, tried again where that may help."""
        if url in self.store.known:
            return self.store.known[url]
        host = host_of(url)
        async with self._gates[host]:
            for attempt in itertools.count(1):
                await self._turn(host)
                found, body = await self._once(url)
                if not _worth_another(found) or attempt == self.manners.attempts:
                    return self.store.keep(found, body)
                await asyncio.sleep(self._wait(found, attempt - 1))
        raise AssertionError("counting has no end")

    async def _turn(self, host: str) -> None:
        """Wait until the host's delay has passed since the request before."""
        delay = max(self.manners.delay_seconds, self.delays.get(host, 0.0))
        now = time.monotonic()
        at = max(now, self._next.get(host, 0.0))
        self._next[host] = at + delay
        await asyncio.sleep(at - now)

    def _wait(self, found: Fetched, attempt: int) -> float:
        asked = found.headers.get("retry-after", "")
        seconds = float(asked) if asked.isdigit() else self.manners.retry_seconds * 2**attempt
        return min(seconds, MAX_WAIT_SECONDS)

    async def _once(self, url: str) -> tuple[Fetched, bytes | None]:
        self.requests += 1
        try:
            async with asyncio.timeout(self.manners.timeout_seconds):  # of the whole: a page may trickle for ever
                return await self._exchange(url)
        except (TimeoutError, httpx.TimeoutException):
            return Fetched(url, reason="timed_out", fetched_at=time.time()), None
        except EgressRefused as error:
            return Fetched(url, reason="egress_refused", detail=error.message, fetched_at=time.time()), None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            return Fetched(url, reason="unreachable", detail=f"{type(error).__name__}: {error}", fetched_at=time.time()), None

    async def _exchange(self, url: str) -> tuple[Fetched, bytes | None]:
        headers = dict(self.validators.get(url, {}))
        async with self._client.stream("GET", url, headers=headers) as reply:
            kept = {name: reply.headers[name] for name in KEPT_HEADERS if name in reply.headers}
            found = Fetched(url, reply.status_code, headers=kept, fetched_at=time.time())
            if reply.status_code == 304 and headers:
                return msgspec.structs.replace(found, unchanged=True), None
            if reply.status_code in REDIRECTS:
                location = normal(reply.headers.get("location", ""), url) if "location" in reply.headers else None
                return msgspec.structs.replace(found, reason="redirect", location=location), None
            if reply.status_code != 200:
                return msgspec.structs.replace(found, reason=f"status_{reply.status_code}"), None
            body = await self._body(reply)
            return (found, body) if body is not None else (msgspec.structs.replace(found, reason="too_large"), None)

    async def _body(self, reply: httpx.Response) -> bytes | None:
        body = bytearray()
        async for chunk in reply.aiter_bytes(CHUNK_BYTES):
            body += chunk
            if len(body) > self.manners.max_bytes:  # unpacked: a small reply can hold gigabytes
                return None
        return bytes(body)


def _worth_another(found: Fetched) -> bool:
    return found.status in AGAIN or found.reason in ("timed_out", "unreachable")


def validators_of(headers: Mapping[str, Any]) -> dict[str, str]:
    """Request headers that ask for a page only if it changed."""
    pairs = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
    return {name: headers[header] for name, header in pairs if header in headers}
