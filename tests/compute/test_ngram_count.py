"""Counting: against a Counter, in any number of runs, with keys too long for the fast way of sorting."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold.compute.ngram.count import (
    CONTEXT,
    COUNT,
    WORD,
    Counts,
    Workspace,
    count,
    group,
    grouped,
    limit,
    merge,
    read,
    save,
)
from fourfold.compute.ngram.text import read_texts

lines = st.lists(st.text("abcde", max_size=8), min_size=1, max_size=10)


def spelled(counts: Counts) -> list[dict[tuple[str, ...], int]]:
    """The counts of each order by n-gram, in the order of rows."""
    grams: list[tuple[str, ...]] = [()]
    found = []
    for level in counts.levels:
        grams = [(*grams[context], counts.words[word]) for context, word in zip(level[CONTEXT], level[WORD])]
        found.append(dict(zip(grams, level[COUNT].tolist())))
    return found


def counted(texts: list[str], order: int) -> list[Counter[tuple[str, ...]]]:
    """The same in plain Python."""
    found = [Counter({("<unk>",): 0, ("<s>",): 0, ("</s>",): 0}) for _ in range(1)] + [Counter() for _ in range(order - 1)]
    for text in filter(None, texts):
        words = ["<s>", *text, "</s>"]
        for n in range(1, order + 1):
            found[n - 1].update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    return found


@settings(max_examples=60, deadline=None)
@given(lines, st.integers(2, 6))
def test_counts_are_those_of_a_counter_in_sorted_rows(texts: list[str], order: int) -> None:
    counts = count(read_texts(texts, "character"), order)
    assert spelled(counts) == counted(texts, order)
    for n in range(1, order + 1):
        assert (np.diff(counts.keys(n)) > 0).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(lines, min_size=1, max_size=4), st.integers(1, 20), st.booleans())
def test_merged_runs_are_the_counts_of_all(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[str]], rows_at_once: int, on_disk: bool
) -> None:
    expected = count(read_texts([line for run in runs for line in run], "character"), 4)
    with Workspace(tmp_path_factory.mktemp("merge"), 1 << 20, on_disk=on_disk) as space:
        space.rows_at_once = rows_at_once
        merged = merge([count(read_texts(run, "character"), 4) for run in runs], space)
        assert merged.words == expected.words
        assert [level.tolist() for level in merged.levels] == [level.tolist() for level in expected.levels]


@settings(max_examples=40, deadline=None)
@given(lines, st.integers(0, 6), st.integers(1, 20))
def test_a_limit_keeps_the_most_frequent_words(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], size: int, rows_at_once: int
) -> None:
    frequency = Counter("".join(texts))
    kept = sorted(frequency, key=lambda word: (-frequency[word], word))[:size]
    with Workspace(tmp_path_factory.mktemp("limit"), 1 << 20, on_disk=False) as space:
        space.rows_at_once = rows_at_once
        limited = limit(count(read_texts(texts, "character"), 3), size, space)
        assert limited.words[3:] == sorted(kept)
    for n, expected in enumerate(counted(texts, 3)):
        mapped: Counter[tuple[str, ...]] = Counter()
        for gram, number in expected.items():
            mapped[tuple(w if w in (*kept, "<s>", "</s>") else "<unk>" for w in gram)] += number
        assert spelled(limited)[n] == mapped


@pytest.mark.parametrize("largest", [50, 2**62])
@pytest.mark.parametrize("rows_at_once", [1000, 7])
def test_grouping_finds_distinct_keys_and_rows(largest: int, rows_at_once: int) -> None:
    keys = np.random.default_rng(0).integers(0, largest, 100)
    keys[40:60] = keys[:20]
    distinct, rows = group(keys)
    expected, inverse = np.unique(keys, return_inverse=True)
    assert (distinct.tolist(), rows.tolist()) == (expected.tolist(), inverse.tolist())
    parts, done = [], 0
    for (first, second), found, at in grouped([keys[:30], keys[30:]], rows_at_once):
        assert np.concatenate([keys[:30][first], keys[30:][second]]).tolist() == found[at].tolist()
        parts += found.tolist()
        done += len(at)
    assert (parts, done) == (expected.tolist(), 100)


def test_files_give_the_counts_back_and_the_workspace_goes(tmp_path: Path) -> None:
    counts = count(read_texts(["abc", "b"], "character"), 6)  # 6: no n-gram is that long
    save(counts, tmp_path, "k")
    again = read(tmp_path, "k", 6)
    assert again.words == counts.words
    assert [level.tolist() for level in again.levels] == [level.tolist() for level in counts.levels]
    with Workspace(tmp_path, 1 << 20, on_disk=True) as space:
        space.keep(np.arange(5))
        assert len(list(tmp_path.glob("spill-*"))) == 1
    assert not list(tmp_path.glob("spill-*"))
