"""A run of the tests fails if anything unpickles, in whichever process; shown by planting it."""

from __future__ import annotations

import io
import multiprocessing.reduction
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.application.serving.conftest import Home
from tests.guard.no_unpickling import FILE, PLANT

from fourfold.core.nouns import Route

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it is written down in these tests, so that they do not fail the run."""
    file = tmp_path / "unpickled"
    file.touch()
    monkeypatch.setenv(FILE, str(file))
    return file


def test_every_way_to_unpickle_raises(record: Path, tmp_path: Path) -> None:
    data = pickle.dumps(Path("a"))
    ways = [
        lambda: pickle.loads(data),
        lambda: pickle.load(io.BytesIO(data)),
        lambda: pickle.Unpickler(io.BytesIO(data)).load(),
        lambda: pickle._loads(data),  # type: ignore[attr-defined]
        lambda: pickle._Unpickler(io.BytesIO(data)).load(),  # type: ignore[attr-defined]
        lambda: multiprocessing.reduction.ForkingPickler.loads(data),
        lambda: np.load(tmp_path / "array.npy", allow_pickle=True),
    ]
    np.save(tmp_path / "array.npy", np.array([Path("a")], dtype=object), allow_pickle=True)
    for n, way in enumerate(ways, start=1):
        with pytest.raises(RuntimeError, match="something was unpickled"):
            way()
        assert record.read_text().count(" unpickled:") >= n


def test_a_run_fails_even_if_what_is_raised_is_swallowed() -> None:
    planted = Path(__file__).with_name("planted.py")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", planted], cwd=ROOT, capture_output=True, text=True)
    assert "1 passed" in done.stdout
    assert "planted.py" in done.stdout.partition("something was unpickled")[2]
    assert done.returncode == 1


def test_every_kind_of_process_is_watched(record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process of a served home, the worker of a job and the command line unpickle at their start, and are caught."""
    home = Home(tmp_path / "home")
    try:
        home.deploy("words", Route(home.train().ref))
        home.up(**{PLANT: "1"})
    finally:
        home.close()
    environment = {**os.environ, PLANT: "1"}
    for module in ("worker", "cli"):
        command = [sys.executable, "-m", f"fourfold.application.{module}", str(tmp_path / "none"), "none"]
        subprocess.run(command, env=environment, capture_output=True)
    caught = record.read_text()
    kinds = {"supervisor": "serving.supervisor import serve", "front": r"serving\.front", "engine": r"serving\.engine",
             "management": r"http\.serve", "worker": r"application\.worker", "command line": r"application\.cli"}  # fmt: skip
    assert [kind for kind, words in kinds.items() if not re.search(words + r".* unpickled:", caught)] == []
