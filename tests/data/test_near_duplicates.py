"""Near-duplicates: planted clusters are found, with every pair judged by the exact Jaccard index of its shingles."""

from __future__ import annotations

import random
from itertools import combinations

import pyarrow as pa
import pytest

from fourfold.core.errors import BadSpec
from fourfold.data.steps import DETAIL, DROPPED, Barrier
from fourfold.data.steps.drop_near_duplicates import DropNearDuplicates

ENDINGS = ("an", "ore", "ile", "ust", "omp", "ack", "ight", "een", "owl")
ENGLISH = [a + b for a in "bcdfghklmnprstvw" for b in ENDINGS]
CHINESE = "".join(chr(0x4E00 + 7 * i) for i in range(2000))


def planted(seed: int, clusters: int) -> tuple[list[str], list[int]]:
    """Texts and their clusters, shuffled, every other one English: a text and four copies of it with edits of 1 to 30 %."""
    rng = random.Random(seed)
    rows: list[tuple[str, int]] = []
    for number in range(clusters):
        vocabulary, glue = (ENGLISH, " ") if number % 2 else (CHINESE, "")
        original = [rng.choice(vocabulary) for _ in range(rng.randint(60, 400))]
        rows.append((glue.join(original), number))
        for rate in (0.01, 0.02, 0.05, 0.3):
            copy = [rng.choice(vocabulary) if rng.random() < rate else unit for unit in original]
            rows.append((glue.join(copy), number))
    rng.shuffle(rows)
    return [text for text, _ in rows], [number for _, number in rows]


def shingled(text: str) -> set[tuple[str, ...]]:
    """Runs of three words, or five Chinese characters: written again, without the module under test."""
    units, n = (text.split(), 3) if " " in text else (list(text), 5)
    return {tuple(units[i : i + n]) for i in range(len(units) - n + 1)}


def table(texts: list[str]) -> pa.Table:
    return pa.table({"doc_id": [f"doc_{i}" for i in range(len(texts))], "text": texts})


def kept(texts: list[str]) -> list[str]:
    """For each row the document of its cluster that stays."""
    marked = DropNearDuplicates()(table(texts))
    return [d if r else i for i, r, d in zip(*(marked[c].to_pylist() for c in ("doc_id", DROPPED, DETAIL)))]


def test_planted_clusters() -> None:
    texts, truth = planted(7, 200)
    sets, found = [shingled(text) for text in texts], kept(texts)
    alike = [
        (a, b)
        for cluster in range(200)
        for a, b in combinations([i for i, c in enumerate(truth) if c == cluster], 2)
        if len(sets[a] & sets[b]) >= 0.8 * len(sets[a] | sets[b])
    ]
    together = [(a, b) for a, b in combinations(range(len(texts)), 2) if found[a] == found[b]]
    recall = sum(found[a] == found[b] for a, b in alike) / len(alike)
    precision = sum(truth[a] == truth[b] for a, b in together) / len(together)
    print(f"recall {recall:.4f} of {len(alike)} pairs, precision {precision:.4f} of {len(together)}")
    assert len(alike) > 400
    assert recall >= 0.95
    assert precision >= 0.98


def test_the_longest_stays_then_the_earliest() -> None:
    words = " ".join(ENGLISH[:100])
    marked = DropNearDuplicates()(table([words, "something else", words + " more", words.upper(), "", "。"]))
    assert marked[DROPPED].to_pylist() == ["near_duplicate", None, None, "near_duplicate", None, None]
    assert marked[DETAIL].to_pylist()[0] == marked[DETAIL].to_pylist()[3] == "doc_2"
    assert DropNearDuplicates()(table([words, words]))[DROPPED].to_pylist() == [None, "near_duplicate"]


def test_short_texts_are_compared_whole() -> None:
    marked = DropNearDuplicates()(table(["Thank you", "thank you!", "Thank me", "谢谢", "谢谢！", "再见"]))
    assert [r is None for r in marked[DROPPED].to_pylist()] == [False, True, True, False, True, True]


def test_keys_of_fragments_are_the_keys_of_the_whole() -> None:
    texts, _ = planted(3, 6)
    whole = table([*texts, "", "İstanbul ve İzmir", "a"])
    part = DropNearDuplicates()
    assert isinstance(part, Barrier)
    pieces = pa.concat_tables([part.keys(whole.slice(i, 4)) for i in range(0, len(whole), 4)])
    assert pieces.equals(part.keys(whole))
    assert part(pieces)[DROPPED].equals(part(whole)[DROPPED])


def test_settings() -> None:
    with pytest.raises(BadSpec, match="similarity is between"):
        DropNearDuplicates(similarity=0.1)
    with pytest.raises(BadSpec, match="between 1 and 20"):
        DropNearDuplicates(words=0)
