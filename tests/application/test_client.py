"""The SDK: the same methods as the platform, the same results and errors on a home and over HTTP."""

from __future__ import annotations

import inspect
import threading
import time
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
import uvicorn
from tests.application.small_company import write_company

from fourfold.application.acts import ACTS, signature
from fourfold.application.client import Client
from fourfold.application.client_http import HttpTransport, error_of, make_error
from fourfold.application.http.app import management_app
from fourfold.application.own_key import own_token, token_path
from fourfold.application.platform import Platform
from fourfold.application.results import DeploymentDetail, VersionDetail
from fourfold.core import errors
from fourfold.core.nouns import Route
from fourfold.storage.ledger import Ledger


@contextmanager
def served(app: object) -> Iterator[str]:
    """The address of an ASGI app on a port of its own."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="none", lifespan="on"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_company(tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def here(home: Path) -> Iterator[Client]:
    with Client(home=home) as client:
        yield client


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with served(management_app(home)) as url:
        yield url


@pytest.fixture(scope="module")
def there(home: Path, here: Client, address: str) -> Iterator[Client]:
    with Client(url=address, token=here.create_key("tester", "admin").token) as client:
        yield client


@pytest.fixture(scope="module")
def made(here: Client, there: Client, company: Path) -> dict[str, str]:
    """A dataset, a model and a report, the first two made over HTTP, and everything around them."""
    progress: list[tuple[float, float | None, str]] = []
    there._transport.progress = lambda *told: progress.append(told)  # type: ignore[attr-defined]
    raw = there.collect("raw", {"files": {"path": str(company / "tickets.csv")}})
    clean = there.clean("tickets", raw.ref, ["normalise", {"drop_short": {"min_words": 2}}, "drop_duplicates"])
    safe = here.deidentify("safe", clean.ref, actions={"EMAIL_ADDRESS": "replace"})
    tags = here.collect("tags", {"files": {"path": str(company / "tags")}})
    words = there.train("words", tags.ref, {"crf": {"tags": "upos", "max_iterations": 30}})
    report = here.evaluate(words.ref, tags.ref)
    there.promote(words.ref, "production", gates=["accuracy >= 0.5"], reason="a try")
    there.deploy("words", version="words@production", limits={"record_content": True})
    there.deploy("words", routes=[Route(words.ref, 3), Route("words", 1)], reason="two")
    assert progress, "the worker told nothing of how far it was"
    return {"raw": raw.ref, "clean": clean.ref, "safe": safe.ref, "tags": tags.ref, "words": words.ref, "report": report.ref}


# ---- the same methods ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ACTS)
def test_the_client_has_the_platforms_method(act: str) -> None:
    method = getattr(Client, act)
    parameters, hints, result = signature(act)
    own_hints = typing.get_type_hints(method)
    assert own_hints.pop("return") == result
    assert own_hints == hints
    own = list(inspect.signature(method).parameters.values())[1:]
    assert [(p.name, p.kind, p.default) for p in own] == [(p.name, p.kind, p.default) for p in parameters]
    assert inspect.getdoc(method)


def test_every_platform_method_is_an_act_and_every_act_a_method() -> None:
    permitted = {name for name, method in inspect.getmembers(Platform) if hasattr(method, "action")}
    assert permitted == set(ACTS)


def test_every_act_has_its_route(home: Path) -> None:
    routes = management_app(home).route_handler_method_map
    for act in ACTS.values():
        path = act.path.replace("{path:path}", "{path}")
        found = [known for known in routes if known.replace(":str}", "}").replace(":path}", "}") == f"/api/v1{path}"]
        assert found, act.path
        assert act.method in routes[found[0]]


# ---- the same results ----------------------------------------------------------------------------------------------------

READS = {
    "versions": {},
    "runs": {"verb": "train"},
    "aliases": {"name": "words"},
    "alias": {"name": "words", "alias": "production"},
    "deployments": {},
    "deployment": {"name": "words"},
    "describe": {"dataset": "safe"},
    "documents": {"dataset": "safe", "limit": 3, "offset": 2},
    "version": {"ref": "words@production"},
    "show": {"thing": "words@1"},
    "keys": {},
    "jobs": {"state": "done"},
}


@pytest.mark.parametrize("act", READS)
def test_a_home_and_http_answer_the_same(here: Client, there: Client, made: dict[str, str], act: str) -> None:
    local, remote = (getattr(client, act)(**READS[act]) for client in (here, there))
    assert local == remote
    assert type(local) is type(remote)
    assert local


def test_what_is_shown_has_its_type(here: Client, there: Client, made: dict[str, str]) -> None:
    for client in (here, there):
        assert isinstance(client.show("words@1").value, VersionDetail)
        assert isinstance(client.show("words").value, DeploymentDetail)
        row = client.documents("safe", limit=1).rows[0]
        assert client.show(row["doc_id"]).what == "document"


def test_pages_are_turned_with_the_cursor(there: Client, made: dict[str, str]) -> None:
    seen, cursor = [], None
    while True:
        page = there.versions(limit=2, cursor=cursor)
        seen += [v.ref for v in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [v.ref for v in there.versions().data]
    assert len(seen) > 4


def test_a_file_arrives_as_it_was_stored(home: Path, here: Client, address: str, made: dict[str, str]) -> None:
    with Client(url=address, token=here.create_key("reader", "reader").token) as reader:
        path = next(f.path for f in reader.version("raw").files if f.path.startswith("raw/"))
        fetched = reader.version_file("raw", path)
        assert fetched.read_bytes() == here.version_file("raw", path).read_bytes()
    assert not fetched.exists(), "the client leaves nothing behind"


def test_a_role_is_what_the_key_says(here: Client, address: str) -> None:
    with Client(url=address, token=here.create_key("reader", "reader").token) as reader:
        assert reader.whoami().actor.role == "reader"
        with pytest.raises(errors.NotPermitted) as refused:
            reader.train("x", "tags", "crf")
    assert refused.value.status == 403
    assert "--role" in refused.value.hint
    assert here.whoami().actor.name == "command line"


# ---- the same errors -----------------------------------------------------------------------------------------------------

TROUBLE = {
    "no such version": (lambda c: c.version("nothing@1"), errors.NotFound),
    "a wrong setting": (lambda c: c.train("x", "tags", {"crf": {"tagz": "upos"}}), errors.BadSpec),
    "a gate": (lambda c: c.promote("words", "best", gates=["accuracy >= 2"]), errors.GateRefused),
    "no gate": (lambda c: c.promote("words", "best", gates=["accuracy about 1"]), errors.BadSpec),
    "not a model": (lambda c: c.deploy("other", version="tags@1"), errors.BadSpec),
    "too many rows": (lambda c: c.versions(limit=0), errors.BadInput),
    "nothing to collect": (lambda c: c.collect("x", {"files": {"path": "/nowhere/at/all"}}), errors.BadInput),
    "a file that is not there": (lambda c: c.version_file("tags", "raw/none"), errors.NotFound),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_a_home_and_http_refuse_alike(here: Client, there: Client, made: dict[str, str], case: str) -> None:
    act, kind = TROUBLE[case]
    said = []
    for client in (here, there):
        with pytest.raises(kind) as trouble:
            act(client)
        error = trouble.value
        said.append((type(error), error.message, error.hint, error.exit_code))
    assert said[0] == said[1]


def test_a_change_of_another_revision_is_a_conflict_either_way(here: Client, there: Client, made: dict[str, str]) -> None:
    for client in (here, there):
        with pytest.raises(errors.Conflict, match="revision") as trouble:
            client.deploy("words", version="words@1", expected_revision=1)
        assert trouble.value.exit_code == 5
        now = client.deployment("words").deployment.revision
        assert client.deploy("words", version="words@1", expected_revision=now).revision == now + 1


def test_a_failed_act_leaves_no_version(there: Client, made: dict[str, str]) -> None:
    assert not there.versions(name="x").data
    failed = there.runs(state="failed")
    assert not failed.data or all(run.version is None for run in failed.data)


# ---- keys, addresses, other servers ----------------------------------------------------------------------------------------


def test_without_a_key_it_says_how_to_get_one(address: str) -> None:
    with Client(url=address) as nobody, pytest.raises(errors.NotSignedIn, match="needs an API key"):
        nobody.whoami()


def test_where_nothing_listens() -> None:
    with Client(url="http://127.0.0.1:9", token="x") as client, pytest.raises(errors.NotReady) as trouble:
        client.whoami()
    assert trouble.value.hint == "Run: fourfold up"


@pytest.mark.parametrize("url", ["http://", "http://host:port", "localhost:8044", "ftp://host"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(errors.BadSpec, match="is no address"):
        Client(url=url)


def test_a_home_or_a_url_and_the_environment(
    tmp_path: Path, address: str, here: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(errors.BadSpec, match="not both"):
        Client(home=tmp_path, url=address)
    monkeypatch.setenv("FOURFOLD_URL", address)
    monkeypatch.setenv("FOURFOLD_TOKEN", here.create_key("environment", "reader").token)
    with Client() as client:
        assert client.whoami().actor.name == "environment"
    with Client(home=tmp_path) as client:
        assert client.whoami().actor.id == "cli"
    monkeypatch.delenv("FOURFOLD_URL")
    monkeypatch.setenv("FOURFOLD_HOME", str(tmp_path / "other"))
    with Client() as client:
        client.versions()
    assert (tmp_path / "other" / "ledger.sqlite").exists()


def test_asking_a_home_that_nobody_serves(here: Client) -> None:
    with pytest.raises(errors.NotReady, match="Nothing serves"):
        here.ask("words", "tag", "The lamp")
    with pytest.raises(errors.BadSpec, match="Did you mean 'tag'"):
        here.ask("words", "tga", "The lamp")


def test_the_own_key_is_made_once_and_again_when_lost_or_revoked(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    try:
        first = own_token(ledger)
        assert own_token(ledger) == first
        assert token_path(tmp_path).stat().st_mode & 0o777 == 0o600
        found = ledger.find_key(first)
        assert found is not None
        ledger.revoke_key(found.id, actor="somebody")
        second = own_token(ledger)
        assert second != first
        token_path(tmp_path).unlink()
        third = own_token(ledger)
        alive = [key for key in ledger.keys() if key.revoked_at is None]  # noqa: SIM118
        found = ledger.find_key(third)
        assert found is not None
        assert [key.id for key in alive] == [found.id], "a lost token opens nothing any more"
    finally:
        ledger.close()


# ---- servers that are busy, break off, or are no Fourfold ------------------------------------------------------------------


def respond(status: int, body: bytes = b"{}", **headers: str) -> httpx.Response:
    request = httpx.Request("GET", "http://server/api/v1/x")
    return httpx.Response(status, content=body, headers={k.replace("_", "-"): v for k, v in headers.items()}, request=request)


@pytest.mark.parametrize(
    "kind", sorted({k.code: k for k in errors.FourfoldError.__subclasses__()}.values(), key=lambda k: k.code)
)
def test_each_code_comes_back_as_its_class(kind: type[errors.FourfoldError]) -> None:
    error = make_error(kind.status, kind.code, "what", "next")
    assert type(error) is kind
    assert (error.code, error.status, error.exit_code) == (kind.code, kind.status, kind.exit_code)


def test_an_unknown_code_keeps_its_name_and_gets_the_class_of_its_status() -> None:
    body = msgspec.json.encode({"detail": "Say which.", "code": "precondition_required", "hint": "If-Match"})
    error = error_of(respond(428, body))
    assert (type(error), error.code, error.status, error.exit_code) == (errors.Conflict, "precondition_required", 428, 5)


def test_a_page_that_is_no_problem_details() -> None:
    error = error_of(respond(502, b"<html>Bad gateway"))
    assert "502" in error.message
    assert "FOURFOLD_URL" in error.hint


def test_busy_says_when_to_come_back() -> None:
    error = error_of(respond(429, b'{"code":"busy","detail":"Full."}', retry_after="7"))
    assert isinstance(error, errors.Busy)
    assert error.retry_after_seconds == 7


class Scripted:
    """An ASGI app that answers with prepared replies in turn, and remembers what it was asked."""

    def __init__(self, *replies: tuple[int, dict[str, str], bytes]) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["method"], scope["raw_path"].decode(), headers))
        status, extra, body = self.replies.pop(0)
        raw = [(name.encode(), value.encode()) for name, value in extra.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})


NOT_YET = (503, {"retry-after": "0"}, b'{"code":"not_ready","detail":"Loading."}')


def test_a_get_is_put_again_when_the_server_says_so() -> None:
    app = Scripted(NOT_YET, NOT_YET, (200, {}, b"[]"))
    with served(app) as url:
        transport = HttpTransport(url, "t")
        assert transport.do("deployments", {}) == b"[]"
        transport.close()
    assert len(app.asked) == 3


def test_a_change_is_not_put_again() -> None:
    app = Scripted(NOT_YET)
    with served(app) as url:
        transport = HttpTransport(url, "t")
        with pytest.raises(errors.NotReady, match="Loading"):
            transport.do("retire", {"name": "words", "expected_revision": None})
        transport.close()
    assert len(app.asked) == 1


def event(name: str, number: int, data: object) -> bytes:
    return f"event: {name}\r\nid: {number}\r\ndata: ".encode() + msgspec.json.encode(data) + b"\r\n\r\n"


JOB = {
    "id": "job_1", "act": "train", "arguments": {}, "actor": {"id": "k", "name": "n", "role": "admin"}, "state": "done",
    "created_at": 1.0, "started_at": 1.0, "finished_at": 2.0, "progress": {}, "error": None, "result": {"x": 1},
}  # fmt: skip
STREAM = {"content-type": "text/event-stream"}
ACCEPTED = (202, {"location": "/api/v1/jobs/job_1"}, b"{}")


def test_a_stream_that_breaks_is_taken_up_after_its_last_event() -> None:
    told: list[tuple[float, float | None, str]] = []
    progress = event("progress", 2, {"done": 1, "total": 2, "unit": "rounds"})
    app = Scripted(
        ACCEPTED, (200, STREAM, event("state", 1, {"state": "running"}) + progress), (200, STREAM, event("done", 3, JOB))
    )
    with served(app) as url:
        transport = HttpTransport(url, "t", lambda *far: told.append(far))
        assert msgspec.json.decode(transport.do("train", {"name": "a", "dataset": "b", "family": "crf", "dev": None})) == {
            "x": 1
        }
        transport.close()
    assert told == [(1, 2, "rounds")]
    assert app.asked[0][2]["idempotency-key"]
    assert app.asked[2][2]["last-event-id"] == "2"


@pytest.mark.parametrize(
    ("job", "kind"),
    [
        ({**JOB, "state": "cancelled"}, errors.Conflict),
        (
            {**JOB, "state": "failed", "error": {"code": "bad_spec", "message": "No.", "hint": "", "status": 422}},
            errors.BadSpec,
        ),
    ],
)
def test_a_job_that_did_not_end_well_raises(job: dict[str, object], kind: type[Exception]) -> None:
    app = Scripted(ACCEPTED, (200, STREAM, event("done", 1, job)))
    with served(app) as url:
        transport = HttpTransport(url, "t")
        with pytest.raises(kind):
            transport.do("train", {"name": "a", "dataset": "b", "family": "crf", "dev": None})
        transport.close()


def test_an_interrupted_wait_cancels_the_job() -> None:
    app = Scripted(ACCEPTED, (200, STREAM, event("progress", 1, {"done": 1, "total": 2, "unit": "x"})), (200, {}, b"{}"))

    def interrupt(*_far: object) -> None:
        raise KeyboardInterrupt

    with served(app) as url:
        transport = HttpTransport(url, "t", interrupt)
        with pytest.raises(KeyboardInterrupt):
            transport.do("train", {"name": "a", "dataset": "b", "family": "crf", "dev": None})
        transport.close()
    assert app.asked[-1][:2] == ("POST", "/api/v1/jobs/job_1/cancel")


@pytest.mark.parametrize(("revision", "header"), [(None, "*"), (4, '"4"')])
def test_an_expected_revision_travels_as_if_match(revision: int | None, header: str) -> None:
    app = Scripted((200, {}, b"{}"))
    with served(app) as url:
        transport = HttpTransport(url, "t")
        transport.do("retire", {"name": "wörter", "expected_revision": revision})
        transport.close()
    method, path, headers = app.asked[0]
    assert (method, path, headers["if-match"]) == ("POST", "/api/v1/deployments/w%C3%B6rter/retire", header)


def test_a_file_that_arrives_changed_is_refused() -> None:
    detail = {
        "version": {"id": "v", "name": "raw", "number": 1, "kind": "dataset", "digest": "d", "run_id": "r", "created_at": 1.0,
                    "size_bytes": 1},
        "files": [{"path": "a.txt", "size_bytes": 1, "digest": "00", "sha256": "00"}],
        "inputs": [], "outputs": [], "aliases": [],
    }  # fmt: skip
    app = Scripted((200, {}, msgspec.json.encode(detail)), (200, {}, b"other bytes"))
    with served(app) as url:
        transport = HttpTransport(url, "t")
        with pytest.raises(errors.Corrupt, match="did not arrive"):
            transport.file("raw@1", "a.txt")
        transport.close()
