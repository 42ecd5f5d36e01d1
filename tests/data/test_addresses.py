"""The detector `addresses`: Chinese and English addresses, what is none, and figures on texts that others wrote."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path

import pytest

from fourfold.core.errors import BadSpec
from fourfold.data.detection import detection_quality
from fourfold.data.detectors import DETECTORS, Finding
from fourfold.data.detectors.addresses import Addresses
from fourfold.data.invented import invented_texts

FIND = Addresses()


def found(text: str) -> list[str]:
    return [text[f.start : f.end] for f in FIND([text])[0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("请寄到浙江省杭州市西湖区文三路138号3幢2单元501室，谢谢", ["浙江省杭州市西湖区文三路138号3幢2单元501室"]),
        ("地址：上海市浦东新区张江镇祖冲之路2290弄展想广场1号楼15层", ["上海市浦东新区张江镇祖冲之路2290弄展想广场1号楼15层"]),
        ("送到北京海淀区中关村南大街5号院。", ["北京海淀区中关村南大街5号院"]),
        ("四川省成都市武侯区天府大道北段1700号", ["四川省成都市武侯区天府大道北段1700号"]),
        ("I live at 2450 Crown St, Apt. 4, Houston, TX 77030.", ["2450 Crown St, Apt. 4, Houston, TX 77030"]),
        ("It is 24 Clarke Avenue, London SW1A 1AA.", ["24 Clarke Avenue, London SW1A 1AA"]),
        ("wohnt Passauer Strasse 33 und PO Box 123", ["PO Box 123"]),
        ("meet at 29 Rue de Tanger or Via Roma 131", ["29 Rue de Tanger", "Via Roma 131"]),
    ],
)
def test_found(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "这个小区很好，大家路上小心",
        "市场区里有很多人，3号楼的电梯坏了",
        "南京市长江大桥",
        "订单号123号 第3号楼 5月3号",
        "我家在3栋2单元501室",
        "in 2024 Peter was there",
        "Call 24 hours a day. Section 12 Court of Appeal",
        "we sold 300 units at $45 each",
    ],
)
def test_left_alone(text: str) -> None:
    assert found(text) == []


def test_languages() -> None:
    text = "北京海淀区中关村南大街5号院, 24 Clarke Avenue"
    assert len(Addresses(languages=("en",))([text])[0]) == 1
    assert [f.entity for f in FIND([text])[0]] == ["LOCATION", "LOCATION"]
    with pytest.raises(BadSpec, match="languages is empty"):
        Addresses(languages=())
    with pytest.raises(BadSpec, match="languages"):
        DETECTORS.build({"addresses": {"languages": ["fr"]}})


@pytest.mark.parametrize("unit", ["路", "1 ", "12 Abc ", "市", "省市区", "Apt. 1 ", "1号", "区1号", "12 A "])
def test_no_text_takes_for_ever(unit: str) -> None:
    findings = FIND([unit * (200_000 // len(unit))])[0]
    assert all(a.end <= b.start for a, b in pairwise(findings))


def test_figures_on_invented_texts() -> None:
    texts = list(invented_texts(3000, seed=21))
    gold = [[f for f in one.gold if f.entity == "LOCATION"] for one in texts]
    quality = detection_quality([FIND], [one.text for one in texts], gold)["LOCATION"]
    assert quality.gold > 200
    assert quality.recall >= 0.97
    assert quality.precision >= 0.97


def test_figures_on_presidio_research(public_data: Path) -> None:
    """Its streets are of forty countries and half of its spans are a part of an address: recall is stated, precision kept."""
    data = json.loads(gzip.decompress((public_data / "presidio-research" / "synth_dataset_v2.json.gz").read_bytes()))
    gold = [
        [
            Finding(s["start_position"], s["end_position"], "LOCATION", 1.0)
            for s in item["spans"]
            if s["entity_type"] == "STREET_ADDRESS"
        ]
        for item in data
    ]
    quality = detection_quality([FIND], [item["full_text"] for item in data], gold)["LOCATION"]
    assert quality.recall >= 0.6
    assert quality.precision >= 0.97
