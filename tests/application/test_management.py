"""/api/v1 over real HTTP semantics: keys, roles, pages, ETags, idempotency, jobs, problems, OpenAPI."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar.testing import TestClient

from fourfold.application.acts import ACTS, signature
from fourfold.application.http.app import management_app
from fourfold.application.permissions import ACTIONS, ROLES
from fourfold.application.platform import Platform
from fourfold.core.nouns import Actor
from fourfold.storage.jobs import ENDED
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two versions of a model, a report, and a key for each role."""
    home = tmp_path_factory.mktemp("management") / "home"
    ledger = Ledger.open(home)
    for number in (1, 2):
        with ledger.run("train", kind="model", name="words", spec={"n": number}, actor=OWNER) as run:
            (run.folder / "weights.txt").write_text(str(number))
            run.meta.update(family="ngram", tasks=["score"])
    with ledger.run(
        "evaluate", kind="report", name="words-report", spec={}, inputs=[ledger.version("words@1")], actor=OWNER
    ) as run:
        (run.folder / "report.json").write_text("{}")
        run.meta.update(metrics={"perplexity": 100.0}, split="dev")
    for role in ROLES:
        _, token = ledger.create_key(role, role, actor="test")
        (home / f"{role}.token").write_text(token)
    ledger.close()
    return home


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[TestClient[Any]]:
    with TestClient(management_app(home), raise_server_exceptions=False) as opened:
        yield opened


def bearer(home: Path, role: str) -> dict[str, str]:
    return {"authorization": f"Bearer {(home / f'{role}.token').read_text()}"}


@pytest.fixture
def admin(home: Path) -> dict[str, str]:
    return bearer(home, "admin")


