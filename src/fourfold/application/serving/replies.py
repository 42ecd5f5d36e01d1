"""Replies of the front: status, headers and body; and what every one of them carries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from fourfold.application.serving.messages import Problem
from fourfold.application.serving.proxy import Send
from fourfold.application.serving.request_log import RequestId
from fourfold.core.errors import BadInput

Headers = list[tuple[bytes, bytes]]
Reply = tuple[int, Headers, bytes]

RETRY_AFTER = {429: b"1", 503: b"1"}  # seconds
_traceparent = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")


class MethodNotAllowed(BadInput):
    """The path is right, the HTTP method is not."""

    code, status, exit_code = "method_not_allowed", 405, 2


def plain_reply(status: int, content_type: bytes, body: bytes) -> Reply:
    """A body of some type."""
    return status, [(b"content-type", content_type), (b"content-length", b"%d" % len(body))], body


def json_reply(status: int, content: Any) -> Reply:
    """A JSON document."""
    return plain_reply(status, b"application/json", msgspec.json.encode(content))


def problem_reply(problem: Problem, request_id: str) -> Reply:
    """A refusal as RFC 9457 problem details, with our `code`, the next step as `hint`, and the request's id as `instance`."""
    details = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.message,
        "code": problem.code,
        "hint": problem.hint,
        "instance": request_id,
    }
    status, headers, body = plain_reply(problem.status, b"application/problem+json", msgspec.json.encode(details))
    if status in RETRY_AFTER:
        headers.append((b"retry-after", RETRY_AFTER[status]))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 405:
        headers.append((b"allow", b"POST" if "POST" in problem.hint else b"GET, HEAD"))
    return status, headers, body


def trace_of(headers: Mapping[bytes, bytes], request: RequestId) -> tuple[str, str]:
    """W3C trace id and flags: those of the caller's `traceparent`, else the request's own number."""
    given = headers.get(b"traceparent")
    found = _traceparent.fullmatch(given) if given else None
    return (found[1].decode(), found[2].decode()) if found else (f"{request.number:032x}", "00")


def identity(request: RequestId, text: str, trace: tuple[str, str]) -> Headers:
    """The headers that say which request a reply answers: `text` is its id written out, `trace` is of W3C."""
    span = request.number & 0xFFFFFFFFFFFFFFFF  # segment and offset: once per front
    parent = b"00-%b-%016x-%b" % (trace[0].encode(), span, trace[1].encode())
    return [(b"x-request-id", text.encode()), (b"traceparent", parent)]


async def respond(send: Send, reply: Reply, request: RequestId, text: str, version: str, trace: tuple[str, str]) -> None:
    """Send a reply with the headers that all have. `text` is the request's id written out, `version` may be empty."""
    status, headers, body = reply
    headers += identity(request, text, trace)
    if version:
        headers.append((b"x-model-version", version.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
