"""Compare two models on the same rows: the difference of every figure, and whether chance explains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fourfold.compute import plots
from fourfold.compute.bootstrap import Bootstrap, Interval, bounds, finite
from fourfold.compute.evaluate import Evaluation, choose_metrics, look_at_test, notes, predict, worn_out
from fourfold.compute.metrics import Labelled, Likelihoods, Measured
from fourfold.compute.predictions import Predicted
from fourfold.compute.report import HEADLINES, Measurements, measure, write
from fourfold.compute.rows import check_kind, count_rows, select
from fourfold.compute.slices import slices_of
from fourfold.core.build import build_part, settings_of
from fourfold.core.errors import BadInput
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.data.dataset import Dataset
from fourfold.storage.ledger import Ledger

LESS_IS_BETTER = ("perplexity", "perplexity_known", "bits_per_character", "oov_rate", "ece", "brier")


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of both models on the same documents, second minus first, its interval, and p; None where undefined.

    `p` is two-sided: twice the share of resamples in which the difference is zero or of the other sign, at least
    1 ÷ resamples (paired bootstrap; Koehn 2004).
    """

    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None


def compare(
    ledger: Ledger,
    actor: Actor,
    first: Version,
    second: Version,
    dataset: Version,
    split: str = "dev",
    name: str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    final: bool = False,
    progress: Progress = silent,
) -> Version:
    """The report version (`<first>-compared` if not named) of two models on one split of a dataset; `split` may be `all`.

    Both are judged on the documents that both can be judged on; test rows are read only if this comparison is `final`. Raises
    BadSpec for a wrong setting, BadInput if the models have no figure or no document in common, or are one and the same.
    """
    for model in (first, second):
        check_kind(model, "model", "compare")
    check_kind(dataset, "dataset", "compare")
    if first.ref == second.ref:
        raise BadInput(f"{first.ref} cannot be compared with itself.", hint=f"Run: fourfold versions {first.name}")
    evaluation = build_part(Evaluation, settings or {}, path="compare")
    metrics = choose_metrics(evaluation)
    spec = {"split": split, **settings_of(evaluation), "metrics": {key: settings_of(metric) for key, metric in metrics.items()}}
    spec |= {"final": True} if final else {}
    name = name or f"{first.name}-compared"
    inputs = [first, second, dataset]
    with ledger.run("compare", kind="report", name=name, spec=spec, inputs=inputs, actor=actor, progress=progress) as run:
        whole = Dataset(ledger.materialise(dataset))
        counts = count_rows(whole)
        rows = select(whole, counts, split, of=dataset, path="compare")
        looked = look_at_test(ledger, dataset, counts, split, final)
        both = [predict(ledger, model, rows, counts[split], evaluation.batch, run.progress) for model in (first, second)]
        pairs = paired(*(measure(predicted, list(metrics.values())) for predicted in both))
        if not pairs:
            raise BadInput(
                f"{first.ref} and {second.ref} have no figure in common on {dataset.ref}.",
                hint="Compare models of the same task, on rows that both can be judged on.",
            )
        bootstrap = Bootstrap(evaluation.resamples, evaluation.level, evaluation.seed)
        differences = {key: d for pair in pairs for key, d in differences_of(bootstrap, pair).items()}
        about = {"models": [first.ref, second.ref], "dataset": dataset.ref, "split": split}
        about["notes"] = [f"{model.ref}: {note}" for model in (first, second) for note in notes(model, dataset, split)]
        if looked is not None:
            about |= {"looks": len(looked) + 1, "notes": [*about["notes"], *worn_out(dataset, looked)]}
        about["verdict"] = verdict(first.ref, second.ref, differences, evaluation.level)
        report = {
            **about,
            "settings": spec,
            "documents": len(pairs[0].doc_ids),
            "differences": {key: asdict(value) for key, value in differences.items()},
            "slices": slice_differences(bootstrap, pairs, both[0]),
            **disagreements(*both, evaluation.worst),
        }
        drawn = draw(run.folder, report, differences, evaluation.level)
        write(report, run.folder / "report.json")
        plain = {key: value for key, value in report["differences"].items() if "/" not in key}
        run.meta.update({**about, "documents": report["documents"], "plots": drawn, "differences": plain})
    return run.version