def is_problem(reply: httpx.Response, status: int, code: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"].startswith("application/problem+json")
    assert reply.json()["code"] == code
    assert reply.json()["detail"]


def concrete(path: str) -> str:
    for name, value in {
        "ref": "words@1",
        "path:path": "weights.txt",
        "thing": "words@1",
        "dataset": "words",
        "name": "none",
        "alias": "x",
    }.items():
        path = path.replace(f"{{{name}}}", value)
    return "/api/v1" + path.replace("{run_id}", "run_x").replace("{job_id}", "job_x").replace("{key_id}", "key_x").replace(
        "{answer_id}", "req_x"
    )


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_every_route_asks_for_a_key_and_for_a_role(client, home, act):
    path = concrete(act.path)
    is_problem(client.request(act.method, path), 401, "not_signed_in")
    is_problem(client.request(act.method, path, headers={"authorization": "Bearer ff_guess"}), 401, "not_signed_in")
    body = {
        "name": "x",
        "source": "files",
        "dataset": "d",
        "steps": [],
        "family": "ngram",
        "model": "m",
        "version": "v",
        "first": "v@1",
        "second": "v@2",
        "alias": "a",
        "project": {},
        "role": "reader",
        "cron": "0 1 * * *",
        "act": "train",
        "versions": ["x@9"],
        "reason": "r",
        "kind": "local",
        "settings": {},
        "older_than_days": 1.0,
        "tag": "t",
        "pseudonyms": ["CN_MOBILE_0"],
        "rows": [],
        "query": "q",
        "question": "text",
        "doc_id": "doc_x",
        "thing": "doc_x",
        "value": {},
        "text": "t",
        "tasks": [],
        "format": "jsonl",
        "place": str(home / "nowhere" / "backup"),
    }
    needed = {p.name for p in signature(act.name)[0] if p.default is p.empty}
    for role in ROLES:
        given = {k: v for k, v in body.items() if k in needed and f"{{{k}}}" not in act.path}
        sent: dict[str, Any] = {"params": given} if act.method == "GET" else {"json": given}
        reply = client.request(act.method, path, headers=bearer(home, role), **sent)
        refused = reply.status_code == 403
        assert refused == (role not in ACTIONS[act.action]), (role, reply.status_code, reply.text)
        if reply.status_code == 202:  # later tests have jobs of their own, which are not to wait for this one
            client.post(reply.headers["location"] + "/cancel", headers=bearer(home, "admin"))


def test_every_public_method_of_the_platform_is_an_act_with_an_action():
    public = {name for name in dir(Platform) if not name.startswith("_")}
    assert public == set(ACTS)
    assert {act.action for act in ACTS.values()} <= set(ACTIONS)


def test_versions_come_in_pages(client, admin):
    first = client.get("/api/v1/versions?name=words&limit=1", headers=admin).json()
    assert [v["number"] for v in first["data"]] == [2]
    second = client.get(f"/api/v1/versions?name=words&limit=1&cursor={first['next_cursor']}", headers=admin).json()
    assert [v["number"] for v in second["data"]] == [1]
    assert second["next_cursor"] is None
    is_problem(client.get("/api/v1/versions?limit=0", headers=admin), 400, "bad_input")
    is_problem(client.get("/api/v1/versions?kind=nonsense", headers=admin), 422, "bad_spec")


def test_a_version_its_files_and_what_it_is_not(client, admin):
    detail = client.get("/api/v1/versions/words@1", headers=admin).json()
    assert [f["path"] for f in detail["files"]] == ["weights.txt"]
    assert detail["outputs"] == ["words-report@1"]
    assert client.get("/api/v1/versions/words@1/files/weights.txt", headers=admin).text == "1"
    is_problem(client.get("/api/v1/versions/words@1/files/../../ledger.sqlite", headers=admin), 404, "not_found")
    is_problem(client.get("/api/v1/versions/words@1/files/weight.txt", headers=admin), 404, "not_found")
    is_problem(client.get("/api/v1/versions/wrds@1", headers=admin), 404, "not_found")
    assert client.get(f"/api/v1/things/{detail['files'][0]['digest']}", headers=admin).json()["what"] == "file"
    assert client.get(f"/api/v1/things/{detail['version']['digest']}", headers=admin).json()["what"] == "version"
    assert client.get(f"/api/v1/things/{detail['version']['run_id']}", headers=admin).json()["what"] == "run"


def test_promotion_through_a_gate(client, admin):
    body = {"version": "words@1", "alias": "production", "gates": ["perplexity <= 50"]}
    is_problem(client.post("/api/v1/aliases/promote", headers=admin, json=body), 409, "gate_refused")
    done = client.post("/api/v1/aliases/promote", headers=admin, json={**body, "gates": ["perplexity <= 100"]}).json()
    assert (done["to_version"], done["from_version"]) == ("words@1", None)
    assert client.get("/api/v1/aliases", headers=admin).json() == {"words@production": "words@1"}
    assert len(client.get("/api/v1/aliases/words/production", headers=admin).json()["moves"]) == 1


def test_a_deployment_changes_only_on_its_present_revision(client, admin):
    path = "/api/v1/deployments/tagger"
    made = client.put(path, headers=admin, json={"version": "words@1"})
    assert (made.status_code, made.headers["etag"]) == (200, '"1"')
    is_problem(client.put(path, headers=admin, json={"version": "words@2"}), 428, "precondition_required")
    is_problem(client.put(path, headers={**admin, "if-match": '"7"'}, json={"version": "words@2"}), 412, "precondition_failed")
    changed = client.put(path, headers={**admin, "if-match": '"1"'}, json={"version": "words@2"})
    assert changed.headers["etag"] == client.get(path, headers=admin).headers["etag"] == '"2"'
    back = client.post(f"{path}/rollback", headers={**admin, "if-match": "*"})
    assert [r["version"] for r in back.json()["routes"]] == ["words@1"]
    is_problem(client.put(path, headers={**admin, "if-match": "*"}, json={}), 422, "bad_spec")
    is_problem(
        client.put(path, headers={**admin, "if-match": "*"}, json={"version": "words@1", "limits": {"max_input": 3}}),
        422,
        "bad_spec",
    )
    assert client.post(f"{path}/retire", headers={**admin, "if-match": "*"}).json()["state"] == "retired"


def test_keys_are_shown_once_and_close_at_once(client, admin):
    made = client.post(
        "/api/v1/keys", headers={**admin, "idempotency-key": "k1"}, json={"name": "bot", "role": "reader"}
    ).json()
    token = {"authorization": f"Bearer {made['token']}"}
    assert client.get("/api/v1/whoami", headers=token).json()["actor"]["name"] == "bot"
    assert made["token"] not in client.get("/api/v1/keys", headers=admin).text
    again = client.post("/api/v1/keys", headers={**admin, "idempotency-key": "k1"}, json={"name": "bot", "role": "reader"})
    is_problem(again, 409, "conflict")
    other = client.post("/api/v1/keys", headers={**admin, "idempotency-key": "k1"}, json={"name": "other", "role": "reader"})
    is_problem(other, 422, "idempotency_key_reused")
    assert client.post(f"/api/v1/keys/{made['key']['id']}/revoke", headers=admin).status_code == 200
    is_problem(client.get("/api/v1/whoami", headers=token), 401, "not_signed_in")


def test_an_expired_key_opens_nothing(client, admin):
    made = client.post(
        "/api/v1/keys", headers=admin, json={"name": "old", "role": "reader", "expires_at": time.time() - 1}
    ).json()
    reply = client.get("/api/v1/whoami", headers={"authorization": f"Bearer {made['token']}"})
    is_problem(reply, 401, "not_signed_in")
    assert "expired" in reply.json()["detail"]


def wait_for(client, headers, path: str) -> dict[str, Any]:
    for _ in range(2400):
        job = client.get(path, headers=headers).json()
        if job["state"] in ENDED:
            return job
        time.sleep(0.1)
    raise AssertionError(f"{path} did not end")


def test_a_long_act_is_a_job(client, admin, tmp_path):
    (tmp_path / "notes.txt").write_text("你好，世界\nhello world\n")
    body = {"name": "notes", "source": {"files": {"path": str(tmp_path)}}}
    taken = client.post("/api/v1/datasets/collect", headers={**admin, "idempotency-key": "c1"}, json=body)
    assert taken.status_code == 202
    again = client.post("/api/v1/datasets/collect", headers={**admin, "idempotency-key": "c1"}, json=body)
    assert again.json()["id"] == taken.json()["id"]
    job = wait_for(client, admin, taken.headers["location"])
    assert job["state"] == "done", job
    assert (job["result"]["name"], job["result"]["number"]) == ("notes", 1)
    events = client.get(taken.headers["location"] + "/events", headers={**admin, "last-event-id": "1"}).text
    assert "event: done" in events
    assert "id: 2" in events
    described = client.get("/api/v1/datasets/notes@1/description", headers=admin).json()
    assert described["rows"] >= 1
    assert client.get("/api/v1/datasets/notes/documents", headers=admin).json()["rows"]


def test_a_job_that_fails_says_why_and_what_next(client, admin, tmp_path):
    body = {"name": "nothing", "source": {"files": {"path": str(tmp_path / "absent")}}}
    taken = client.post("/api/v1/datasets/collect", headers=admin, json=body)
    job = wait_for(client, admin, taken.headers["location"])
    assert job["state"] == "failed"
    assert "absent" in job["error"]["message"]
    assert job["error"]["hint"]


def test_what_does_not_fit_is_refused_with_its_name(client, admin):
    reply = client.post("/api/v1/datasets/collect", headers=admin, json={"name": "x", "sourc": 3})
    is_problem(reply, 422, "bad_spec")
    assert "sourc" in reply.json()["detail"]
    is_problem(client.post("/api/v1/datasets/collect", headers=admin, content=b"\xff{"), 400, "bad_input")
    is_problem(client.get("/api/v1/nothing", headers=admin), 404, "not_found")
    is_problem(client.delete("/api/v1/versions", headers=admin), 405, "method_not_allowed")


def test_the_openapi_document_lists_every_act_and_task(client):
    document = client.get("/openapi.json").json()
    for act in ACTS.values():
        path = "/api/v1" + act.path.replace("{path:path}", "{path}")
        assert document["paths"][path][act.method.lower()]["operationId"] == act.name
    for task in ("tag", "rank", "score", "suggest", "generate"):
        assert f"/v1/deployments/{{name}}:{task}" in document["paths"]
    assert msgspec.json.encode(document)


def test_a_schedule_is_shown_fitted_and_removed(client, admin):
    path = "/api/v1/schedules/nightly"
    body = {"cron": "30 2 * * *", "act": "evaluate", "arguments": {"model": "words", "dataset": "tags"}}
    assert client.put(path, headers=admin, json=body).json()["act"] == "evaluate"
    assert [s["name"] for s in client.get("/api/v1/schedules", headers=admin).json()] == ["nightly"]
    is_problem(client.put(path, headers=admin, json={**body, "cron": "at night"}), 422, "bad_spec")
    is_problem(client.put(path, headers=admin, json={**body, "act": "evaluat"}), 422, "bad_spec")
    is_problem(client.put(path, headers=admin, json={**body, "arguments": {"modl": "words"}}), 422, "bad_spec")
    assert client.post(f"{path}/remove", headers=admin).json()["name"] == "nightly"
    assert client.get("/api/v1/schedules", headers=admin).json() == []


def test_a_failed_job_is_tried_again_once_its_queue_has_a_slot(client, admin, tmp_path):
    body = {"name": "late", "source": {"files": {"path": str(tmp_path / "late")}}}
    taken = client.post("/api/v1/datasets/collect", headers=admin, json=body)
    assert wait_for(client, admin, taken.headers["location"])["state"] == "failed"
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "a.txt").write_text("here now\n")
    assert client.put("/api/v1/queues/default", headers=admin, json={"slots": 0}).status_code == 200
    assert client.post(taken.headers["location"] + "/retry", headers=admin).json()["state"] == "queued"
    for _ in range(2400):
        job = client.get(taken.headers["location"], headers=admin).json()
        if job["waits_for"] == "a slot of queue default":
            break
        time.sleep(0.1)
    assert job["waits_for"] == "a slot of queue default"
    client.put("/api/v1/queues/default", headers=admin, json={})
    assert wait_for(client, admin, taken.headers["location"])["state"] == "done"


