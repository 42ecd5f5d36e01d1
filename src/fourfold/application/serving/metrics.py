"""Figures of the front, kept in plain dictionaries on its loop and handed to prometheus-client when somebody scrapes.

prometheus-client's own counters take a lock per update, which costs more than the rest of a request's bookkeeping.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct, field
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from fourfold.application.serving.home import read_status
from fourfold.application.serving.routing import replace_file

MAX_SERIES = 1000  # label sets of one metric; further ones are counted under "other"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

HISTOGRAMS = {  # attribute of ModelFigures → metric and its help
    "latency": ("fourfold:e2e_request_latency_seconds", "Seconds from a request's head to its reply."),
    "queue": ("fourfold:request_queue_time_seconds", "Seconds between the front and the model's start."),
    "batch": ("fourfold_batch_size", "Inputs that the model took at once."),
    "confidence": ("fourfold_confidence", "Confidence of the answers."),
}

Labels = tuple[str, ...]


class Histogram(Struct):
    """Counts per bucket (the last one is beyond every bound) and the sum."""

    bounds: tuple[float, ...]
    counts: list[int]
    sum: float = 0.0

    @classmethod
    def empty(cls, bounds: tuple[float, ...]) -> Histogram:
        return cls(bounds, [0] * (len(bounds) + 1))

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, other: Histogram) -> None:
        """Count what another counted."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum

    def cumulative(self) -> list[tuple[str, float]]:
        """Upper bound and count up to it, as Prometheus wants them."""
        total, out = 0, []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            out.append((bound, total))
        return out


class ModelFigures(Struct):
    """What is measured per deployment (`model_name` of its metrics)."""

    latency: Histogram = field(default_factory=lambda: Histogram.empty(SECONDS))
    queue: Histogram = field(default_factory=lambda: Histogram.empty(SECONDS))
    batch: Histogram = field(default_factory=lambda: Histogram.empty(SIZES))
    confidence: Histogram = field(default_factory=lambda: Histogram.empty(SHARES))
    input_tokens: int = 0
    output_tokens: int = 0
    stopped: int = 0
    failed: int = 0

    def add(self, other: ModelFigures) -> None:
        """Count what another counted."""
        for name in HISTOGRAMS:
            getattr(self, name).add(getattr(other, name))
        for name in ("input_tokens", "output_tokens", "stopped", "failed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Totals(Struct):
    """Everything that one front has counted; what fronts tell each other."""

    requests: dict[Labels, int] = field(default_factory=dict)
    models: dict[str, ModelFigures] = field(default_factory=dict)
    running: int = 0
    waiting: int = 0
    lost: int = 0

    def add(self, other: Totals) -> None:
        """Count what another front counted."""
        for labels, count in other.requests.items():
            self.requests[labels] = self.requests.get(labels, 0) + count
        for name, figures in other.models.items():
            self.models.setdefault(name, ModelFigures()).add(figures)
        self.running, self.waiting = self.running + other.running, self.waiting + other.waiting
        self.lost += other.lost


class Figures:
    """The counters of a front. With `others` at work each leaves its totals in a file, and whoever is scraped adds up."""

    def __init__(self, home: Path, front: int, others: int = 0) -> None:
        self.totals = Totals()
        self.home = home
        self.front = front
        self.others = others

    def count(self, deployment: str, version: str, task: str, code: str) -> None:
        """Count a finished request. A caller may send any path: names that are not served come as ""."""
        requests = self.totals.requests
        labels = (deployment, version, task, code)
        if labels not in requests and len(requests) >= MAX_SERIES:
            labels = ("other", "other", "other", code)
        requests[labels] = requests.get(labels, 0) + 1

    def model(self, deployment: str) -> ModelFigures:
        """The figures of a deployment."""
        models = self.totals.models
        found = models.get(deployment)
        if found is None:
            found = models.setdefault(deployment if len(models) < MAX_SERIES else "other", ModelFigures())
        return found

    def share(self) -> None:
        """Leave the totals where the other fronts look for them."""
        if self.others:
            replace_file(self._path(self.front), msgspec.msgpack.encode(self.totals))

    def all_fronts(self) -> Totals:
        """This front's totals and those that the others left last."""
        everything = msgspec.msgpack.decode(msgspec.msgpack.encode(self.totals), type=Totals)
        for number in range(1, self.others + 2):
            if number != self.front:
                with suppress(FileNotFoundError):
                    everything.add(msgspec.msgpack.decode(self._path(number).read_bytes(), type=Totals))
        return everything

    def _path(self, front: int) -> Path:
        return self.home / "run" / f"figures-{front}.msgpack"

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        registry = CollectorRegistry(auto_describe=False)
        status = read_status(self.home)
        registry.register(Exposition(self.all_fronts(), status.backup_at if status else None))
        return generate_latest(registry)


class Exposition:
    """Totals as prometheus-client wants them from a collector."""

    def __init__(self, totals: Totals, backup_at: float | None = None) -> None:
        self.totals = totals
        self.backup_at = backup_at

    def collect(self) -> Iterator[Metric]:
        """The metrics of CONVENTIONS, each with all its label sets."""
        totals = self.totals
        running, waiting = totals.running, totals.waiting
        yield GaugeMetricFamily("fourfold:num_requests_running", "Requests that an engine has.", value=running)
        yield GaugeMetricFamily("fourfold:num_requests_waiting", "Requests that wait for this tick's end.", value=waiting)
        yield CounterMetricFamily("fourfold_request_records_lost", "Request log records that found no room.", value=totals.lost)
        age = math.inf if self.backup_at is None else max(0.0, time.time() - self.backup_at)
        yield GaugeMetricFamily(
            "fourfold_backup_age_seconds", "Age of the newest backup whose restore was checked; +Inf without one.", value=age
        )
        requests = CounterMetricFamily(
            "fourfold_requests", "Finished requests by outcome.", labels=("deployment", "version", "task", "code")
        )
        for labels, count in totals.requests.items():
            requests.add_metric(labels, count)
        yield requests
        yield from self._counters()
        yield from self._histograms()

    def _counters(self) -> Iterator[Metric]:
        finished = CounterMetricFamily(
            "fourfold:request_success", "Requests that a model finished.", labels=("model_name", "finished_reason")
        )
        read = CounterMetricFamily("fourfold:prompt_tokens", "Input tokens.", labels=("model_name",))
        written = CounterMetricFamily("fourfold:generation_tokens", "Generated tokens.", labels=("model_name",))
        for name, figures in self.totals.models.items():
            finished.add_metric((name, "stop"), figures.stopped)
            finished.add_metric((name, "error"), figures.failed)
            read.add_metric((name,), figures.input_tokens)
            written.add_metric((name,), figures.output_tokens)
        return iter((finished, read, written))

    def _histograms(self) -> Iterator[Metric]:
        for attribute, (name, text) in HISTOGRAMS.items():
            family = HistogramMetricFamily(name, text, labels=("model_name",))
            for model, figures in self.totals.models.items():
                histogram: Histogram = getattr(figures, attribute)
                family.add_metric((model,), histogram.cumulative(), histogram.sum)
            yield family
