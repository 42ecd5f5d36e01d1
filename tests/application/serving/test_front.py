"""The front over HTTP: shapes, refusals, headers, metrics. One served home for all of it."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from fourfold.application.serving.bodies import hash_text
from fourfold.application.serving.health import readiness
from fourfold.application.serving.request_log import RequestId
from fourfold.application.serving.request_segments import find
from fourfold.application.serving.routing import Routes, RoutingTable

ONE = {"inputs": [{"id": "a", "text": "fine weather"}]}


def refused(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """A problem document of RFC 9457 with our fields."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["detail"]
    assert problem["hint"]
    assert problem["instance"] == reply.headers["x-request-id"]
    return problem


def test_envelope_and_headers(served):
    reply = served.ask("words:tag", ONE)
    assert reply.status_code == 200
    body = reply.json()
    assert list(body) == ["id", "deployment", "version", "results", "route", "usage", "timings_ms"]
    assert (body["deployment"], body["version"]) == ("words", "noop@1")
    assert body["results"] == [
        {
            "id": "a",
            "tokens": [
                {"text": "fine", "start": 0, "end": 4, "label": "WORD", "score": 0.9},
                {"text": "weather", "start": 5, "end": 12, "label": "WORD", "score": 0.9},
            ],
            "calibrated": True,
        }
    ]
    assert body["route"] == {"step": "noop", "reason": "the only version of this deployment"}
    assert body["usage"]["input_tokens"] == 2
    assert set(body["timings_ms"]) == {"queue", "model"}
    assert reply.headers["x-request-id"] == body["id"]
    assert reply.headers["x-model-version"] == "noop@1"
    assert RequestId.parse(body["id"]).recorded


def test_trace_context_goes_through(served):
    given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    back = served.ask("words:tag", ONE, headers={"traceparent": given}).headers["traceparent"]
    assert back.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert back.endswith("-01")
    assert back != given
    made = served.ask("words:tag", ONE, headers={"traceparent": "00-00000000000000000000000000000000-00f067aa0ba902b7-01"})
    assert made.headers["traceparent"].split("-")[1] == f"{RequestId.parse(made.json()['id']).number:032x}"


@pytest.mark.parametrize(
    ("task", "body", "first"),
    [
        ("rank", {"text": "one two"}, {"text": "one", "score": 0.5}),
        ("rank", {"inputs": [{"text": "one two. three", "unit": "sentence"}]}, {"text": "one two", "score": 0.5}),
        ("rank", {"unit": "sentence", "inputs": [{"text": "one two. three"}]}, {"text": "one two", "score": 0.5}),
        ("rank", {"query": "q", "items": [{"id": "d1", "text": "x"}]}, {"text": "x", "score": 1.0, "id": "d1"}),
        ("suggest", {"text": "ab", "top_k": 1}, {"text": "ab!", "score": 1.0}),
    ],
)
def test_bodies_that_are_accepted(served, task, body, first):
    result = served.ask(f"words:{task}", body).json()["results"][0]
    assert (result.get("ranking") or result["suggestions"])[0] == first


def test_score_and_generate(served):
    assert served.ask("words:score", {"text": "a b c"}).json()["results"][0]["perplexity"] == 10.0
    reply = served.ask("words:generate", {"text": "你好 world", "max_tokens": 3}).json()
    assert reply["results"][0]["finish_reason"] == "length"
    assert reply["usage"] == {"input_tokens": 3, "output_tokens": 3}


