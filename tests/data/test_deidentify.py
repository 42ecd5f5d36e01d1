"""De-identify: every place that can hold personal data is looked at, lists stay aligned, nothing of the values is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Actor
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.data.deidentify import build_actions, build_detectors, deidentify, deidentify_into
from fourfold.data.fragments import FragmentWriter
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
KEY = bytes(range(32))


def run(
    folder: Path,
    rows: Sequence[dict[str, Any]],
    action: str = "mask",
    actions: dict[str, str] | None = None,
    per_fragment: int = 2,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    source, out = folder / "in", folder / "out"
    source.mkdir()
    out.mkdir()
    writer = FragmentWriter(source, rows=per_fragment)
    for i, row in enumerate(rows):
        leading = {"doc_id": f"doc_{i}", "text": "", "source": f"a.csv#{i + 2}", "source_digest": "0", "fetched_at": None}
        writer.add({**leading, **row}, 1)
    writer.close()
    detectors = [part for _, part in build_detectors(["patterns"])]
    meta = deidentify_into(Dataset(source), out, detectors, build_actions(action, actions or {}, KEY))
    return Dataset(out).table().to_pylist(), meta


def test_text_fields_lists_json_and_numbers(tmp_path: Path) -> None:
    rows, meta = run(
        tmp_path,
        [
            {
                "text": "写到 a@b.example 或打 13800002947",
                "contact": "b@c.example",
                "phone": "9498777106",
                "mobile": 13800002947,
                "excel": 13800002947.0,
                "rating": 5,
                "tags": ["vip", "c@d.example"],
                "messages": json.dumps([{"from": "d@e.example", "13900001268": 13900001268, "n": 7, "ok": True}]),
            },
            {"text": "nothing here", "mobile": 7, "excel": 0.5, "rating": None},
            {"text": "nor here"},
        ],
    )
    first = rows[0]
    assert first["text"] == "写到 <EMAIL_ADDRESS> 或打 <CN_MOBILE>"
    assert first["contact"] == "<EMAIL_ADDRESS>"
    assert first["phone"] == "<PHONE_NUMBER>", "the column's name is context"
    assert first["mobile"] == "<CN_MOBILE>"
    assert first["excel"] == "<CN_MOBILE>"
    assert first["tags"] == ["vip", "<EMAIL_ADDRESS>"]
    assert json.loads(first["messages"]) == [{"from": "<EMAIL_ADDRESS>", "<CN_MOBILE>": "<CN_MOBILE>", "n": 7, "ok": True}]
    assert [row["mobile"] for row in rows] == ["<CN_MOBILE>", "7", None], "one schema over all fragments"
    assert [row["excel"] for row in rows] == ["<CN_MOBILE>", "0.5", None]
    assert rows[0]["rating"] == 5
    assert meta["findings"] == {
        "CN_MOBILE": {"text": 1, "messages": 2, "mobile": 1, "excel": 1},
        "EMAIL_ADDRESS": {"text": 1, "contact": 1, "tags": 1, "messages": 1},
        "PHONE_NUMBER": {"phone": 1},
    }
    assert meta["changes"]["deidentify"]["text"] == 2
    assert len({str(f.table().schema) for f in Dataset(tmp_path / "out").fragments()}) == 1


def test_nothing_of_a_value_is_in_any_file(tmp_path: Path) -> None:
    run(tmp_path, [{"text": "13800002947 a@b.example", "n": 13800002947}, {"text": "keep"}], "replace", {"CN_MOBILE": "drop"})
    for path in (tmp_path / "out").iterdir():
        text = str(pq.read_table(path).to_pylist())
        assert "13800002947" not in text
        assert "a@b.example" not in text


def test_a_token_that_overlaps_a_finding_is_replaced_as_a_whole(tmp_path: Path) -> None:
    rows, meta = run(
        tmp_path,
        [
            {
                "text": "请打138 0000 2947找我",
                "tokens": ["请", "打", "138", "0000", "2947", "找", "我"],
                "upos": ["V", "V", "NUM", "NUM", "NUM", "V", "PRON"],
            },
            {
                "text": "Mail Bob@X.example, ok",
                "tokens": ["Mail", "Bob@X.example,", "ok"],
                "lemma": ["mail", "bob@x.example,", "ok"],
                "upos": ["V", "X", "ADV"],
            },
            {"text": "du a@b.example", "tokens": ["de", "le", "a@b.example"], "upos": ["A", "D", "X"]},
            {"text": "no tokens: a@b.example"},
        ],
    )
    assert rows[0]["text"] == "请打<CN_MOBILE> <CN_MOBILE> <CN_MOBILE>找我"
    assert rows[0]["tokens"] == ["请", "打", "<CN_MOBILE>", "<CN_MOBILE>", "<CN_MOBILE>", "找", "我"]
    assert rows[1]["tokens"] == ["Mail", "<EMAIL_ADDRESS>", "ok"]
    assert rows[1]["lemma"] == ["mail", "<EMAIL_ADDRESS>", "ok"]
    assert rows[1]["text"] == "Mail <EMAIL_ADDRESS> ok"
    assert rows[2]["tokens"] == ["de", "le", "<EMAIL_ADDRESS>"]
    assert rows[2]["text"] == "du <EMAIL_ADDRESS>"
    assert rows[3]["text"] == "no tokens: <EMAIL_ADDRESS>"
    assert all(len(row["tokens"]) == len(row["upos"]) for row in rows[:3])
    assert meta["findings"]["CN_MOBILE"]["text"] == 1, "one number, though three tokens"


def test_pseudonyms_are_consistent_and_keyed(tmp_path: Path) -> None:
    rows, _ = run(
        tmp_path,
        [
            {"text": "+86 138-0000-2947"},
            {"text": "13800002947"},
            {"text": "１３８００００２９４７"},
            {"text": "A@b.example a@B.example"},
        ],
        "replace",
    )
    assert len({row["text"] for row in rows[:3]}) == 1
    assert rows[0]["text"].startswith("CN_MOBILE_")
    left, right = rows[3]["text"].split()
    assert left == right
    other = build_actions("replace", {}, bytes(32)).instead("CN_MOBILE", "13800002947")
    assert other != rows[1]["text"]
    assert build_actions("replace", {}).instead("CN_MOBILE", "1") != build_actions("replace", {}).instead("CN_MOBILE", "1")


def test_actions_per_entity(tmp_path: Path) -> None:
    actions = {"EMAIL_ADDRESS": "keep", "CN_ID_CARD": "drop", "IP_ADDRESS": "hash"}
    rows, meta = run(
        tmp_path,
        [
            {"text": "a@b.example 13800002947"},
            {"text": "x", "note": "身份证32059919911105332X"},
            {"text": "IP 192.0.2.44", "tags": ["a@b.example"]},
            {"text": "x", "tags": ["32059919911105332X"]},
        ],
        actions=actions,
    )
    assert [row["doc_id"] for row in rows] == ["doc_0", "doc_2"]
    assert rows[0]["text"] == "a@b.example <CN_MOBILE>"
    assert len(rows[1]["text"]) == len("IP ") + 32
    assert rows[1]["tags"] == ["a@b.example"]
    assert meta["drops"] == {"personal_data": 2}
    dropped = pq.read_table(tmp_path / "out" / "drops.parquet").to_pylist()
    assert [tuple(d.values()) for d in dropped] == [
        ("a.csv", 3, "doc_1", "deidentify", "personal_data", "CN_ID_CARD"),
        ("a.csv", 5, "doc_3", "deidentify", "personal_data", "CN_ID_CARD"),
    ]
    assert meta["findings"]["EMAIL_ADDRESS"] == {"text": 1, "tags": 1}, "what is kept is counted, too"
    assert "tags" not in meta["changes"]["deidentify"]


def test_all_rows_dropped(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Each of the 1 rows holds personal data"):
        run(tmp_path, [{"text": "a@b.example"}], "drop")


def test_settings_are_checked() -> None:
    with pytest.raises(BadSpec, match=r"deidentify.actions.IP_ADDRESS: there is no action 'masc'. Did you mean 'mask'\?"):
        build_actions("mask", {"IP_ADDRESS": "masc"})
    with pytest.raises(BadSpec, match="The secret has 3 bytes"):
        build_actions("mask", {}, b"abc")
    with pytest.raises(BadSpec, match=r"detectors\[0\]: there is no detector 'pattern'"):
        build_detectors(["pattern"])
    with pytest.raises(BadSpec, match="detectors is empty"):
        build_detectors([])


def test_the_verb_keeps_no_secret(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("call 13800002947")
    ledger = Ledger.open(tmp_path / "home")
    try:
        raw = collect(ledger, ACTOR, "notes", {"files": {"path": str(tmp_path / "a.txt")}})
        made = deidentify(ledger, ACTOR, "notes-safe", raw, actions={"CN_MOBILE": "replace"}, secret=KEY)
        again = deidentify(ledger, ACTOR, "notes-safe", raw, actions={"CN_MOBILE": "replace"}, secret=KEY)
        assert made.digest == again.digest, "the same key makes the same dataset"
        spec = ledger.find_run(made.run_id).spec
        assert set(spec) == {"detectors", "action", "actions"}
        assert ledger.inputs(made) == [raw]
        assert made.meta["findings"] == {"CN_MOBILE": {"text": 1}}
    finally:
        ledger.close()
