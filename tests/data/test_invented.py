"""Invented Chinese personal data: right by construction, and the detector `patterns` measured on it."""

from __future__ import annotations

from stdnum import luhn
from stdnum.cn import ric, uscc

from fourfold.data.detection import Quality, detection_quality
from fourfold.data.detectors import Finding
from fourfold.data.detectors.patterns import Patterns
from fourfold.data.invented import invented_texts

VALID = {
    "CN_ID_CARD": lambda value: ric.calc_check_digit(value) == value[-1].upper(),
    "CN_BANK_CARD": lambda value: luhn.is_valid(value.replace(" ", "")),
    "CN_USCC": uscc.is_valid,
}


def test_equal_seeds_give_equal_texts_and_every_check_digit_is_right() -> None:
    texts = list(invented_texts(500, seed=3))
    assert texts == list(invented_texts(500, seed=3)) != list(invented_texts(500, seed=4))
    assert sum(not one.gold for one in texts) == 500 // 7
    for one in texts:
        for span in one.gold:
            value = one.text[span.start : span.end]
            assert value and VALID.get(span.entity, len)(value), value


def test_figures_on_5000_invented_texts() -> None:
    """Recall ≥ 0.99 at precision ≥ 0.98 for each entity, with decoys in more than half of the texts."""
    texts = list(invented_texts(5000, seed=20))
    quality = detection_quality([Patterns()], [one.text for one in texts], [one.gold for one in texts])
    for entity in ("CN_ID_CARD", "CN_MOBILE", "CN_BANK_CARD", "CN_PLATE", "EMAIL_ADDRESS", "CN_USCC", "CN_PASSPORT"):
        assert quality[entity].gold > 400, entity
        assert quality[entity].recall >= 0.99, entity
        assert quality[entity].precision >= 0.98, entity
    others = sum(q.findings for entity, q in quality.items() if not q.gold)
    assert others <= 25  # findings of entities that no text holds: one in 200 texts at most


class Fixed:
    """Finds the same in every text."""

    entities = ("A", "B")

    def __init__(self, *found: Finding) -> None:
        self.found = list(found)

    def __call__(self, texts):
        return [self.found for _ in texts]


def test_quality_by_hand() -> None:
    """Of two A spans the first is met; of two A findings one is right; B is found where there is none."""
    detector = Fixed(Finding(0, 3, "A", 1.0), Finding(8, 9, "A", 1.0), Finding(4, 6, "B", 1.0))
    gold = [Finding(2, 4, "A", 1.0), Finding(5, 6, "A", 1.0)]
    quality = detection_quality([detector], ["0123456789"], [gold])
    assert quality == {"A": Quality(2, 1, 2, 1), "B": Quality(0, 0, 1, 0)}
    assert (quality["A"].recall, quality["A"].precision, quality["B"].recall, quality["B"].precision) == (0.5, 0.5, 1.0, 0.0)
    assert detection_quality([detector], ["0123456789"], [gold], same={"B": "A"})["A"] == Quality(2, 2, 3, 2)
