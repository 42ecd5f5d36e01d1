"""What a tour says of each stage, in one line: what went in, what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fourfold.application.results import StageOutcome

KINDS = 4  # of personal data that a line names
FIGURES = ("perplexity", "oov_rate", "accuracy", "span_f1", "segmentation_f1", "word_tag_f1", "macro_f1", "ece")
MOST_FIGURES = 4


def what(outcome: StageOutcome) -> str:
    """What a stage did, such as `518 → 498 documents; dropped 12 duplicate, 8 short`."""
    return LINES[outcome.verb](outcome.figures)


def shown(text: str) -> str:
    """The text in one line without control characters: a document may hold some that would paint the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _counts(counts: Mapping[str, int], most: int | None = None) -> str:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = ", ".join(f"{n:,} {name}" for name, n in ordered[:most])
    left = len(ordered) - (most or len(ordered))
    return shown + (f", {left} more kinds" if left > 0 else "")


def _n(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _collected(f: Mapping[str, Any]) -> str:
    encodings = " + ".join(sorted(f["encodings"], key=lambda e: -f["encodings"][e]))
    left_out = f"; left out {_counts(f['drops'])}" if f["drops"] else ""
    return f"{_n(f['files'], 'file')} of {size(f['size_bytes_raw'])}, {encodings} → {_n(f['rows'], 'document')}{left_out}"


def _cleaned(f: Mapping[str, Any]) -> str:
    dropped = f"; dropped {_counts(f['drops'])}" if f["drops"] else ""
    texts = sum(columns.get("text", 0) for columns in f["changes"].values())
    return f"{f['rows_before']:,} → {_n(f['rows'], 'document')}{dropped}" + (f"; rewrote {_n(texts, 'text')}" if texts else "")


def _deidentified(f: Mapping[str, Any]) -> str:
    found = {entity: sum(columns.values()) for entity, columns in f["findings"].items()}
    hidden = f"; masked {sum(found.values()):,}: {_counts(found, KINDS)}" if found else "; no personal data found"
    return f"{_n(f['rows'], 'document')}{hidden}"


def _trained(f: Mapping[str, Any]) -> str:
    rows, training = f["rows"], f["training"]
    held_out = f" (+ {rows['dev']:,} held out)" if rows["dev"] else ""
    made = f" → {_n(sum(training['ngrams']), 'n-gram')}" if "ngrams" in training else ""
    return f"{f['family']} on {_n(rows['train'], 'document')}{held_out}, {_n(training['tokens'], 'token')}{made}"


def _evaluated(f: Mapping[str, Any]) -> str:
    figures = [f"{name.replace('_', ' ')} {number(f['metrics'][name])}" for name in FIGURES if name in f["metrics"]]
    return f"{_n(f['documents'], 'document')} of {f['split']}: {', '.join(figures[:MOST_FIGURES])}"


def number(value: float) -> str:
    """A figure with three significant digits or so."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def _promoted(f: Mapping[str, Any]) -> str:
    passed = [_gate(gate, value) for gate, value in f["gates"].items()]
    return f"{f['version']}, " + (", ".join(passed) if passed else "no gate stated")


def _gate(gate: str, value: float | None) -> str:
    metric, bound = gate.split(maxsplit=1) if " " in gate else (gate, "")
    return f"{metric.replace('_', ' ')} {number(value)} {bound}" if value is not None else gate


def _deployed(f: Mapping[str, Any]) -> str:
    return f"{', '.join(f['versions'])} answers {', '.join(f['tasks'])}"


LINES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "collect": _collected,
    "clean": _cleaned,
    "deidentify": _deidentified,
    "train": _trained,
    "evaluate": _evaluated,
    "promote": _promoted,
    "deploy": _deployed,
}
