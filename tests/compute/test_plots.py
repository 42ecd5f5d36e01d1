"""Plots: well-formed SVG, equal bytes for equal figures, text kept as text."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fourfold.compute import plots
from fourfold.compute.bootstrap import Interval
from fourfold.compute.metrics.calibration import reliability
from fourfold.compute.plots import Row

LABELS = ["O", "人名", "$x$", "order & <id>"]
RANDOM = np.random.default_rng(2)
CONFIDENCE = RANDOM.random(300)
ROWS = [Row(name, Interval(0.9 - i / 10, 0.8 - i / 10, 0.95 - i / 10), 1234) for i, name in enumerate(LABELS)]

PLOTS: dict[str, Callable[[Path], None]] = {
    "confusion": lambda path: plots.confusion_matrix(path, LABELS, np.arange(16).reshape(4, 4), "words"),
    "bars": lambda path: plots.intervals(path, "F1 per label", ROWS, "F1", "a note", bars=True),
    "dots": lambda path: plots.intervals(path, "By slice", ROWS, "accuracy", "a note", bars=False),
    "reliability": lambda path: plots.reliability_diagram(path, reliability(CONFIDENCE, CONFIDENCE > 0.4), "ECE 0.1"),
    "perplexity": lambda path: plots.perplexity_histogram(path, RANDOM_PERPLEXITIES, 120.0, "300 texts"),
}
RANDOM_PERPLEXITIES = np.exp(RANDOM.normal(5, 1, 300))


def texts_of(path: Path) -> list[str]:
    root = ET.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", PLOTS)
def test_equal_figures_give_equal_bytes(name: str, tmp_path: Path):
    PLOTS[name](tmp_path / "one.svg")
    PLOTS[name](tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert not re.search(rb"20\d\d-\d\d-\d\d", (tmp_path / "one.svg").read_bytes())


def test_labels_stay_text_in_readers_fonts(tmp_path: Path):
    PLOTS["confusion"](tmp_path / "plot.svg")
    texts = texts_of(tmp_path / "plot.svg")
    assert {*LABELS, "gold label", "predicted label", "Confusion matrix"} <= {*texts}
    svg = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert "PingFang SC" in svg
    assert "<image" not in svg  # vectors, no raster


def test_cells_are_per_cent_of_their_row(tmp_path: Path):
    plots.confusion_matrix(tmp_path / "plot.svg", ["a", "b"], np.array([[3, 1], [0, 500]]), "words")
    texts = texts_of(tmp_path / "plot.svg")
    assert {"75", "25", "100", "4", "500"} <= {*texts}


def test_rare_labels_are_folded_and_none_is_lost():
    labels = [f"label {i}" for i in range(40)]
    counts = np.diag(np.arange(40, 0, -1)) + 1
    names, folded = plots.fold_rare(labels, counts)
    assert names[0] == "label 0"
    assert names[-1] == "other (17)"
    assert folded.shape == (24, 24)
    assert folded.sum() == counts.sum()


def test_labels_that_do_not_occur_are_left_out():
    names, counts = plots.fold_rare(["a", "ghost", "b"], np.array([[1, 0, 2], [0, 0, 0], [0, 0, 5]]))
    assert names == ["b", "a"]
    assert counts.tolist() == [[5, 0], [2, 1]]


def test_undefined_rows_are_named_as_left_out(tmp_path: Path):
    plots.intervals(tmp_path / "plot.svg", "F1", [*ROWS, Row("ghost", Interval(None, None, None), 0)], "F1", "note", bars=True)
    texts = texts_of(tmp_path / "plot.svg")
    assert "note · 1 more in report.json" in texts
    assert "ghost" not in texts


@pytest.mark.parametrize("values", [np.array([7.0]), np.array([1.0, 1.0]), np.array([1.0, 1e12])])
def test_histograms_of_odd_values(values: np.ndarray, tmp_path: Path):
    plots.perplexity_histogram(tmp_path / "plot.svg", values, float(values[0]), "few")
    assert "texts" in texts_of(tmp_path / "plot.svg")


def test_nothing_to_plot_is_still_a_plot(tmp_path: Path):
    plots.intervals(tmp_path / "a.svg", "F1", [], "F1", "note", bars=True)
    plots.confusion_matrix(tmp_path / "b.svg", [], np.zeros((0, 0), np.int64), "words")
    plots.reliability_diagram(tmp_path / "c.svg", reliability(np.array([]), np.array([], bool)), "")
    assert all(texts_of(tmp_path / f"{name}.svg") for name in "abc")


def test_long_and_unprintable_labels():
    assert plots.shorten("x" * 30) == "x" * 25 + "…"
    assert plots.shorten("a\x00b") == "a�b"


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, fourfold.compute.evaluate as e; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
