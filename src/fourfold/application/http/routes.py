"""A handler for each act, made from the platform method's own signature."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import File

from fourfold.application.acts import ACTS, Act, signature
from fourfold.application.http.files import file_reply
from fourfold.application.http.problems import PreconditionFailed, PreconditionRequired
from fourfold.application.platform import Platform
from fourfold.application.results import Job
from fourfold.application.submissions import only_once, submit
from fourfold.core.errors import Conflict, NotFound

PREFIX = "/api/v1"
FROM_HEADER = "expected_revision"  # arrives as If-Match
RESERVED = ("state", "query", "body", "headers", "cookies", "scope", "socket")  # names that the framework fills itself


def handlers() -> list[HTTPRouteHandler]:
    """One route handler per line of ACTS."""
    return [_handler(act) for act in ACTS.values()]


def _handler(act: Act) -> HTTPRouteHandler:
    assert act.action, act.name  # a route without a declared action does not register
    parameters, hints, result = signature(act.name)
    in_path = [p for p in parameters if f"{{{p.name}}}" in act.path or f"{{{p.name}:" in act.path]
    others = [p for p in parameters if p not in in_path and p.name != FROM_HEADER]
    answer = _answer(act, in_path)
    shown = [_keyword("request", Request[Any, Any, Any]), *(_keyword(p.name, FromPath[hints[p.name]]) for p in in_path)]
    if act.method == "GET":
        shown += [_query(p.name, hints[p.name], p.default) for p in others]
    elif others:
        body = _body(act, others, hints)
        shown.append(_keyword("data", JSONBody[body]) if _required(others) else _keyword("data", JSONBody[body | None], None))
    returned = Job if act.long else File if result is Path else result
    _sign(answer, shown, Response[returned])  # type: ignore[valid-type]
    status = 202 if act.long else act.status
    return HTTPRouteHandler(
        _path(act, in_path),
        http_method=act.method,  # type: ignore[arg-type]
        status_code=status,
        operation_id=act.name,
        summary=act.name.replace("_", " ").capitalize(),
        description=inspect.getdoc(getattr(Platform, act.name)),
        tags=[act.tag],
        opt={"action": act.action},
    )(answer)


def _answer(act: Act, in_path: list[inspect.Parameter]) -> Callable[..., Awaitable[Response[Any]]]:
    names = [p.name for p in in_path]

    async def answer(request: Request[Any, Any, Any], **given: Any) -> Response[Any]:
        given = {name.rstrip("_"): value for name, value in given.items()}
        data = given.pop("data", None)
        if data is not None:
            given |= {f: getattr(data, f) for f in data.__struct_fields__}
        if "path" in names:
            given["path"] = str(given["path"]).lstrip("/")
        return await asyncio.to_thread(_do, act, request, given)

    return answer


def _do(act: Act, request: Request[Any, Any, Any], given: dict[str, Any]) -> Response[Any]:
    state = request.app.state
    platform = Platform(state.ledger, request.user, state.settings)
    key = request.headers.get("idempotency-key")
    if act.long:
        job = submit(act, platform, given, key)
        state.runner.wake()
        return Response(job, status_code=202, headers={"location": f"{PREFIX}/jobs/{job.id}"})
    if act.status == 201 and key is not None:
        only_once(act, platform, given, key)
    if act.etag and act.method != "GET":
        given[FROM_HEADER] = _revision(platform, given["name"], request.headers.get("if-match"))
    try:
        result = getattr(platform, act.name)(**given)
    except Conflict as error:
        if given.get(FROM_HEADER) is not None and "revision" in error.message:
            raise PreconditionFailed(error.message, hint=error.hint) from error
        raise
    if isinstance(result, Path):
        return file_reply(result, request.headers.get("range"))
    return Response(result, status_code=act.status, headers=_etag(act, result))


def _revision(platform: Platform, name: str, if_match: str | None) -> int | None:
    """The revision that a change is based on. A deployment that does not exist yet needs none."""
    try:
        present = platform.deployment(name).deployment.revision
    except NotFound:
        return None
    if if_match is None:
        raise PreconditionRequired(
            f"Deployment {name} exists: say which revision you change.", hint=f'Send If-Match: "{present}", or "*".'
        )
    if if_match.strip() == "*":
        return present
    wanted = if_match.strip().strip('"')
    if wanted != str(present):
        raise PreconditionFailed(
            f"Deployment {name} is at revision {present}, not {wanted}.", hint="GET it again, then repeat the change."
        )
    return present


def _etag(act: Act, result: Any) -> dict[str, str]:
    if not act.etag:
        return {}
    thing = result if act.etag == "." else getattr(result, act.etag)
    return {"etag": f'"{thing.revision}"'}


def _body(act: Act, parameters: list[inspect.Parameter], hints: dict[str, Any]) -> type[msgspec.Struct]:
    fields = [
        (p.name, hints[p.name]) if p.default is inspect.Parameter.empty else (p.name, hints[p.name], p.default)
        for p in parameters
    ]
    name = "".join(part.capitalize() for part in act.name.split("_"))
    return msgspec.defstruct(f"{name}Request", fields, forbid_unknown_fields=True, kw_only=True, module=__name__)


def _required(parameters: list[inspect.Parameter]) -> bool:
    return any(p.default is inspect.Parameter.empty for p in parameters)


def _query(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return _keyword(f"{name}_" if name in RESERVED else name, Annotated[annotation, QueryParameter(name=name)], default)


def _keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _sign(function: Callable[..., Any], parameters: list[inspect.Parameter], result: Any) -> None:
    function.__signature__ = inspect.Signature(parameters, return_annotation=result)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": result}


def _path(act: Act, in_path: list[inspect.Parameter]) -> str:
    path = act.path
    for parameter in in_path:
        path = path.replace(f"{{{parameter.name}}}", f"{{{parameter.name}:str}}")
    return PREFIX + path
