"""Latent semantic analysis: its decomposition is numpy's, its vectors are close where texts are, its files are plain arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from fourfold.compute.families import FAMILIES
from fourfold.compute.families.lsa import Lsa, decompose, features
from fourfold.compute.tasks import EmbedOptions, TextInput
from fourfold.core.errors import BadInput, BadSpec, Corrupt
from fourfold.core.progress import silent
from fourfold.data.dataset import Dataset
from fourfold.data.fragments import FragmentWriter

TEXTS = [
    "快递还没到，物流三天没动", "包裹的物流停了，快递员没来", "物流信息不动，包裹在哪", "快递丢了，包裹没收到",
    "水壶底有水垢，用柠檬酸", "水垢怎么去，水壶要除垢", "柠檬酸除垢，烧水慢了",
    "the kettle has limescale", "limescale in kettles",
]  # fmt: skip


def dataset(folder: Path, texts: list[str]) -> Dataset:
    folder.mkdir()
    writer = FragmentWriter(folder, rows=4)
    for n, text in enumerate(texts):
        writer.add({"doc_id": f"doc_{n}", "text": text, "source": "", "source_digest": "", "fetched_at": None}, 1)
    writer.close()
    return Dataset(folder)


def fitted(folder: Path, **settings: object) -> Path:
    rows = dataset(folder / "rows", TEXTS)
    (folder / "model").mkdir()
    meta = FAMILIES.build({"lsa": settings}).fit(rows, None, folder / "model", silent)
    assert meta["tasks"] == ["embed"]
    assert meta["training"]["documents"] == len(TEXTS)
    return folder / "model"


@pytest.mark.parametrize("shape", [(40, 30), (700, 600)])  # done whole, and by Lanczos iteration
def test_the_decomposition_is_that_of_numpy(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(1).random(shape).astype(np.float32)
    matrix[matrix < 0.9] = 0
    components, explained = decompose(csr_matrix(matrix), 5)
    _, values, right = np.linalg.svd(matrix, full_matrices=False)
    assert components.shape == (shape[1], 5)
    np.testing.assert_allclose(np.abs(components.T @ right[:5].T), np.eye(5), atol=2e-3)
    assert explained == pytest.approx((values[:5] ** 2).sum() / (values**2).sum(), rel=1e-3)
    assert all(column[np.abs(column).argmax()] > 0 for column in components.T)


def test_texts_of_one_matter_are_close(tmp_path: Path) -> None:
    model = Lsa.load(fitted(tmp_path, dimensions=4))
    results = model.embed([TextInput("包裹物流"), TextInput("快递"), TextInput("除垢"), TextInput("xyzzy")], EmbedOptions())
    parcel, courier, descale, unknown = (np.array(result.embedding) for result in results)
    assert parcel @ courier > 0.8 > 0.3 > parcel @ descale
    assert np.linalg.norm(parcel) == pytest.approx(1, abs=1e-5)
    assert not unknown.any()
    assert model.embed([], EmbedOptions()) == []


def test_equal_data_make_equal_models(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        fitted(folder)
    first, second = ({p.name: p.read_bytes() for p in (folder / "model").iterdir()} for folder in folders)
    assert first == second
    assert set(first) == {"lsa.json", "features.npy", "weights.npy", "components.npy"}


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match="dimensions is at least 1"):
        FAMILIES.build({"lsa": {"dimensions": 0}})
    rows = dataset(tmp_path / "rows", ["快递", "kettle"])
    with pytest.raises(BadInput, match="No two documents share a word"):
        Lsa().fit(rows, None, tmp_path, silent)
    with pytest.raises(Corrupt):
        Lsa.load(tmp_path)


def test_features_of_both_scripts() -> None:
    assert len(set(features("快递费")) & set(features("交快递"))) >= 2  # the word and the pair
    assert len(set(features("kettles")) & set(features("kettle"))) >= 8  # stretches of letters