@dataclass(frozen=True, slots=True)
class Pair:
    """One metric of both models over the same documents, in the same order."""

    doc_ids: tuple[str, ...]
    first: Measured
    second: Measured


def paired(first: Measurements, second: Measurements) -> list[Pair]:
    """The measurements that both have figures of, over the documents that both have."""
    pairs = []
    for ours, mine in first:
        other = next(((ids, m) for ids, m in second if m.figures().keys() & mine.figures().keys()), None)
        if other is None:
            continue
        theirs, yours = other
        place = {doc_id: at for at, doc_id in enumerate(theirs)}
        kept = [(at, place[doc_id]) for at, doc_id in enumerate(ours) if doc_id in place]
        if kept:
            a, b = np.array(kept).T
            parts = Measured(mine.sums[a], mine.of_total), Measured(yours.sums[b], yours.of_total)
            pairs.append(Pair(tuple(ours[at] for at in a), *parts))
    return pairs


def differences_of(bootstrap: Bootstrap, pair: Pair, of: NDArray[np.bool_] | None = None) -> dict[str, Difference]:
    """The difference of each figure that both have, over the documents `of` (booleans, (D,)) or all.

    Both models see the same draws of documents, so what makes a document hard for both cancels out.
    """
    ours, theirs = (m.sums if of is None else m.sums[of] for m in (pair.first, pair.second))
    mine, yours = pair.first.of_total(ours.sum(axis=0)), pair.second.of_total(theirs.sum(axis=0))
    names = [name for name in mine if name in yours]
    drawn: dict[str, NDArray[np.float64]] = {}
    if len(ours) and bootstrap.resamples:
        random = np.random.default_rng(bootstrap.seed)
        totals = [(weights @ ours, weights @ theirs) for weights in bootstrap.weights(len(ours), random)]
        before, after = (np.concatenate(part) for part in zip(*totals))
        a, b = pair.first.of_total(before), pair.second.of_total(after)
        drawn = {name: np.asarray(b[name] - a[name]) for name in names}
    low, high = (1 - bootstrap.level) / 2, (1 + bootstrap.level) / 2
    found = {}
    for name in names:
        interval = bounds(drawn[name], low, high) if name in drawn else (None, None)
        values = finite(mine[name]), finite(yours[name]), finite(yours[name] - mine[name])
        found[name] = Difference(*values, *interval, chance(drawn.get(name)))
    return found


def chance(drawn: NDArray[np.float64] | None) -> float | None:
    """Two-sided p of resampled differences."""
    known = drawn[np.isfinite(drawn)] if drawn is not None else np.empty(0)
    if not len(known):
        return None
    tail = min(np.mean(known <= 0), np.mean(known >= 0))
    return float(min(1.0, max(2 * tail, 1 / len(known))))


def verdict(first: str, second: str, differences: Mapping[str, Difference], level: float) -> str:
    """What the headline figure says, in words."""
    name = next((key for key in HEADLINES if key in differences), next(iter(differences)))
    d = differences[name]
    if d.difference is None or d.low is None or d.high is None:
        return f"{name} says nothing: it is undefined on these rows, or was not drawn again."
    figures = f"{name} {d.first:.4g} → {d.second:.4g}, {100 * level:g} % of the difference lies in {d.low:+.3g} … {d.high:+.3g}"
    if d.low <= 0 <= d.high:
        return f"Chance may explain the difference between {first} and {second}: {figures}."
    better = second if (d.difference > 0) != (name in LESS_IS_BETTER) else first
    return f"{better} is better: {figures}."


def slice_differences(bootstrap: Bootstrap, pairs: Sequence[Pair], predicted: Predicted) -> dict[str, dict[str, Any]]:
    """For language, length and source: documents of each slice, and the differences that are not per label."""
    table: dict[str, dict[str, Any]] = {}
    for part in slices_of(predicted.facts):
        found = {
            name: asdict(difference)
            for pair in pairs
            for name, difference in differences_of(bootstrap, pair, part.among(pair.doc_ids)).items()
            if "/" not in name
        }
        documents = int(part.among(pairs[0].doc_ids).sum())
        if documents:
            table.setdefault(part.by, {})[part.value] = {"documents": documents, "differences": found}
    return table


