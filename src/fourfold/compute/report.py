"""What an evaluation reports: figures with intervals, slices, the worst errors by id, and plots. No text of any document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fourfold.compute import plots
from fourfold.compute.bootstrap import Bootstrap, Interval, finite
from fourfold.compute.metrics import Labelled, Likelihoods, Measured, Metric
from fourfold.compute.metrics.calibration import reliability
from fourfold.compute.metrics.classification import confusion
from fourfold.compute.metrics.spans import spans_of
from fourfold.compute.plots import Row
from fourfold.compute.predictions import Predicted
from fourfold.compute.slices import slices_of
from fourfold.core.progress import Progress

HEADLINES = ("span_f1", "accuracy", "perplexity")  # the first that there is gets the plot of slices
PLOTTED_DOCUMENTS = 5  # a slice of fewer documents is in the table only

Measurements = list[tuple[tuple[str, ...], Measured]]  # doc_ids of the rows of the sums, and what was measured


def measure(predicted: Predicted, metrics: Sequence[Metric]) -> Measurements:
    """Each metric applied to the predictions that it reads."""
    return [
        (predictions.doc_ids, metric(predictions))
        for metric in metrics
        for predictions in predicted.kinds
        if isinstance(predictions, metric.reads)
    ]


def make_report(
    predicted: Predicted, measurements: Measurements, bootstrap: Bootstrap, worst: int, progress: Progress
) -> dict[str, Any]:
    """The report as plain JSON values; `metrics` maps each figure to its value and interval."""
    metrics = {name: interval for _, measured in measurements for name, interval in bootstrap(measured).items()}
    report: dict[str, Any] = {
        "documents": len(predicted.facts),
        "skipped": dict(predicted.skipped),
        "metrics": {name: asdict(interval) for name, interval in metrics.items()},
        "slices": slice_table(predicted, measurements, bootstrap, progress),
    }
    for predictions in predicted.kinds:
        if isinstance(predictions, Labelled):
            report |= labelled_part(predictions, worst)
        elif isinstance(predictions, Likelihoods):
            report |= likelihood_part(predictions, worst)
    if predicted.calibrated is not None:
        report |= {"calibrated": predicted.calibrated, "unknown_labels": dict(predicted.unknown_labels)}
    return report


def slice_table(
    predicted: Predicted, measurements: Measurements, bootstrap: Bootstrap, progress: Progress
) -> dict[str, dict[str, Any]]:
    """For language, length and source: each slice's documents and its figures that are not per label."""
    table: dict[str, dict[str, Any]] = {}
    slices = slices_of(predicted.facts)
    for done, part in enumerate(slices):
        figures = {
            name: asdict(interval)
            for doc_ids, measured in measurements
            for name, interval in bootstrap(measured, part.among(doc_ids)).items()
            if "/" not in name
        }
        table.setdefault(part.by, {})[part.value] = {"documents": len(part.doc_ids), "metrics": figures}
        progress(done + 1, len(slices), "slices")
    return table


def labelled_part(predictions: Labelled, worst: int) -> dict[str, Any]:
    """Counts per label, confusion matrix, reliability bins, and the wrong positions of which the model was surest."""
    counts = confusion(predictions)
    wrong = np.flatnonzero(~predictions.correct)
    surest = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")][:worst]
    return {
        "positions": len(predictions.gold),
        "labels": {
            label: {"gold": int(counts[i].sum()), "predicted": int(counts[:, i].sum()), "right": int(counts[i, i])}
            for i, label in enumerate(predictions.labels)
        },
        "confusion": {"labels": list(predictions.labels), "counts": counts.tolist()},
        "reliability": [asdict(b) for b in reliability(predictions.confidence, predictions.correct)],
        "errors": len(wrong),
        "worst": [
            {
                "doc_id": predictions.doc_ids[document],
                "position": at - int(predictions.bounds[document]),
                "gold": predictions.labels[predictions.gold[at]],
                "predicted": predictions.labels[predictions.predicted[at]],
                "confidence": float(predictions.confidence[at]),
            }
            for at, document in zip(surest.tolist(), predictions.document[surest].tolist())
        ],
    }


def likelihood_part(predictions: Likelihoods, worst: int) -> dict[str, Any]:
    """Totals, and the texts of the highest perplexity."""
    perplexities = text_perplexities(predictions)
    return {
        "positions": int(predictions.tokens.sum()),
        "log10_probability": float(predictions.log10.sum()),
        "unknown_tokens": int(predictions.unknown.sum()),
        "worst": [
            {
                "doc_id": predictions.doc_ids[at],
                "perplexity": finite(perplexities[at]),
                "tokens": int(predictions.tokens[at]),
                "unknown_tokens": int(predictions.unknown[at]),
            }
            for at in np.argsort(-perplexities, kind="stable")[:worst].tolist()
        ],
    }


