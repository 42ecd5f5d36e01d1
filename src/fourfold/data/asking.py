"""Asking a platform's interface: JSON over HTTPS, paced, tried again where that may help, each reply kept in a visit's state.

Tokens travel in addresses and headers, so nothing of a request reaches a log: neither the client's own nor an error's text.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from fourfold.core.errors import BadInput, BadSpec
from fourfold.data.connections import Connection, State
from fourfold.data.egress import Egress, EgressRefused, networks_of
from fourfold.data.fetching import AGAIN, MAX_WAIT_SECONDS, Fetched, Store

CONTROLS = bytes(range(32))
SPACES = bytes(32).replace(b"\x00", b" ")
MAX_REPLY_BYTES = 64 << 20


class NotAccepted(BadInput):
    """A platform's refusal: the state of the connection that it means, its code, and what it said."""

    code = "not_accepted"

    def __init__(self, message: str, *, hint: str, state: State, said_code: str, said: str) -> None:
        super().__init__(message, hint=hint)
        self.state: State = state
        self.said_code = said_code
        self.said = said


class NoAnswer(BadInput):
    """A platform that cannot be reached, or answers what is no answer."""

    code = "no_answer"


@dataclass(frozen=True, slots=True)
class Pace:
    """How a platform is asked."""

    delay_seconds: float
    timeout_seconds: float
    attempts: int
    retry_seconds: float

    def __post_init__(self) -> None:
        if self.delay_seconds < 0 or self.retry_seconds < 0 or self.attempts < 1 or self.timeout_seconds <= 0:
            raise BadSpec(
                "delay_seconds and retry_seconds are at least 0, attempts at least 1, timeout_seconds more than 0.",
                hint="Leave them out: their defaults are polite.",
            )


class Asking:
    """One platform, asked request by request; `close()` it. `secrets` are struck out of whatever is told."""

    def __init__(self, base: str, allow: Sequence[str], pace: Pace, store: Store | None) -> None:
        self.base, self.pace, self.store = base.rstrip("/"), pace, store
        self.secrets: set[str] = set()
        self.requests = 0
        self._transport = Egress(networks_of(allow)).transport()
        self._next = 0.0

    async def close(self) -> None:
        """Let go of the connections."""
        await self._transport.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Status and body of one exchange. Raises NoAnswer when there is none after all attempts."""
        said = ""
        for attempt in range(1, self.pace.attempts + 1):
            await self._turn()
            request = httpx.Request(
                method, f"{self.base}{path}", params=dict(query or {}), json=json, data=dict(form) if form else None,
                headers={"Accept": "application/json", **(headers or {})},
                extensions={"timeout": httpx.Timeout(self.pace.timeout_seconds).as_dict()},
            )  # fmt: skip
            wait = self.pace.retry_seconds * 2 ** (attempt - 1)
            try:
                async with asyncio.timeout(self.pace.timeout_seconds):
                    status, after, body = await self._exchange(request)
            except (TimeoutError, httpx.TimeoutException):
                said = "it did not answer in time"
            except EgressRefused as error:
                raise NoAnswer(f"{self.base}: {error.message}", hint=error.hint) from error
            except httpx.HTTPError as error:  # its text may hold the address, and that the token
                said = type(error).__name__
            else:
                if status not in AGAIN or body.lstrip()[:1] == b"{":  # an error that the platform itself explains
                    return status, body
                said = f"status {status}"
                wait = float(after) if after.isdigit() else wait
            if attempt < self.pace.attempts:
                await asyncio.sleep(min(wait, MAX_WAIT_SECONDS))
        raise NoAnswer(
            f"{self.base} gave no answer to {path} in {self.pace.attempts} attempts: {said}.",
            hint="Try again later; what was fetched is kept, and is not fetched again.",
        )

    def kept(self, key: str) -> bytes | None:
        """The reply that was kept under a key."""
        found = self.store.known.get(key) if self.store is not None else None
        return self.store.body(found.digest) if self.store is not None and found is not None and found.digest else None

    def keep(self, key: str, body: bytes) -> None:
        """Keep a reply: a killed visit does not ask for it again."""
        if self.store is not None:
            self.store.keep(Fetched(key, 200, fetched_at=time.time()), body)

    def forget(self) -> None:
        """Let the next visit ask for everything anew."""
        if self.store is not None:
            self.store.forget()

    def clean(self, text: str) -> str:
        """What a platform said, without secrets, in one line."""
        for one in self.secrets:
            text = text.replace(one, "***")
        return " ".join(text.split())

    async def _turn(self) -> None:
        now = time.monotonic()
        at = max(now, self._next)
        self._next = at + self.pace.delay_seconds
        await asyncio.sleep(at - now)

    async def _exchange(self, request: httpx.Request) -> tuple[int, str, bytes]:
        self.requests += 1
        reply = await self._transport.handle_async_request(request)  # not by a client: it logs addresses
        try:
            body = bytearray()
            async for chunk in reply.aiter_bytes():
                body += chunk
                if len(body) > MAX_REPLY_BYTES:
                    raise NoAnswer(
                        f"{self.base}: a reply is longer than {MAX_REPLY_BYTES} bytes.", hint="Ask for less at a time."
                    )
            return reply.status_code, reply.headers.get("retry-after", ""), bytes(body)
        finally:
            await reply.aclose()


def trouble(source: str, account: str, error: NotAccepted | NoAnswer, at: float) -> Connection:
    """What a failed visit means for the connection."""
    if isinstance(error, NotAccepted):
        return Connection(source, account, error.state, at, at, code=error.said_code, detail=error.said, next=error.hint)
    return Connection(source, account, "blocked", at, at, code=error.code, detail=error.message, next=error.hint)


def decoded(body: bytes, kind: Any, where: str) -> Any:
    """A reply as `kind`. Control characters within strings, which some platforms send, become spaces. Raises NoAnswer."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError:
        pass
    try:
        return msgspec.json.decode(body.translate(bytes.maketrans(CONTROLS, SPACES)), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NoAnswer(
            f"{where} answered what is no reply of this interface ({len(body)} bytes).",
            hint="Check the base address of the source.",
        ) from error


def file_name(text: str) -> str:
    """An id as the name of a file."""
    return re.sub(r"[^\w-]", "_", text)[:120] or "_"