def test_a_job_waits_for_those_that_it_is_to_follow_and_goes_by_priority(client, admin, home, tmp_path):
    """A backup, its check and a scrub, queued the wrong way round: priority lets the backup go before the scrub."""
    assert client.put("/api/v1/queues/night", headers=admin, json={"slots": 0}).status_code == 200

    def submit(act: str, **more: Any) -> dict[str, Any]:
        reply = client.post("/api/v1/jobs", headers=admin, json={"act": act, "queue": "night", **more})
        assert reply.status_code == 202, reply.text
        return reply.json()

    place = str(tmp_path / "backups")
    scrub = submit("scrub_store", arguments={"name": "home"}, memory_bytes=1 << 20)
    made = submit("back_up", arguments={"place": place}, priority=5, idempotency_key="b1")
    assert submit("back_up", arguments={"place": place}, priority=5, idempotency_key="b1")["id"] == made["id"]
    checked = submit("verify_backup", arguments={"place": place}, priority=9, after=[made["id"]])
    assert (made["priority"], checked["after"], scrub["memory_bytes"]) == (5, [made["id"]], 1 << 20)

    client.put("/api/v1/queues/night", headers=admin, json={"slots": 1})
    ended = [wait_for(client, admin, f"/api/v1/jobs/{job['id']}") for job in (made, checked, scrub)]
    assert [job["state"] for job in ended] == ["done"] * 3
    begun = [job["started_at"] for job in ended]
    assert begun == sorted(begun)
    backups = client.get("/api/v1/backups", headers=admin).json()
    assert [b["id"] for b in backups["data"]] == [ended[0]["result"]["id"]]
    assert backups["verified_age_seconds"] >= 0
    assert client.get("/api/v1/storage", headers=admin).json()["stores"][0]["scrubbed_at"] is not None


