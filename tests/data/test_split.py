"""Split: stable by document, stratified when asked, and no near-duplicates on two sides."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow as pa
import pytest

from fourfold.core.errors import BadInput, BadSpec, GateRefused
from fourfold.data.clean import build_steps, clean_into
from fourfold.data.dataset import Dataset
from fourfold.data.flow.pool import Pool
from fourfold.data.fragments import FragmentWriter
from fourfold.data.steps.split import Split

WORDS = [a + b for a in "bcdfghklmnprst" for b in ("an", "ore", "ile", "ust", "omp", "ack", "ight", "een")]


def rows(count: int, seed: int = 5, copies: float = 0.0) -> list[dict[str, str]]:
    """Texts of forty words; a share `copies` of them are others with one word changed. `cluster` says of which."""
    rng = random.Random(seed)
    made: list[dict[str, str]] = []
    for i in range(count):
        if made and rng.random() < copies:
            origin = rng.choice(made)
            words = origin["text"].split()
            words[rng.randrange(len(words))] = rng.choice(WORDS)
            made.append({"text": " ".join(words), "cluster": origin["cluster"], "label": rng.choice("aab")})
        else:
            text = " ".join(rng.choice(WORDS) for _ in range(60))
            made.append({"text": text, "cluster": str(i), "label": rng.choice("aab")})
    return [{"doc_id": f"doc_{i}", **row} for i, row in enumerate(made)]


def sides(part: Split, given: list[dict[str, str]]) -> list[str]:
    table = pa.Table.from_pylist(given)
    return part.apply(table, part(table))["split"].to_pylist()


def test_stable_by_document() -> None:
    given = rows(2000)
    found = sides(Split(), given)
    counts = Counter(found)
    assert 1500 < counts["train"] < 1700 and 140 < counts["dev"] < 260 and 140 < counts["test"] < 260
    fewer = sides(Split(), given[::3])
    assert fewer == found[::3], "whatever else is there"
    assert sides(Split(seed=1), given) != found


def test_stratified() -> None:
    given = [{**row, "label": "rare" if i % 100 == 0 else "common"} for i, row in enumerate(rows(2000))]
    found = sides(Split(stratify="label", shares=(0.5, 0.25, 0.25)), given)
    by_label = defaultdict(Counter)
    for row, side in zip(given, found):
        by_label[row["label"]][side] += 1
    assert by_label["rare"] == {"train": 10, "dev": 5, "test": 5}
    assert by_label["common"] == {"train": 990, "dev": 495, "test": 495}


def test_no_cluster_stands_on_two_sides() -> None:
    given = rows(600, copies=0.4)
    apart = sides(Split(leaks="ignore"), given)
    together = sides(Split(), given)

    def leaking(found: list[str]) -> int:
        on = defaultdict(set)
        for row, side in zip(given, found):
            on[row["cluster"]].add(side)
        return sum(len(one) > 1 for one in on.values())

    assert leaking(apart) > 20
    assert leaking(together) <= 2, "chains of edits may be further apart than the threshold"
    table = pa.Table.from_pylist(given)
    told = Split(leaks="count")(table).schema.metadata
    assert b'"leaking_clusters"' in told[b"fourfold"] and b'"moved":0' in told[b"fourfold"]
    with pytest.raises(GateRefused, match="clusters of near-duplicates"):
        Split(leaks="refuse")(table)


def test_as_a_step_of_cleaning(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    writer = FragmentWriter(source, rows=50)
    for row in rows(200, copies=0.3):
        writer.add({**row, "source": "a#1", "source_digest": "0", "fetched_at": None}, 1)
    writer.close()
    found = []
    pool = Pool(2)
    for name, runner in (("loop", None), ("pool", pool)):
        (tmp_path / name).mkdir()
        figures = clean_into(Dataset(source), tmp_path / name, build_steps(["split"]), runner=runner)
        dataset = Dataset(tmp_path / name)
        counts = {side: len(dataset.of(side).table(["doc_id"])) for side in ("train", "dev", "test")}
        assert figures["steps"]["split"]["rows"] == counts
        assert figures["steps"]["split"]["moved"] > 0
        found.append((figures, dataset.table()["split"].to_pylist()))
    pool.close()
    assert found[0] == found[1]


def test_refusals() -> None:
    for shares in ((0.5, 0.5, 0.5), (0.0, 0.5, 0.5), (1.5, -0.5, 0.0)):
        with pytest.raises(BadSpec, match="sum to 1"):
            Split(shares=shares)
    with pytest.raises(BadSpec, match="similarity"):
        Split(similarity=0.2)
    with pytest.raises(BadInput, match=r"no column 'lable' to stratify by.*'label'"):
        Split(stratify="lable")(pa.Table.from_pylist(rows(3)))
