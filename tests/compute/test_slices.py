"""Slices by language, length and file."""

from __future__ import annotations

import pytest

from fourfold.compute.slices import SOURCES, Facts, language_of, length_of, slices_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("今天天气怎么样", "zh"), ("My kettle leaks.", "en"), ("我的 Brewer Pro 坏了", "zh"), ("Ship to 上海 on Monday", "en"),
        ("お茶が好きです", "ja"), ("안녕하세요", "ko"), ("12:30 ???", "none"), ("", "none"), ("Привет", "other"),
        ("Das ist schön", "en"),
    ],
)  # fmt: skip
def test_the_language_of_a_text(text: str, language: str):
    assert language_of(text) == language


def test_length_slices_meet_without_gap():
    assert [length_of(n) for n in (1, 5, 6, 10, 11, 20, 21, 40, 41, 999)] == [
        "1–5", "1–5", "6–10", "6–10", "11–20", "11–20", "21–40", "21–40", "over 40", "over 40",
    ]  # fmt: skip


def test_each_document_is_in_one_slice_of_each_kind():
    facts = [Facts(f"doc_{i}", "zh" if i % 3 else "en", i + 1, f"file-{i % 20:02d}.txt") for i in range(60)]
    slices = slices_of(facts)
    for by in ("language", "length", "source"):
        held = [doc_id for part in slices if part.by == by for doc_id in part.doc_ids]
        assert sorted(held) == sorted(f.doc_id for f in facts)
    assert [s.value for s in slices if s.by == "length"] == ["1–5", "6–10", "11–20", "21–40", "over 40"]
    files = [s.value for s in slices if s.by == "source"]
    assert len(files) == SOURCES + 1
    assert "other files" in files


def test_a_slice_finds_its_documents_among_others():
    (english,) = [s for s in slices_of([Facts("a", "zh", 1, "x"), Facts("b", "en", 1, "x")]) if s.value == "en"]
    assert english.among(("b", "c", "a", "b")).tolist() == [True, False, False, True]