def test_wrong_names_are_met_with_the_right_ones(served):
    assert "Did you mean 'words'?" in refused(served.ask("wrods:tag", ONE), 404, "not_found")["detail"]
    assert "Did you mean 'tag'?" in refused(served.ask("words:tga", ONE), 404, "not_found")["detail"]
    assert "Did you mean 'inputs'?" in refused(served.ask("words:tag", {"inptus": []}), 422, "bad_spec")["detail"]
    assert "Did you mean 'unit'?" in refused(served.ask("words:rank", {"text": "a", "unti": "word"}), 422, "bad_spec")["detail"]
    assert "$.unit" in refused(served.ask("words:rank", {"text": "a", "unit": "wrod"}), 422, "bad_spec")["detail"]
    assert "Did you mean '/v1/models'?" in refused(served.client.get(served.address + "/v1/model"), 404, "not_found")["detail"]


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "bad_input"),
        (b"{", 400, "bad_input"),
        (b'{"text":"\xff\xfe"}', 400, "bad_input"),
        (b'{"text":"\\ud800"}', 400, "bad_input"),
        (b'{"text":NaN}', 400, "bad_input"),
        (b"[" * 100_000, 422, "bad_spec"),
        (b'{"inputs":[]}', 422, "bad_spec"),
        (b"{}", 422, "bad_spec"),
        (b'{"inputs":[{"id":"a"}]}', 422, "bad_spec"),
        (b'{"inputs":[{"text":3}]}', 422, "bad_spec"),
        (b'{"inputs":[{"text":"a"}],"text":"b"}', 422, "bad_spec"),
    ],
)
def test_bodies_that_are_refused(served, data, status, code):
    refused(served.ask("words:tag", content=data), status, code)


def test_options_differ_per_input(served):
    body = {"inputs": [{"text": "a", "unit": "word"}, {"text": "b", "unit": "sentence"}]}
    refused(served.ask("words:rank", body), 422, "bad_spec")


