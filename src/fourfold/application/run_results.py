"""What the platform answers of runs: the history of their metrics, and their logs."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class MetricSeries(Struct):
    """The history of a metric, in order of step: the step, when it was told (Unix seconds), and the value."""

    steps: list[int]
    at: list[float]
    values: list[float]


class RunMetrics(Struct):
    """The metrics of a run, step by step."""

    run: str
    metrics: dict[str, MetricSeries]


class RunLog(Struct):
    """What was logged during a run, oldest first: ids, counts and seconds, never documents."""

    run: str
    lines: list[dict[str, Any]]
