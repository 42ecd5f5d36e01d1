"""The detector `dictionary`: terms of one's own, whole words in alphabets, anywhere in Chinese."""

from __future__ import annotations

from pathlib import Path

import pytest

from fourfold.core.errors import BadSpec
from fourfold.data.detectors import DETECTORS
from fourfold.data.detectors.dictionary import Dictionary

STAFF = Dictionary("PERSON", ("Ann", "Ann Lee", "王小明", "王小", "O'Neil", "İpek"))


def found(text: str, detector: Dictionary = STAFF) -> list[str]:
    return [text[f.start : f.end] for f in detector([text])[0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann, ANN LEE and Annual", ["ann", "ANN LEE"]),
        ("Joann Ann2 _Ann_", ["Ann"]),
        ("请找王小明或王小", ["王小明", "王小"]),
        ("王小明Ann在", ["王小明", "Ann"]),
        ("call o'neil.", ["o'neil"]),
        ("İpek is here", ["İpek"]),
        ("nobody", []),
        ("", []),
    ],
)
def test_found(text: str, expected: list[str]) -> None:
    assert found(text) == expected


def test_case_counts_when_asked() -> None:
    assert found("ann Ann", Dictionary("PERSON", ("Ann",), ignore_case=False)) == ["Ann"]


def test_terms_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "places.txt").write_text("# towns\n杭州\n\nSan José\n", encoding="utf-8")
    detector = DETECTORS.build({"dictionary": {"entity": "LOCATION", "file": str(tmp_path / "places.txt")}})
    assert [(f.entity, f.start) for f in detector(["从杭州到 San José"])[0]] == [("LOCATION", 1), ("LOCATION", 5)]


def test_no_terms_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match="holds no term"):
        Dictionary("PERSON")
    with pytest.raises(BadSpec, match="cannot be read"):
        Dictionary("PERSON", file=str(tmp_path / "none.txt"))
