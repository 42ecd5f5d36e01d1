"""Counters: totals, several fronts, the cap on label sets."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fourfold.application.serving.home import Status, write_status
from fourfold.application.serving.metrics import MAX_SERIES, Figures


def samples(figures: Figures) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(figures.exposition().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_buckets_count_up_to_their_bound(tmp_path: Path):
    figures = Figures(tmp_path, 1)
    for seconds in (0.0005, 0.0006, 0.02, 99.0):
        figures.model("d").latency.observe(seconds)
    found = samples(figures)

    def upto(bound: str) -> float:
        return found["fourfold:e2e_request_latency_seconds_bucket", (("le", bound), ("model_name", "d"))]

    assert [upto(b) for b in ("0.0005", "0.001", "0.025", "30.0", "+Inf")] == [1, 2, 3, 3, 4]
    assert found["fourfold:e2e_request_latency_seconds_sum", (("model_name", "d"),)] == pytest.approx(99.0211)


def test_whoever_is_scraped_gives_the_sum_of_all_fronts(tmp_path: Path):
    (tmp_path / "run").mkdir()
    one, two = Figures(tmp_path, 1, 1), Figures(tmp_path, 2, 1)
    for figures, times in ((one, 2), (two, 3)):
        for _ in range(times):
            figures.count("d", "m@1", "tag", "ok")
            figures.model("d").confidence.observe(0.5)
            figures.model("d").stopped += 1
        figures.totals.lost = times
        figures.share()
    assert samples(one) == samples(two)
    found = samples(one)
    labels = (("code", "ok"), ("deployment", "d"), ("task", "tag"), ("version", "m@1"))
    assert found["fourfold_requests_total", labels] == 5
    assert found["fourfold_confidence_count", (("model_name", "d"),)] == 5
    assert found["fourfold_request_records_lost_total", ()] == 5
    assert found["fourfold:request_success_total", (("finished_reason", "stop"), ("model_name", "d"))] == 5


def test_the_age_of_the_newest_checked_backup(tmp_path: Path):
    (tmp_path / "run").mkdir()
    figures = Figures(tmp_path, 1)
    assert samples(figures)["fourfold_backup_age_seconds", ()] == math.inf
    write_status(tmp_path, Status(1, "http://x", 1.0, backup_at=time.time() - 7200))
    assert 7200 <= samples(figures)["fourfold_backup_age_seconds", ()] < 9000


def test_label_sets_are_capped(tmp_path: Path):
    figures = Figures(tmp_path, 1)
    for number in range(MAX_SERIES + 50):
        figures.count(f"d{number}", "m@1", "tag", "ok")
        figures.model(f"d{number}").stopped += 1
    assert len(figures.totals.requests) == MAX_SERIES + 1
    assert figures.totals.requests["other", "other", "other", "ok"] == 50
    assert len(figures.totals.models) == MAX_SERIES + 1
    assert figures.totals.models["other"].stopped == 50
