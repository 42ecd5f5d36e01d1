"""Runners: the same fragments, logs and figures from a loop, from worker processes, and on Ray; bad ends end the workers."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fourfold.core.errors import BadInput, BadSpec, FourfoldError
from fourfold.core.fingerprint import digest_file
from fourfold.core.nouns import Actor
from fourfold.data.clean import build_steps, clean, clean_into
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.data.flow import RUNNERS, Runner
from fourfold.data.flow.loop import Loop
from fourfold.data.flow.pool import Pool
from fourfold.data.fragment_work import Parts, Task
from fourfold.data.fragments import FragmentWriter
from fourfold.storage.ledger import Ledger

STEPS: list[Any] = [
    "normalise",
    "keep_languages",
    "drop_duplicates",
    {"drop_boilerplate": {"min_documents": 3, "min_share": 0.1}},
    "drop_near_duplicates",
    {"keep_length": {"min_characters": 12}},
]
WORDS = ("the", "lamp", "switch", "is", "broken", "and", "we", "want", "a", "new", "one", "with", "more", "light", "please")
CHARACTERS = "台灯开关坏了我们希望能在这个星期换一个新的请告诉怎么做谢你寄来收到快递费用多少"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """400 texts in fragments of 50, Chinese and English, copies with small edits among them."""
    rng, folder = random.Random(11), tmp_path_factory.mktemp("in")
    writer = FragmentWriter(folder, rows=50)
    texts: list[str] = []
    for i in range(400):
        if texts and rng.random() < 0.4:
            text = rng.choice(texts)
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice("ab新旧") + text[at + 1 :]
        else:
            units, glue = (WORDS, " ") if rng.random() < 0.5 else (CHARACTERS, "")
            text = glue.join(rng.choice(units) for _ in range(rng.randint(1, 120)))
        texts.append(text)
        row = {"doc_id": f"doc_{i}", "text": f"Menu\n{text}", "source": f"a.txt#{i}", "source_digest": "0", "fetched_at": None}
        writer.add(row, 1)
    writer.close()
    return Dataset(folder)


def outcome(source: Dataset, folder: Path, runner: Runner) -> tuple[dict[str, str], dict[str, Any]]:
    """Digests of all files, and the figures."""
    folder.mkdir()
    try:
        figures = clean_into(source, folder, build_steps(STEPS), runner=runner)
    finally:
        runner.close()
    return {path.name: digest_file(path) for path in folder.iterdir()}, figures


@pytest.fixture(scope="module")
def expected(source: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, Any]]:
    found = outcome(source, tmp_path_factory.mktemp("loop") / "out", Loop())
    assert found[1]["drops"]["near_duplicate"] > 20
    assert len(found[0]) == 10
    return found


@pytest.mark.parametrize("processes", [1, 2])
def test_pool(source: Dataset, expected: Any, tmp_path: Path, processes: int) -> None:
    assert outcome(source, tmp_path / "out", Pool(processes)) == expected


def test_ray(source: Dataset, expected: Any, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed. Run: pip install 'fourfold[ray]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ray's own
        assert outcome(source, tmp_path / "out", RUNNERS.resolve("ray")()) == expected


def test_a_worker_says_what_is_wrong(source: Dataset, tmp_path: Path) -> None:
    pool = Pool(1)
    path = next(source.fragments()).path
    try:
        with pytest.raises(BadInput, match="no column of text 'body'"):
            task = Task(
                str(path),
                str(tmp_path / "t"),
                str(tmp_path / "d"),
                str(tmp_path / "l"),
                steps=[{"normalise": {"columns": ["body"]}}],
            )
            list(pool([task], Parts(None, [])))
        with pytest.raises(FourfoldError, match="A worker process ended with code 1"):
            list(pool([msgspec.structs.replace(task, source=str(tmp_path / "absent"))], Parts(None, [])))
    finally:
        pool.close()


def test_closing_a_pool_ends_its_workers(source: Dataset, tmp_path: Path) -> None:
    pool = Pool(2)
    paths = [fragment.path for fragment in source.fragments()]
    tasks = [
        Task(
            str(p), str(tmp_path / p.name), str(tmp_path / f"{p.stem}.done"), str(tmp_path / p.stem), steps=[{"normalise": {}}]
        )
        for p in paths
    ]
    figures = pool(tasks, Parts(None, []))
    assert next(figures) == (50, 50)
    workers = list(pool._all)
    figures.close()
    pool.close()
    assert all(worker.returncode is not None for worker in workers)


def test_the_verb(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Hello  there")
    ledger = Ledger.open(tmp_path / "home")
    actor = Actor("key_1", "Tessa", "admin")
    try:
        raw = collect(ledger, actor, "notes", {"files": {"path": str(tmp_path / "a.txt")}})
        loop, pool = (clean(ledger, actor, "notes-clean", raw, ["normalise"], runner=name) for name in ("loop", "pool"))
        assert loop.digest == pool.digest
        with pytest.raises(BadSpec, match="there is no runner 'pol'"):
            clean(ledger, actor, "notes-clean", raw, ["normalise"], runner="pol")
    finally:
        ledger.close()