NAMES = st.sampled_from(["inputs", "text", "id", "query", "items", "unit", "x"])
JSON = st.recursive(st.none() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_gets_an_answer(served, data):
    assert served.ask("words:rank", content=data).status_code in (200, 400, 422)


def test_limits(served):
    problem = refused(served.ask("small:tag", {"inputs": [{"text": "a"}] * 3}), 413, "too_large")
    assert "max_inputs = 2" in problem["detail"]
    problem = refused(served.ask("small:tag", {"text": "字" * 17}), 413, "too_large")
    assert "max_input_bytes" in problem["detail"]
    assert served.ask("small:tag", {"text": "字" * 16}).status_code == 200


def test_a_text_of_10_mb_is_refused_before_it_is_sent(served):
    host, port = served.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        head = f"POST /v1/deployments/words:tag HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {served.token}\r\n"
        connection.sendall((head + "content-length: 10000000\r\n\r\n").encode())  # and not one byte of it
        reply = connection.recv(4096)
    assert reply.startswith(b"HTTP/1.1 413")
    assert b"max_body_bytes" in reply


def test_a_text_of_10_mb_in_chunks_is_refused_and_the_connection_goes_on(served):
    parts = (b"a" * 100_000 for _ in range(100))
    problem = refused(served.ask("words:tag", content=parts), 413, "too_large")
    assert "1,048,576" in problem["detail"]
    assert served.ask("words:tag", ONE).status_code == 200


def test_keys(served):
    def ask(**headers: str) -> httpx.Response:
        return served.client.post(f"{served.address}/v1/deployments/words:tag", json=ONE, headers=headers)

    assert refused(ask(), 401, "not_signed_in")["hint"]
    assert ask().headers["www-authenticate"] == "Bearer"
    refused(ask(authorization="Bearer ff_wrong"), 401, "not_signed_in")
    refused(ask(authorization=f"Basic {served.token}"), 401, "not_signed_in")
    refused(served.client.get(served.address + "/v1/models"), 401, "not_signed_in")


def test_methods(served):
    headers = {"authorization": f"Bearer {served.token}"}
    reply = served.client.get(f"{served.address}/v1/deployments/words:tag", headers=headers)
    assert refused(reply, 405, "method_not_allowed")["hint"] == "Use POST."
    assert reply.headers["allow"] == "POST"
    assert served.client.post(served.address + "/livez").headers["allow"] == "GET, HEAD"


def test_models_in_the_shape_of_openai(served):
    headers = {"authorization": f"Bearer {served.token}"}
    page = served.client.get(served.address + "/v1/models", headers=headers).json()
    assert page["object"] == "list"
    assert [m["id"] for m in page["data"]] == ["kept", "small", "words"]
    one = served.client.get(served.address + "/v1/models/words", headers=headers).json()
    assert (one["object"], one["owned_by"], type(one["created"])) == ("model", "fourfold", int)
    refused(served.client.get(served.address + "/v1/models/wodrs", headers=headers), 404, "not_found")


def test_health(served):
    assert served.get("/livez").json() == {"status": "ok"}
    for path in ("/readyz", "/healthz"):
        ready = served.get(path)
        assert ready.json()["status"] == "ready"
        assert ready.json()["checks"]["deployment words"] == {"ok": True}


def test_content_is_kept_only_where_the_deployment_says_so(served):
    kept = find(served.folder, served.ledger, served.ask("kept:tag", ONE).json()["id"])
    assert msgspec.msgpack.decode(kept.content_inputs) == [{"text": "fine weather", "id": "a"}]
    assert json.loads(kept.content_results)[0]["tokens"][0]["text"] == "fine"
    asked = served.ask("words:tag", ONE).json()["id"]
    record = find(served.folder, served.ledger, asked)
    assert (record.content_inputs, record.content_results) == (None, None)
    assert record.summary == [{"labels": {"WORD": 2}, "score": 0.9}]
    assert record.input_hash == hash_text("fine weather", served.folder)
    assert (record.code, record.inputs, record.input_tokens, record.step) == ("ok", 1, 2, "noop")
    log = (served.folder / "requests" / "open" / "1-000001.log").read_bytes()
    assert log.count(b"fine weather") == 1  # of the deployment that keeps it


def test_readiness_tells_trouble_from_disaster(tmp_path):
    routes = Routes(tmp_path)
    status, said = readiness(routes, {}, "")
    assert (status, said["failing"]) == (503, ["routing"])
    routes.table = RoutingTable("1", time.time())
    assert readiness(routes, {}, "")[0] == 200
    status, said = readiness(routes, {}, "The request log cannot be written.")
    assert (status, said["status"], said["failing"]) == (200, "degraded", ["request_log"])


def test_errors_of_the_model_stay_with_their_request(served):
    with ThreadPoolExecutor(8) as threads:
        texts = ["fine", "refuse", "fail", "fine", "refuse", "fine", "fine", "fine"] * 4
        replies = list(threads.map(lambda text: served.ask("words:tag", {"text": text}), texts))
    wanted = {"fine": 200, "refuse": 400, "fail": 500}
    assert [r.status_code for r in replies] == [wanted[text] for text in texts]
    assert refused(replies[1], 400, "bad_input")["hint"] == "Send another."
    refused(replies[2], 500, "failed")


def test_an_engine_that_takes_too_long_is_not_waited_for(served):
    refused(served.ask("small:tag", {"text": "sleep 0.6"}), 504, "timed_out")


def test_metrics(served):
    served.ask("words:tag", ONE)
    served.client.post(f"{served.address}/v1/deployments/made-up:tag", json=ONE)
    text = served.get("/metrics").text
    samples = {
        (s.name, tuple(sorted(s.labels.items()))): s.value for f in text_string_to_metric_families(text) for s in f.samples
    }
    names = {name for name, _ in samples}
    assert {"fourfold:num_requests_running", "fourfold:num_requests_waiting", "fourfold_request_records_lost_total"} <= names
    ok = (("code", "ok"), ("deployment", "words"), ("task", "tag"), ("version", "noop@1"))
    assert samples["fourfold_requests_total", ok] >= 1
    for name in (
        "fourfold:e2e_request_latency_seconds",
        "fourfold:request_queue_time_seconds",
        "fourfold_batch_size",
        "fourfold_confidence",
    ):
        assert samples[f"{name}_count", (("model_name", "words"),)] >= 1
    assert "made-up" not in text


def test_other_paths_go_to_management(served):
    """Whatever it answers: it is another server that does."""
    reply = served.client.get(served.address + "/openapi.json")
    assert reply.status_code in (200, 503)
