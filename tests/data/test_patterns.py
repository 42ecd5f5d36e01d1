"""The detector `patterns`: what it finds, what it must leave alone, and its figures on a public set."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.cn import ric

from fourfold.core.errors import BadSpec
from fourfold.data.detectors import DETECTORS
from fourfold.data.detectors.patterns import FINDERS, Patterns

FIND = Patterns()


def found(text: str) -> list[tuple[str, str]]:
    return [(f.entity, text[f.start : f.end]) for f in FIND([text])[0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("邮箱zhang.san+x@mail.example，谢谢", [("EMAIL_ADDRESS", "zhang.san+x@mail.example")]),
        ("<Anna_B@sub.mail-host.example>.", [("EMAIL_ADDRESS", "Anna_B@sub.mail-host.example")]),
        ("ｌｉ＠ｍａｉｌ．ｅｘａｍｐｌｅ", [("EMAIL_ADDRESS", "ｌｉ＠ｍａｉｌ．ｅｘａｍｐｌｅ")]),
        ("手机13800002947。", [("CN_MOBILE", "13800002947")]),
        ("Tel13800002947", [("CN_MOBILE", "13800002947")]),
        ("打 +86 138-0000-2947 或 187 0000 3319", [("CN_MOBILE", "+86 138-0000-2947"), ("CN_MOBILE", "187 0000 3319")]),
        ("手机１３８００００２９４７", [("CN_MOBILE", "１３８００００２９４７")]),
        ("身份证32059919911105332X，", [("CN_ID_CARD", "32059919911105332X")]),
        ("卡号 6222 0000 0000 5511 户名", [("CN_BANK_CARD", "6222 0000 0000 5511")]),
        ("账号6217000000000123459", [("CN_BANK_CARD", "6217000000000123459")]),
        ("pay with 4242 4242 4242 4242 please", [("CREDIT_CARD", "4242 4242 4242 4242")]),
        ("amex 378282246310005", [("CREDIT_CARD", "378282246310005")]),
        ("IP 是 192.0.2.44，", [("IP_ADDRESS", "192.0.2.44")]),
        ("from 2001:db8:4a::17 again.", [("IP_ADDRESS", "2001:db8:4a::17")]),
        ("Call me at 467 3395.", [("PHONE_NUMBER", "467 3395")]),
        ("+44 (0)20 7946 0958", [("PHONE_NUMBER", "+44 (0)20 7946 0958")]),
        ("办公室 (0571) 8765 4321", [("PHONE_NUMBER", "(0571) 8765 4321")]),
        ("phone: 345-899-3560x4587", [("PHONE_NUMBER", "345-899-3560x4587")]),
        ("(or home 415-782-7822)", [("PHONE_NUMBER", "415-782-7822")]),
        ("San Diego, CA 92101 619-696-6966", [("PHONE_NUMBER", "619-696-6966")]),
        ("+49 152 28817386", [("PHONE_NUMBER", "+49 152 28817386")]),
        ("吴平，9558805025136580，麻烦打款", [("CN_BANK_CARD", "9558805025136580")]),
        (
            "车牌沪A12345，访客粤B·D12345、京A1234学",
            [("CN_PLATE", "沪A12345"), ("CN_PLATE", "粤B·D12345"), ("CN_PLATE", "京A1234学")],
        ),
        ("税号91350203F39AQ87NY3。", [("CN_USCC", "91350203F39AQ87NY3")]),
        ("护照号：E12345678，passport no. EA1234567", [("CN_PASSPORT", "E12345678"), ("CN_PASSPORT", "EA1234567")]),
    ],
)
def test_found(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "订单号 TM2026031877，运单 XF202510210933",
        "SP204518733K has not moved",
        "order 2026031877 and parcel 415-782-7822",
        "运单号 13800002947123",
        "XF13800002947 在哪里",
        "at 1767225600 or 1767225600123 ms",
        "2026-03-18 12:30:45, 2026/03/18, 18.03.2026, 20260318",
        "seasons 2025-2026 and 2025/2026",
        "firmware 2.14.0.3, 版本 1.2.3.4, v1.2.3.4",
        "0.0.0.0 and 300.1.2.3 and 1.2.3",
        "1,234,567.89 元, ¥13800002947, $4,155,550,136",
        "13.800002947 and 0.13800002947",
        "std::vector<a::b> at 12:30:45",
        "身份证320599199111053321",
        "卡号 6222 0000 0000 5512",
        "ratio 4:3, 16A, 10-20 cm, 1/3",
        "IBAN GB82 WEST 1234 5698 7654 32",
        "me@home, @handle, a@b, x@y.z1",
        "Houston, Texas 77030-2707 Office",
        "reviews-004940-0003",
        "请打客服电话。时间戳1767648027，单号834261007083859，金额47703.95元",
        "税号91350203F39AQ87NY4，编号E12345678，京ABCDEFG，苏Z区12345",
    ],
)
def test_decoys(text: str) -> None:
    assert found(text) == []


def test_entities_and_regions() -> None:
    text = "call 138 0000 2947 or a@b.example"
    assert [f.entity for f in Patterns(entities=("EMAIL_ADDRESS",))([text])[0]] == ["EMAIL_ADDRESS"]
    assert FIND(["Büro: 030 901820"]) == [[]]
    assert [f.entity for f in Patterns(regions=("DE",))(["Büro: 030 901820"])[0]] == ["PHONE_NUMBER"]
    with pytest.raises(BadSpec, match=r"no region 'UK'"):
        DETECTORS.build({"patterns": {"regions": ["UK"]}})
    with pytest.raises(BadSpec, match="entities"):
        DETECTORS.build({"patterns": {"entities": ["EMAIL"]}})


def test_numbers_made_with_right_check_digits_are_found_and_others_are_not() -> None:
    draw = random.Random(7)
    for _ in range(300):
        born = f"{draw.randint(1950, 2008)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"
        body = f"{draw.choice(['110101', '330106', '440305', '510104', '650102'])}{born}{draw.randint(0, 999):03}"
        right = ric.calc_check_digit(body + "0")
        wrong = "0" if right != "0" else "1"
        assert found(f"身份证号{body}{right}。") == [("CN_ID_CARD", body + right)]
        assert ("CN_ID_CARD", body + wrong) not in found(f"身份证号{body}{wrong}。")
        card = "62" + "".join(draw.choices("0123456789", k=draw.randint(13, 16)))
        assert found(f"卡{card}{luhn.calc_check_digit(card)}") == [("CN_BANK_CARD", card + luhn.calc_check_digit(card))]


@given(
    st.lists(
        st.sampled_from(["138 0000 2947", "a@b.example", "192.0.2.1", "，", " ", "x", "7", "+86", "(", ")", "-", "::", "4242"])
    )
)
@settings(deadline=None)
def test_findings_are_in_order_and_do_not_overlap(parts: list[str]) -> None:
    text = "".join(parts)
    findings = FIND([text])[0]
    assert all(0 <= f.start < f.end <= len(text) for f in findings)
    assert all(a.end <= b.start for a, b in pairwise(findings))


@given(
    st.lists(
        st.sampled_from([*"7a .:-(@", "138 0000 2947", "a@b.example", "192.0.2.1", "2001:db8::1", "护照E12345678", "沪A12345"])
    )
)
@settings(deadline=None)
def test_looking_only_where_signs_are_misses_nothing(parts: list[str]) -> None:
    """The same as if each finder had looked at the whole text."""
    text = "".join(parts)
    everywhere = [(start, end) for _, finder in FINDERS for start, end, *_ in finder(text, (0, len(text)), FIND)]
    found = [(f.start, f.end) for f in FIND([text])[0]]
    assert all(place in everywhere for place in found)
    assert all(any(a < d and c < b for c, d in found) for a, b in everywhere), "each hit is found, or overlaps one that is"


@pytest.mark.parametrize("unit", ["1", "1 ", "12345678 ", "a@", "a.", "1.", "1:", "+", "x@a.", "(1) ", "1-"])
def test_no_text_takes_for_ever(unit: str) -> None:
    """Linear: a quadratic pattern would need hours for this (the suite's limit stops it)."""
    assert len(FIND([unit * (1_000_000 // len(unit))])) == 1


def test_figures_on_presidio_research(public_data: Path) -> None:
    """Recall ≥ 0.97 at precision ≥ 0.95; a finding counts if it overlaps a gold span of its kind."""
    data = json.loads(gzip.decompress((public_data / "presidio-research" / "synth_dataset_v2.json.gz").read_bytes()))
    kinds = {"CN_MOBILE": "PHONE_NUMBER", "CN_BANK_CARD": "CREDIT_CARD"}
    right, gold, hits, false = (Counter[str]() for _ in range(4))
    for item, findings in zip(data, FIND([item["full_text"] for item in data])):
        spans = [(s["start_position"], s["end_position"], s["entity_type"]) for s in item["spans"]]
        gold.update(kind for *_, kind in spans)
        mine = [(f.start, f.end, kinds.get(f.entity, f.entity)) for f in findings]
        right.update(k for a, b, k in spans if any(k == other and a < d and c < b for c, d, other in mine))
        hits.update(k for *_, k in mine)
        false.update(k for c, d, k in mine if not any(k == other and a < d and c < b for a, b, other in spans))
    for kind in ("EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IP_ADDRESS"):
        assert right[kind] / gold[kind] >= 0.97, kind
        assert 1 - false[kind] / hits[kind] >= 0.95, kind
