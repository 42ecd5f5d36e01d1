"""Dialogues: chat messages, ShareGPT, alpaca, and request records, of which only consented ones are taken, masked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from fourfold.application.serving.request_log import Closed, Opened, RequestLog
from fourfold.application.serving.request_segments import find, seal
from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Actor, Version
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.data.dialogues import dialogue_of
from fourfold.data.formats import BadLine, Record
from fourfold.data.formats.dialogue import Dialogue as DialogueFormat
from fourfold.data.sources.dialogue import Dialogue
from fourfold.data.sources.requests import Requests
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
CHAT = {
    "messages": [
        {"role": "system", "content": "你是客服。"},
        {"role": "user", "content": [{"type": "text", "text": "水壶漏水"}, {"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "order"}}]},
        {"role": "tool", "content": "订单 7 已发货", "tool_call_id": "1"},
        {"role": "assistant", "content": "为您换新🫖。"},
    ],
    "resolution": "solved",
    "channel": "web",
}
SHAREGPT = {
    "id": "s1",
    "system": "Be brief.",
    "conversations": [
        {"from": "human", "value": "Where is my parcel?"},
        {"from": "function_call", "value": '{"name": "track"}'},
        {"from": "observation", "value": "in transit"},
        {"from": "gpt", "value": "It arrives tomorrow."},
        {"from": "human", "value": "Thanks!"},
    ],
}
ALPACA = {
    "instruction": "翻译成英文",
    "input": "今天天气怎么样",
    "output": "How is the weather today?",
    "history": [["你好", "您好"]],
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


def rows(ledger: Ledger, version: Version) -> list[dict[str, Any]]:
    return Dataset(ledger.materialise(version)).table().to_pylist()


def test_each_shape_becomes_messages() -> None:
    lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in (CHAT, SHAREGPT, ALPACA))
    chat, share, alpaca = DialogueFormat()(lines.encode())
    assert isinstance(chat, Record) and isinstance(share, Record) and isinstance(alpaca, Record)
    assert chat.text == "你是客服。\n水壶漏水\n订单 7 已发货\n为您换新🫖。"
    assert chat.fields["roles"] == ["system", "user", "assistant", "tool", "assistant"]
    assert (chat.fields["turns"], chat.fields["outcome"], chat.fields["channel"]) == (1, "solved", "web")
    messages = json.loads(chat.fields["messages"])
    assert messages[2]["tool_calls"][0]["function"]["name"] == "order" and messages[3]["tool_call_id"] == "1"
    assert share.fields["roles"] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert (share.fields["turns"], share.fields["id"]) == (2, "s1") and "outcome" not in share.fields
    assert json.loads(alpaca.fields["messages"]) == [
        {"role": "user", "content": "你好"}, {"role": "assistant", "content": "您好"},
        {"role": "user", "content": "翻译成英文\n今天天气怎么样"},
        {"role": "assistant", "content": "How is the weather today?"},
    ]  # fmt: skip
    assert alpaca.line == 3


def test_an_array_and_a_key_of_ones_own() -> None:
    found = list(DialogueFormat(outcome="stars")(json.dumps([{**SHAREGPT, "stars": 4, "score": 1}], indent=1).encode()))
    assert isinstance(found[0], Record)
    assert found[0].fields["outcome"] == "4" and found[0].fields["score"] == 1


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": "no dialogue"}, "no_messages"),
        ({"messages": []}, "no_messages"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "unknown_role"),
        ({"messages": [{"content": "x"}]}, "unknown_role"),
        ({"messages": ["x"]}, "bad_message"),
        ({"messages": [{"role": "user", "content": {"a": 1}}]}, "bad_message"),
        ({"messages": [{"role": "user", "content": " "}]}, "no_text"),
        ({"instruction": 5, "output": "x"}, "bad_message"),
        ({"instruction": "x", "output": "y", "history": ["z"]}, "bad_message"),
        ({"instruction": "", "output": None}, "no_messages"),
    ],
)
def test_what_is_no_dialogue_is_counted(record: dict[str, Any], reason: str) -> None:
    assert dialogue_of(record) == reason
    assert list(DialogueFormat()(json.dumps(record).encode())) == [BadLine(1, reason)]


def test_files(ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "chats"
    folder.mkdir()
    (folder / "a.jsonl").write_text(json.dumps(CHAT) + "\n{oops\n" + json.dumps(SHAREGPT) + "\n", encoding="utf-8")
    (folder / "b.json").write_text(json.dumps([ALPACA]), encoding="utf-8")
    version = collect(ledger, ACTOR, "chats", {"dialogue": {"path": str(folder)}})
    found = rows(ledger, version)
    assert [row["turns"] for row in found] == [1, 2, 2]
    assert found[0]["roles"] == ["system", "user", "assistant", "tool", "assistant"]
    assert version.meta["drops"] == {"not_json": 1}


# ---- the platform's own request records


def note(log: RequestLog, deployment: str, asked: Any, answered: Any, *, keep: bool, code: str = "ok") -> str:
    ticket = log.place()
    inputs = msgspec.msgpack.encode([asked])
    log.opened(
        ticket,
        Opened(
            ticket.id.at_ms,
            "key_1",
            deployment,
            "m@1",
            "d",
            "generate",
            "gpt",
            "t",
            1,
            "h",
            len(inputs),
            inputs if keep else None,
        ),
    )
    results = msgspec.json.encode([answered]) if keep and code == "ok" else None
    log.closed(ticket, Closed(ticket.id.offset, code, "", None, 1, b"", 0.1, 0.2, 0.3, results))
    log.flush()
    return str(ticket.id)


def test_request_records_where_content_is_kept(ledger: Ledger) -> None:
    log = RequestLog(ledger.home, 3, 1)
    phone = "我的手机是13800138000，请回电"
    first = note(log, "support", {"id": "a", "text": phone}, {"id": "a", "text": "好的，稍后拨打 13800138000。"}, keep=True)
    note(log, "support", {"text": "没有同意"}, {"text": "秘密"}, keep=False)
    note(log, "other", {"text": "别的部署"}, {"text": "别的"}, keep=True)
    note(log, "support", {"messages": [{"role": "user", "content": "超时了"}]}, None, keep=True, code="timed_out")
    tagged = {"id": "", "tokens": [{"text": "13800138000", "start": 0, "end": 11, "label": "NUM", "score": 1.0}]}
    note(log, "support", {"text": "13800138000"}, tagged, keep=True)
    log.rotate()
    log.flush()
    seal(ledger.home, ledger)
    spec = {"requests": {"deployments": ["support"]}}
    version = collect(ledger, ACTOR, "asked", spec)
    found = rows(ledger, version)
    assert [row["text"] for row in found][:2] == [
        "我的手机是<CN_MOBILE>，请回电\n好的，稍后拨打 <CN_MOBILE>。", "超时了",
    ]  # fmt: skip
    assert [(row["outcome"], row["turns"], row["roles"]) for row in found] == [
        ("ok", 1, ["user", "assistant"]), ("timed_out", 1, ["user"]), ("ok", 1, ["user", "assistant"]),
    ]  # fmt: skip
    assert found[0]["request_id"] == first and find(ledger.home, ledger, first).deployment == "support"
    assert (found[0]["deployment"], found[0]["version"], found[0]["task"]) == ("support", "m@1", "generate")
    assert version.meta["drops"] == {"not_recorded": 1}
    folder = ledger.materialise(version)
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".parquet")
    assert b"13800138000" not in everything and "没有同意".encode() not in everything and "别的".encode() not in everything
    assert not [row for row in found if "13800138000" in json.dumps(row, default=str)]

    note(log, "support", {"text": "第二天"}, {"text": "您好"}, keep=True)
    log.close()
    seal(ledger.home, ledger)
    second = collect(ledger, ACTOR, "asked", spec)
    assert [row["doc_id"] for row in rows(ledger, second)][:3] == [row["doc_id"] for row in found]
    assert len(rows(ledger, second)) == 4
    assert len(pq.read_table(ledger.materialise(second) / "files.parquet")) == 2
    everyone = collect(ledger, ACTOR, "asked", {"requests": {"deployments": ["*"], "mask": False}})
    assert "13800138000" in rows(ledger, everyone)[0]["text"] and len(rows(ledger, everyone)) == 5


def test_without_consent_there_is_nothing(ledger: Ledger) -> None:
    with pytest.raises(BadInput, match="was recorded with its content"):
        collect(ledger, ACTOR, "asked", {"requests": {"deployments": ["support"]}})


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [(Dialogue, {}), (Dialogue, {"path": "x", "max_file_bytes": 0}), (Requests, {})],
)  # fmt: skip
def test_settings(kind: type, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSpec):
        kind(**wrong)