def test_a_job_that_cannot_be_is_refused_at_once(client, admin, home):
    def refused(headers: dict[str, str], status: int, code: str, **body: Any) -> None:
        is_problem(client.post("/api/v1/jobs", headers=headers, json=body), status, code)

    refused(admin, 422, "bad_spec", act="back_upp")
    refused(admin, 422, "bad_spec", act="create_key", arguments={"name": "x", "role": "admin"})
    refused(admin, 422, "bad_spec", act="submit", arguments={"act": "fsck"})
    refused(admin, 422, "bad_spec", act="back_up", arguments={"plac": "/x"})
    refused(admin, 404, "not_found", act="fsck", after=["job_none"])
    refused(admin, 400, "bad_input", act="fsck", memory_bytes=-1)
    refused(bearer(home, "developer"), 403, "not_permitted", act="fsck")
    refused(bearer(home, "reader"), 403, "not_permitted", act="train", arguments={})


def test_a_backup_at_night_is_a_job(client, admin, home, tmp_path):
    body = {"cron": "30 2 * * *", "act": "back_up", "arguments": {"place": str(tmp_path / "nightly"), "keep": 7}}
    assert client.put("/api/v1/schedules/backup", headers=admin, json=body).status_code == 200
    ledger = Ledger.open(home)
    with ledger.write() as connection:  # the night has come
        connection.exec_driver_sql("update schedule set next_at = 1 where name = 'backup'")
    ledger.close()
    for _ in range(2400):
        (schedule,) = client.get("/api/v1/schedules", headers=admin).json()
        if schedule["last_job"]:
            break
        time.sleep(0.1)
    job = wait_for(client, admin, f"/api/v1/jobs/{schedule['last_job']}")
    assert (job["act"], job["state"], job["actor"]["role"]) == ("back_up", "done", "admin")
    assert job["result"]["id"] in [b["id"] for b in client.get("/api/v1/backups", headers=admin).json()["data"]]
    client.post("/api/v1/schedules/backup/remove", headers=admin)