def disagreements(first: Predicted, second: Predicted, most: int) -> dict[str, Any]:
    """Where one model is right and the other wrong, surest errors first; or the texts whose probability differs most."""
    for mine in first.kinds:
        for yours in second.kinds:
            if isinstance(mine, Labelled) and isinstance(yours, Labelled):
                return _labels_apart(mine, yours, most)
            if isinstance(mine, Likelihoods) and isinstance(yours, Likelihoods):
                return _texts_apart(mine, yours, most)
    return {}


def _labels_apart(mine: Labelled, yours: Labelled, most: int) -> dict[str, Any]:
    theirs = {doc_id: (int(yours.bounds[d]), int(yours.bounds[d + 1])) for d, doc_id in enumerate(yours.doc_ids)}
    counts = {"both": 0, "first": 0, "second": 0, "neither": 0}
    apart: list[dict[str, Any]] = []
    for d, doc_id in enumerate(mine.doc_ids):
        start, end = int(mine.bounds[d]), int(mine.bounds[d + 1])
        other = theirs.get(doc_id)
        if other is None or other[1] - other[0] != end - start:
            continue
        for at in range(end - start):
            a, b = start + at, other[0] + at
            right = bool(mine.correct[a]), bool(yours.correct[b])
            counts[{(True, True): "both", (True, False): "first", (False, True): "second"}.get(right, "neither")] += 1
            if right[0] != right[1]:
                wrong = yours.confidence[b] if right[0] else mine.confidence[a]
                labels = mine.labels[mine.gold[a]], mine.labels[mine.predicted[a]], yours.labels[yours.predicted[b]]
                found = dict(zip(("gold", "first", "second"), labels))
                apart.append({"doc_id": doc_id, "position": at, **found, "confidence": float(wrong)})
    apart.sort(key=lambda row: -row["confidence"])
    return {"right": counts, "apart": apart[:most]}


def _texts_apart(mine: Likelihoods, yours: Likelihoods, most: int) -> dict[str, Any]:
    theirs = dict(zip(yours.doc_ids, yours.log10.tolist()))
    rows = [
        {"doc_id": doc_id, "first": log10, "second": theirs[doc_id], "characters": characters}
        for doc_id, log10, characters in zip(mine.doc_ids, mine.log10.tolist(), mine.characters.tolist())
        if doc_id in theirs
    ]
    rows.sort(key=lambda row: -abs(row["second"] - row["first"]) / max(1, row["characters"]))
    return {"apart": rows[:most]}


def draw(folder: Path, report: dict[str, Any], differences: Mapping[str, Difference], level: float) -> list[str]:
    """Write the plots of differences: all figures but those per label, and the headline figure of each slice."""
    note = f"dot: {' minus '.join(reversed(report['models']))} · line: {100 * level:g} % interval"
    headline = next((key for key in HEADLINES if key in differences), None)
    rows = [plots.Row(key, _interval(asdict(d)), report["documents"]) for key, d in differences.items() if "/" not in key]
    scale = [row for row in rows if "perplexity" not in row.name]  # of another size than what lies between 0 and 1
    plots.differences(folder / "differences.svg", "Difference of each figure", scale or rows, "difference", note)
    if headline is not None:
        shown = headline.replace("_", " ")
        parts = [
            plots.Row(f"{by}: {value}", _interval(part["differences"][headline]), part["documents"])
            for by, values in report["slices"].items()
            for value, part in values.items()
            if headline in part["differences"]
        ]
        title = f"Difference of {shown} by slice"
        plots.differences(folder / "slices.svg", title, parts, shown, note)
    return sorted(path.name for path in folder.glob("*.svg"))


def _interval(difference: Mapping[str, Any]) -> Interval:
    return Interval(difference["difference"], difference["low"], difference["high"])
