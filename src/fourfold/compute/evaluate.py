"""Evaluate a model on a dataset version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from fourfold.compute.bootstrap import Bootstrap
from fourfold.compute.families import FAMILIES
from fourfold.compute.metrics import METRICS, Metric
from fourfold.compute.predictions import Gold, Predicted, predict_likelihoods, predict_tags
from fourfold.compute.report import draw, make_report, measure, write
from fourfold.compute.rows import ALL, check_kind, count_rows, select
from fourfold.core.build import build_part, settings_of
from fourfold.core.errors import BadInput
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.data.dataset import Dataset
from fourfold.storage.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Settings of an evaluation."""

    metrics: tuple[Any, ...] = ()  # specs of METRICS; none: all that read what the model's task gives
    resamples: int = 1000  # of the bootstrap over documents
    level: float = 0.95  # of the intervals
    seed: int = 0
    worst: int = 50  # errors that the report names
    batch: int = 256  # documents that the model is given at once

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"level is a share between 0 and 1, not {self.level}")
        if self.resamples < 0 or self.worst < 0 or self.batch < 1:
            raise ValueError("resamples and worst are at least 0, batch at least 1")


def evaluate(
    ledger: Ledger,
    actor: Actor,
    model: Version,
    dataset: Version,
    split: str = "dev",
    name: str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    final: bool = False,
    progress: Progress = silent,
) -> Version:
    """The report version (`<model>-report` if not named) of a model on one split of a dataset; `split` may be `all`.

    Test rows are read only if this evaluation is `final`. Its meta holds what gates and queries read: `metrics` (figure →
    value), `model`, `dataset`, `split`, and `looks`: the how-manieth look at the test rows this was. Raises BadSpec for a wrong
    setting, BadInput if the split is empty, kept for the end, holds no labels, or none that the model knows.
    """
    check_kind(model, "model", "evaluate")
    check_kind(dataset, "dataset", "evaluate")
    evaluation = build_part(Evaluation, settings or {}, path="evaluate")
    metrics = choose_metrics(evaluation)
    spec = {"split": split, **settings_of(evaluation), "metrics": {key: settings_of(metric) for key, metric in metrics.items()}}
    spec |= {"final": True} if final else {}
    name = name or f"{model.name}-report"
    with ledger.run(
        "evaluate", kind="report", name=name, spec=spec, inputs=[model, dataset], actor=actor, progress=progress
    ) as run:
        whole = Dataset(ledger.materialise(dataset))
        counts = count_rows(whole)
        rows = select(whole, counts, split, of=dataset, path="evaluate")
        looked = look_at_test(ledger, dataset, counts, split, final)
        predicted = predict(ledger, model, rows, counts[split], evaluation.batch, run.progress)
        measurements = measure(predicted, list(metrics.values()))
        bootstrap = Bootstrap(evaluation.resamples, evaluation.level, evaluation.seed)
        about = {"model": model.ref, "dataset": dataset.ref, "split": split, "notes": notes(model, dataset, split)}
        if looked is not None:
            about |= {"looks": len(looked) + 1, "notes": [*about["notes"], *worn_out(dataset, looked)]}
        report = {**about, "settings": spec, **make_report(predicted, measurements, bootstrap, evaluation.worst, run.progress)}
        drawn = draw(run.folder, predicted, report)
        write(report, run.folder / "report.json")
        figures = {key: figure["value"] for key, figure in report["metrics"].items() if figure["value"] is not None}
        run.metrics({key: value for key, value in figures.items() if "/" not in key})
        facts = {
            key: report[key] for key in ("documents", "positions", "calibrated", "skipped", "unknown_labels") if key in report
        }
        run.meta.update({**about, **facts, "plots": drawn, "metrics": figures})
    return run.version


def choose_metrics(evaluation: Evaluation) -> dict[str, Metric]:
    """The metrics that were asked for, or all of the table, by name."""
    chosen = evaluation.metrics or METRICS.names()
    built = [METRICS.build(spec, path=f"evaluate.metrics[{i}]") for i, spec in enumerate(chosen)]
    return {spec if isinstance(spec, str) else next(iter(spec)): metric for spec, metric in zip(chosen, built)}


def predict(ledger: Ledger, model: Version, rows: Dataset, total: int, batch: int, progress: Progress) -> Predicted:
    """Predictions for the first task of the model that has metrics."""
    family = FAMILIES.build(model.meta["spec"]["family"], path=model.ref)
    with closing(family.load(ledger.materialise(model))) as loaded:
        if "tag" in model.meta["tasks"]:
            columns, known = model.meta.get("columns", ()), model.meta["labels"]
            gold = Gold(family.tokens, family.tags, tuple(columns), frozenset(known))
            return predict_tags(loaded, rows, gold, batch=batch, total=total, progress=progress)
        if "score" in model.meta["tasks"]:
            return predict_likelihoods(loaded, rows, column=family.column, total=total, progress=progress)
    raise BadInput(
        f"There are no metrics for {model.ref}, which serves {', '.join(model.meta['tasks'])}.",
        hint="Models that serve tag or score can be evaluated.",
    )


def look_at_test(ledger: Ledger, dataset: Version, counts: Mapping[str, int], split: str, final: bool) -> list[Version] | None:
    """The reports that looked at the dataset's test rows before; None if this one does not. Raises BadInput unless `final`."""
    if split not in ("test", ALL) or not counts["test"]:
        return None
    if not final:
        raise BadInput(
            f"The {counts['test']} test rows of {dataset.ref} are kept for the end.",
            hint="Judge on --split dev while you choose; then once on the test rows, with --final. Each look is recorded.",
        )
    return [report for report in ledger.outputs(dataset) if report.kind == "report" and report.meta.get("looks")]


def worn_out(dataset: Version, looked: Sequence[Version]) -> list[str]:
    """What earlier looks at the test rows mean for this one."""
    if not looked:
        return []
    models = list(dict.fromkeys(ref for report in looked for ref in report.meta.get("models") or [report.meta["model"]]))
    named = ", ".join(models[:8]) + (" …" if len(models) > 8 else "")
    times = "once" if len(looked) == 1 else f"{len(looked)} times"
    return [f"The test rows of {dataset.ref} were looked at {times} before, for {named}: choices made since then fit them."]


def notes(model: Version, dataset: Version, split: str) -> list[str]:
    """What a reader must know before believing the figures: which of these rows the model has seen."""
    found = []
    seen = model.meta["spec"]["split"]
    same = dataset.ref == model.meta["dataset"]
    if same and (seen == split or "all" in (seen, split)):
        found.append("The model was trained on rows of this split: its figures say how well it remembers.")
    held_out, its_split = (model.meta["dev"], None) if model.meta["dev"] else (model.meta["dataset"], "dev")
    if model.meta.get("calibration") and dataset.ref == held_out and (its_split is None or split in (its_split, "all")):
        found.append(
            "The model's confidence was calibrated on rows of this split: ECE and Brier are lower here than on others."
        )
    return found