def text_perplexities(predictions: Likelihoods) -> np.ndarray:
    """Perplexity per token of each text, (D,); tokens are at least 1, since each text has an end."""
    return 10.0 ** -(predictions.log10 / predictions.tokens)


def draw(folder: Path, predicted: Predicted, report: dict[str, Any]) -> list[str]:
    """Write the plots that the predictions allow; returns their file names."""
    level = f"{100 * report['settings']['level']:g} % interval"
    metrics = {name: Interval(**figure) for name, figure in report["metrics"].items()}
    for predictions in predicted.kinds:
        if isinstance(predictions, Labelled):
            draw_labelled(folder, predictions, metrics, level)
        elif isinstance(predictions, Likelihoods):
            draw_likelihoods(folder, predictions, metrics)
    draw_slices(folder, report["slices"], metrics, level)
    return sorted(path.name for path in folder.glob("*.svg"))


def draw_labelled(folder: Path, predictions: Labelled, metrics: dict[str, Interval], level: str) -> None:
    """Confusion matrix, F1 per label and per span type, reliability diagram."""
    labels, counts = predictions.labels, confusion(predictions)
    plots.confusion_matrix(folder / "confusion.svg", labels, counts, "words")
    note = f"bar: F1 · line: {level} · right: F1 and gold"
    if "accuracy" in metrics and "f1/" + labels[0] in metrics:
        rows = [Row(label, metrics[f"f1/{label}"], int(counts[i].sum())) for i, label in enumerate(labels)]
        plots.intervals(folder / "f1.svg", "F1 per label", by_value(rows), "F1", f"{note} words", bars=True)
    if "span_f1" in metrics:
        spans, types = spans_of(predictions.gold, labels, predictions.bounds)
        gold = np.bincount(spans.label, minlength=len(types)).tolist()
        rows = [Row(name, metrics[f"span_f1/{name}"], gold[i]) for i, name in enumerate(types)]
        plots.intervals(folder / "span_f1.svg", "F1 per span type", by_value(rows), "F1", f"{note} spans", bars=True)
    known = " · ".join(
        f"{name} {metrics[key].value:.3f}" for key, name in (("ece", "ECE"), ("brier", "Brier")) if key in metrics
    )
    bins = reliability(predictions.confidence, predictions.correct)
    plots.reliability_diagram(folder / "reliability.svg", bins, f"{known} · {len(predictions.gold):,} words".lstrip(" ·"))


def draw_likelihoods(folder: Path, predictions: Likelihoods, metrics: dict[str, Interval]) -> None:
    """Histogram of the texts' perplexities."""
    texts, tokens = len(predictions.doc_ids), int(predictions.tokens.sum())
    unknown = 100 * predictions.unknown.sum() / tokens
    note = f"{texts:,} texts · {tokens:,} tokens · {unknown:.1f} % of them out of vocabulary"
    corpus = float(10.0 ** -(predictions.log10.sum() / tokens))
    plots.perplexity_histogram(folder / "perplexity.svg", text_perplexities(predictions), corpus, note)


def draw_slices(folder: Path, slices: dict[str, dict[str, Any]], metrics: dict[str, Interval], level: str) -> None:
    """The headline figure of each slice that has enough documents."""
    headline = next((name for name in HEADLINES if name in metrics), None)
    if headline is None:
        return
    rows = [
        Row(f"{by}: {value}", Interval(**part["metrics"][headline]), part["documents"])
        for by, values in slices.items()
        for value, part in values.items()
        if part["documents"] >= PLOTTED_DOCUMENTS
    ]
    title = f"{headline.replace('_', ' ').capitalize()} by slice".replace("f1", "F1")
    note = f"dot: {headline.replace('_', ' ')} · line: {level} · right: figure and documents"
    plots.intervals(folder / "slices.svg", title, rows, headline.replace("_", " "), note, bars=False)


def by_value(rows: Sequence[Row]) -> list[Row]:
    """Best first; those without a figure last."""
    return sorted(rows, key=lambda row: (row.interval.value is None, -(row.interval.value or 0.0), row.name))


def write(report: dict[str, Any], path: Path) -> None:
    """The report as readable JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
