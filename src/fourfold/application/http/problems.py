"""Errors as `application/problem+json` (RFC 9457) with our `code` and the next step as `hint`."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, ClassVar

from litestar import Request, Response
from litestar.exceptions import HTTPException

from fourfold.core.errors import BadInput, BadSpec, Busy, Conflict, FourfoldError

log = logging.getLogger(__name__)

LISTED = "GET /openapi.json lists every route with its types."


class PreconditionRequired(BadInput):
    """A change needs the revision that it is based on."""

    code, status, exit_code = "precondition_required", 428, 5


class PreconditionFailed(Conflict):
    """The thing has another revision by now."""

    code: ClassVar[str] = "precondition_failed"
    status: ClassVar[int] = 412


class RangeNotSatisfiable(BadInput):
    """A range of bytes that begins behind the end of the file."""

    code, status = "range_not_satisfiable", 416


def problem(status: int, code: str, message: str, hint: str = "") -> Response[dict[str, Any]]:
    """Problem details as a response."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": message,
        "code": code,
        "hint": hint,
    }
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    return Response(body, status_code=status, media_type="application/problem+json", headers=headers)


def expected(_request: Request[Any, Any, Any], error: FourfoldError) -> Response[dict[str, Any]]:
    """Trouble that says what to do next."""
    response = problem(error.status, error.code, error.message, error.hint)
    if isinstance(error, Busy):
        response.headers["retry-after"] = f"{error.retry_after_seconds:.0f}"
    return response


def refused(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """What the framework refused: no such path or method, a body or query that does not fit."""
    if isinstance(error.extra, list) and error.extra:
        return problem(422, BadSpec.code, "; ".join(_one(extra) for extra in error.extra), LISTED)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_input")
    return problem(error.status_code, code, str(error.detail), LISTED)


def _one(extra: Any) -> str:
    if not isinstance(extra, dict):
        return str(extra)
    where = extra.get("key", "")
    where = "The body" if where == "data" else where  # the framework's name for it
    return f"{where}: {extra.get('message', '')}".strip(": ")


def unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """A mistake of ours: the log has it, the caller learns nothing of our insides."""
    log.error("unexpected error in %s %s", request.method, request.url.path, exc_info=error)
    return problem(500, "failed", "Something went wrong inside Fourfold.", "The log of the server has the details.")


HANDLERS: dict[Any, Any] = {FourfoldError: expected, HTTPException: refused, Exception: unexpected}
