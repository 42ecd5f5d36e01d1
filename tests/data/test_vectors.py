"""Vectors and both rankings fused: against numbers worked out by hand, and updates against rebuilds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.test_search import dataset

from fourfold.core.errors import BadInput, BadSpec
from fourfold.data.dataset import Dataset
from fourfold.data.indexes import INDEXES
from fourfold.data.search import OpenIndex, build


@dataclass
class Letters:
    """Encodes a text by how often a, b and c stand in it, and remembers what it was asked."""

    asked: list[str] = field(default_factory=list)

    def __call__(self, texts: Sequence[str], /) -> np.ndarray:
        self.asked += texts
        counts = np.array([[text.count(letter) for letter in "abc"] for text in texts], np.float32)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def made(source: Dataset, folder: Path, spec: dict[str, Any], encoder: Letters, before: Path | None = None) -> OpenIndex:
    folder.mkdir()
    build(INDEXES.build(spec), spec, list(source.fragments()), folder, before=before, encoder=encoder)
    return OpenIndex(folder, encoder)


def ids(found: OpenIndex, query: str, **more: Any) -> list[str]:
    return [hit.doc_id for hit in found.search(query, **more).hits]


TEXTS = ["aaa", "aab", "abb", "bbb", "ccc", "xyz"]


def test_the_closest_come_first(tmp_path: Path) -> None:
    with closing(made(dataset(tmp_path / "rows", TEXTS, 4), tmp_path / "index", {"vectors": {}}, Letters())) as found:
        answer = found.search("a")
        assert [hit.doc_id for hit in answer.hits] == ["doc_0", "doc_1", "doc_2"]  # the others have nothing in common with it
        np.testing.assert_allclose([hit.score for hit in answer.hits], [1, 2 / 5**0.5, 1 / 5**0.5], rtol=1e-6)
        assert ids(found, "a", filters=["doc_id!=doc_0"], limit=1) == ["doc_1"]
        assert ids(found, "a", offset=1, limit=1) == ["doc_1"]
        assert ids(found, "???") == []


def test_a_graph_finds_what_comparing_all_finds(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    texts = ["".join(draw.choice(list("abc"), size=30)) for _ in range(640)]  # 640: a graph's own head looks like a pickle's
    source, encoder = dataset(tmp_path / "rows", texts, 640), Letters()
    with (
        closing(made(source, tmp_path / "all", {"vectors": {}}, encoder)) as whole,
        closing(made(source, tmp_path / "graph", {"vectors": {"exact_rows": 100}}, encoder)) as graph,
    ):
        assert [path.read_bytes()[:8] for path in tmp_path.glob("graph/vectors/*.usearch")] == [b"FOURFOLD"]
        for query in ("a", "aab", "bcc", "abc"):
            exact = {round(hit.score, 5) for hit in whole.search(query, limit=10).hits}
            near = {round(hit.score, 5) for hit in graph.search(query, limit=10).hits}
            assert len(exact & near) >= 0.9 * len(exact)
        assert ids(graph, "a", filters=["doc_id=doc_7"]) == ["doc_7"]  # where rows are chosen, all of them are compared


def test_an_update_embeds_new_fragments_only(tmp_path: Path) -> None:
    encoder = Letters()
    spec = {"hybrid": {"columns": ["title", "text"], "exact_rows": 3}}
    made(dataset(tmp_path / "old", TEXTS, 2), tmp_path / "before", spec, encoder).close()
    encoder.asked.clear()
    source = dataset(tmp_path / "new", [*TEXTS[:2], "acc", *TEXTS[3:]], 2)
    updated = made(source, tmp_path / "updated", spec, encoder, tmp_path / "before")
    assert encoder.asked == ["acc", "bbb"]
    rebuilt = made(source, tmp_path / "rebuilt", spec, encoder)
    with closing(updated), closing(rebuilt):
        assert updated.search("acc a").hits == rebuilt.search("acc a").hits
    for path in (path for path in (tmp_path / "rebuilt").rglob("*") if path.is_file() and path.name[0] != "."):
        assert (tmp_path / "updated" / path.relative_to(tmp_path / "rebuilt")).read_bytes() == path.read_bytes()


def test_ranks_are_fused_by_their_reciprocals(tmp_path: Path) -> None:
    texts = ["aab kettle", "kettle", "aaa", "ccc"]
    spec = {"hybrid": {"k": 10}}
    with closing(made(dataset(tmp_path / "rows", texts), tmp_path / "index", spec, Letters())) as found:
        answer = found.search("a kettle")
        scores = {hit.doc_id: (hit.score, hit.places) for hit in answer.hits}
        assert [hit.doc_id for hit in answer.hits] == ["doc_0", "doc_1", "doc_2"]
        # by words: the shorter document first; by vectors: aaa, then aab
        assert scores["doc_0"] == (pytest.approx(1 / 12 + 1 / 12), {"words": 2, "vectors": 2})
        assert scores["doc_1"] == (pytest.approx(1 / 11), {"words": 1})
        assert scores["doc_2"] == (pytest.approx(1 / 11), {"vectors": 1})
        assert ids(found, "a kettle", by="words", match="any") == ["doc_1", "doc_0"]
        assert ids(found, "a kettle", by="vectors") == ["doc_2", "doc_0"]
        assert ids(found, '"kettle" a') == ["doc_0", "doc_1"]  # what is quoted must be there, for vectors, too
        assert answer.total == 3


def test_without_a_model_there_are_words(tmp_path: Path) -> None:
    source = dataset(tmp_path / "rows", TEXTS)
    with pytest.raises(BadInput, match="needs a model"):
        build(INDEXES.build("hybrid"), {"hybrid": {}}, list(source.fragments()), tmp_path)
    made(source, tmp_path / "index", {"hybrid": {"columns": ["text"]}}, Letters()).close()
    with closing(OpenIndex(tmp_path / "index")) as found:
        assert ids(found, "aaa", by="words") == ["doc_0"]
        with pytest.raises(BadInput, match="needs the model"):
            found.search("aaa")
    for wrong in ({"hybrid": {"k": 0}}, {"hybrid": {"words_weight": -1.0}}, {"vectors": {"exact_rows": -1}}):
        with pytest.raises(BadSpec):
            INDEXES.build(wrong)
