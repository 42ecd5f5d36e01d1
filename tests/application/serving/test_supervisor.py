"""The supervisor with real processes: death of each of them, changes of the ledger, refusals to start."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections import Counter
from pathlib import Path

import httpx
import msgspec
import pytest

from fourfold.application.serving import routing
from fourfold.application.serving.home import Lock, listen, make_sockets, read_status, status_of
from fourfold.application.serving.request_log import RequestId
from fourfold.application.serving.request_segments import find
from fourfold.application.serving.supervisor import refuse_open_house
from fourfold.core.errors import Conflict, NotPermitted
from fourfold.core.nouns import Route
from fourfold.storage.ledger import Ledger

from .conftest import Home, until

ONE = {"text": "fine weather"}


def label_of(home: Home, deployment: str = "words") -> str:
    return home.ask(f"{deployment}:tag", ONE).json()["results"][0]["tokens"][0]["label"]


def test_after_kill_9_of_everything_the_same_answers(home: Home):
    refs = [home.train("ONE").ref, home.train("TWO").ref]
    home.deploy("words", Route(refs[0]))
    home.deploy("split", Route(refs[0], 0.5), Route(refs[1], 0.5))
    home.up()
    assert label_of(home) == "ONE"
    answered = home.ask("words:tag", ONE).json()["id"]
    before = home.client.get(f"{home.address}/v1/models", headers={"authorization": f"Bearer {home.token}"}).json()
    port = int(home.address.rpartition(":")[2])
    children = [c.pid for c in read_status(home.folder).children if c.pid]  # type: ignore[union-attr]
    home.down(signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}").exists() and "Z" not in state(pid) for pid in children))
    with socket.create_server(("127.0.0.1", port)):
        pass  # the port is free
    assert status_of(home.folder) is None
    home.up()
    after = home.client.get(f"{home.address}/v1/models", headers={"authorization": f"Bearer {home.token}"}).json()
    assert after == before
    assert label_of(home) == "ONE"
    assert {label_of(home, "split") for _ in range(40)} == {"ONE", "TWO"}
    until(lambda: home.ledger.segments())  # the log of the killed front is sealed
    assert find(home.folder, home.ledger, answered).code == "ok"
    fresh = home.ask("words:tag", ONE).json()["id"]
    assert find(home.folder, home.ledger, fresh).code == "ok"


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


@pytest.mark.parametrize("name", ["engine", "front 1"])
def test_a_process_that_is_killed_comes_back(home: Home, name: str):
    home.deploy("words", Route(home.train().ref))
    home.up()
    asked = home.ask("words:tag", ONE).json()["id"]
    killed = home.child(name)
    assert killed
    os.kill(killed, signal.SIGKILL)
    until(lambda: home.child(name) not in (None, killed))
    until(lambda: home.get("/readyz").status_code == 200)
    until(lambda: home.ask("words:tag", ONE).status_code == 200)
    assert find(home.folder, home.ledger, asked).code == "ok"
    assert home.ask("words:tag", ONE).json()["id"] > asked


def test_a_request_that_kills_the_engine_is_answered_and_recorded(home: Home):
    home.deploy("words", Route(home.train().ref))
    home.up()
    reply = home.ask("words:tag", {"text": "die"})
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert find(home.folder, home.ledger, reply.headers["x-request-id"]).code == "not_ready"
    until(lambda: home.ask("words:tag", ONE).status_code == 200)


def test_changes_of_the_ledger_are_followed(home: Home):
    one, two, broken = home.train("ONE"), home.train("TWO"), home.train("BROKEN")
    home.deploy("words", Route(one.ref))
    home.up()
    other, token = home.ledger.create_key("other", "reader", actor="cli")
    until(lambda: home.ask("words:tag", ONE, token=token).status_code == 200)
    home.ledger.revoke_key(other.id, actor="cli")
    until(lambda: home.ask("words:tag", ONE, token=token).status_code == 401)

    _, annotator = home.ledger.create_key("ann", "annotator", actor="cli")
    refused = until(lambda: (reply := home.ask("words:tag", ONE, token=annotator)).status_code != 401 and reply)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    assert "ann has role annotator, which may not ask models" in refused.json()["detail"]

    home.deploy("words", Route(two.ref))
    until(lambda: label_of(home) == "TWO")
    home.deploy("words", Route(broken.ref))
    until(lambda: home.get("/readyz").json()["status"] == "degraded")
    assert label_of(home) == "TWO"  # the old route stands
    assert home.get("/readyz").status_code == 200
    shown = until(lambda: read_status(home.folder).deployments[0].problem)  # type: ignore[union-attr]
    assert "This model is broken." in shown
    home.deploy("words", Route(one.ref))
    until(lambda: label_of(home) == "ONE")
    until(lambda: home.get("/readyz").json()["status"] == "ready")
    home.deploy("words", Route(one.ref), state="retired")
    until(lambda: home.ask("words:tag", ONE).status_code == 404)


def test_a_swap_drops_no_request(home: Home):
    refs = [home.train("ONE").ref, home.train("TWO").ref]
    home.deploy("words", Route(refs[0]))
    home.up()
    seen: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            seen.append(home.ask("words:tag", ONE).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    home.deploy("words", Route(refs[1]))
    try:
        until(lambda: any(v.ref == refs[1] for d in table(home).deployments for v in d.versions))
        until(lambda: label_of(home) == "TWO")
    finally:
        stop.set()
        asking.join()
    assert set(seen) == {200}


def table(home: Home) -> routing.RoutingTable:
    return msgspec.msgpack.decode(routing.path_of(home.folder).read_bytes(), type=routing.RoutingTable)


def test_without_the_database_predictions_go_on_and_nothing_is_lost(home: Home):
    home.deploy("words", Route(home.train().ref))
    home.up()
    database = home.folder / "ledger.sqlite"
    home.ledger.close()
    kept = database.read_bytes()
    database.write_bytes(b"no database" * 1000)
    try:
        until(lambda: "database" in read_status(home.folder).problem)  # type: ignore[union-attr]
        asked = [home.ask("words:tag", ONE) for _ in range(5)]
    finally:
        database.write_bytes(kept)
    assert {reply.status_code for reply in asked} == {200}
    home.ledger = Ledger.open(home.folder)
    until(lambda: read_status(home.folder).problem == "")  # type: ignore[union-attr]
    assert {find(home.folder, home.ledger, reply.json()["id"]).code for reply in asked} == {"ok"}


def test_sigterm_drains(home: Home):
    home.deploy("words", Route(home.train().ref))
    home.up()
    replies: list[int] = []
    asking = threading.Thread(target=lambda: replies.append(home.ask("words:tag", {"text": "sleep 1"}).status_code))
    asking.start()
    until(lambda: "fourfold:num_requests_running 1.0" in home.get("/metrics").text)
    assert home.down(signal.SIGTERM) == 0
    asking.join()
    assert replies == [200]
    assert not list((home.folder / "requests" / "open").iterdir())
    assert not (home.folder / "run" / "sockets").exists()


def test_two_fronts_share_the_port_and_the_figures(home: Home):
    home.deploy("words", Route(home.train().ref))
    home.up(FOURFOLD_FRONTS="2")
    fronts: Counter[int] = Counter()

    def ask() -> bool:
        with httpx.Client() as client:  # a connection of its own: the kernel picks the front
            reply = client.post(
                f"{home.address}/v1/deployments/words:tag", json=ONE, headers={"authorization": f"Bearer {home.token}"}
            )
        if reply.status_code == 200:  # the other front may be connecting to the engine when the first is ready
            fronts[RequestId.parse(reply.json()["id"]).front] += 1
        return len(fronts) == 2

    until(ask)
    assert set(fronts) == {1, 2}
    total = f'fourfold_requests_total{{code="ok",deployment="words",task="tag",version="noop@1"}} {sum(fronts.values())}.0'
    until(lambda: total in home.get("/metrics").text)


def test_a_full_queue_refuses_the_next(home: Home):
    home.deploy("words", Route(home.train().ref))
    home.up(FOURFOLD_QUEUE_LIMIT="1")
    asking = threading.Thread(target=lambda: home.ask("words:tag", {"text": "sleep 1"}))
    asking.start()
    until(lambda: "fourfold:num_requests_running 1.0" in home.get("/metrics").text)
    reply = home.ask("words:tag", ONE)
    asking.join()
    assert (reply.status_code, reply.json()["code"], reply.headers["retry-after"]) == (429, "busy", "1")
    assert home.ask("words:tag", ONE).status_code == 200


def test_one_supervisor_per_home(tmp_path: Path):
    lock = Lock(tmp_path)
    with pytest.raises(Conflict, match="already runs"):
        Lock(tmp_path)
    lock.close()
    Lock(tmp_path).close()


def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=str(port)) as refusal:
            listen("127.0.0.1", port)
    assert "--port" in refusal.value.hint


def test_a_home_without_a_key_stays_on_loopback(tmp_path: Path):
    ledger = Ledger.open(tmp_path)
    refuse_open_house("127.0.0.1", ledger)
    refuse_open_house("::1", ledger)
    with pytest.raises(NotPermitted):
        refuse_open_house("0.0.0.0", ledger)
    key, _ = ledger.create_key("a", "reader", actor="cli")
    refuse_open_house("0.0.0.0", ledger)
    ledger.revoke_key(key.id, actor="cli")
    with pytest.raises(NotPermitted):
        refuse_open_house("0.0.0.0", ledger)
    ledger.close()


def test_sockets_are_private_and_the_last_ones_are_removed(tmp_path: Path):
    (tmp_path / "run").mkdir()
    first = make_sockets(tmp_path)
    assert first.stat().st_mode & 0o777 == 0o700
    second = make_sockets(tmp_path)
    assert not first.exists()
    assert len(str(second / "management.sock")) < 107
