"""How well detectors find personal data: precision and recall by entity, on texts whose personal data is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow.parquet as pq

from fourfold.core.build import settings_of
from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.data.dataset import Dataset
from fourfold.data.deidentify import build_detectors
from fourfold.data.detectors import Detector, Finding
from fourfold.data.gold_spans import spans_of
from fourfold.data.on_versions import files_of, opened, pinned
from fourfold.data.scrub import find
from fourfold.storage.ledger import Ledger

LISTED = 200  # missed and wrong spans that a report names, of each kind
BATCH = 1000
Spec = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Quality:
    """Counts of one entity. A finding is right if it overlaps a gold span of its entity, a span is found if a finding does."""

    gold: int
    found: int  # of gold
    findings: int
    right: int  # of findings

    @property
    def recall(self) -> float:
        """Share of gold spans that were found; 1 if there are none."""
        return self.found / self.gold if self.gold else 1.0

    @property
    def precision(self) -> float:
        """Share of findings that were right; 1 if there are none."""
        return self.right / self.findings if self.findings else 1.0


class Tally:
    """Counts of all entities, and the first spans that were missed or found where there is nothing, by document."""

    def __init__(self, same: Mapping[str, str]) -> None:
        self._same = same
        self._counts: dict[str, Counter[str]] = {}
        self.missed: list[dict[str, Any]] = []
        self.wrong: list[dict[str, Any]] = []

    def add(self, doc_id: str, findings: Iterable[Finding], gold: Iterable[Finding]) -> None:
        """One more text."""
        theirs, ours = [_renamed(f, self._same) for f in gold], [_renamed(f, self._same) for f in findings]
        for kind, these, others, listed in (("gold", theirs, ours, self.missed), ("findings", ours, theirs, self.wrong)):
            for one in these:
                met = any(_overlap(one, other) for other in others)
                count = self._counts.setdefault(one.entity, Counter())
                count[kind] += 1
                count[f"{kind} met"] += met
                if not met and len(listed) < LISTED:
                    listed.append({"doc_id": doc_id, "start": one.start, "end": one.end, "entity": one.entity})

    def quality(self) -> dict[str, Quality]:
        """By entity, in order of name."""
        return {
            entity: Quality(count["gold"], count["gold met"], count["findings"], count["findings met"])
            for entity, count in sorted(self._counts.items())
        }


def detection_quality(
    detectors: Sequence[Detector],
    texts: Sequence[str],
    gold: Sequence[Iterable[Finding]],
    *,
    same: Mapping[str, str] | None = None,
) -> dict[str, Quality]:
    """Quality by entity, in order of name. `same` maps names that count as one: {"CN_MOBILE": "PHONE_NUMBER"}.

    Where findings of detectors overlap the earlier detector's counts, as in `deidentify`.
    """
    tally = Tally(same or {})
    for i, findings in enumerate(find(detectors, texts)):
        tally.add(str(i), findings, gold[i])
    return tally.quality()


def detection(
    ledger: Ledger,
    actor: Actor,
    name: str,
    dataset: Version,
    *,
    detectors: Sequence[Spec] = ("patterns",),
    spans: str = "spans",
    split: str | None = None,
    same: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Version:
    """A report version: what `detectors` find in the labelled texts of `dataset` (or of a split), by entity.

    `spans`: the column of labels (data/gold_spans.py says in which forms). The report names missed and wrong places by document
    id and offset, never by text. Raises BadInput if no row is labelled.
    """
    parts, on = pinned(ledger, build_detectors(detectors))
    spec = {
        "detectors": [{detector: settings_of(part)} for detector, part in parts],
        "spans": spans,
        "split": split,
        "same": dict(same or {}),
    }
    with ledger.run(
        "detection", kind="report", name=name, spec=spec, inputs=[dataset, *on], actor=actor, progress=progress
    ) as run:
        files = files_of(ledger, on)
        working = [opened(part, files) for _, part in parts]
        tally, rows, unlabelled = Tally(same or {}), 0, 0
        for batch in _batches(Dataset(ledger.materialise(dataset), split), spans):
            labelled = [(row, gold) for row in batch if (gold := spans_of(row, spans)) is not None]
            unlabelled += len(batch) - len(labelled)
            for (row, gold), findings in zip(labelled, find(working, [row["text"] for row, _ in labelled])):
                tally.add(row["doc_id"], findings, gold)
            rows += len(labelled)
            run.progress(rows + unlabelled, None, "rows")
        if not rows:
            raise BadInput(
                f"No row of {dataset.ref} is labelled in {spans!r}.", hint="Name the column of spans, or annotate some rows."
            )
        figures = _figures(tally.quality())
        about = {
            "dataset": dataset.ref,
            "detectors": [name for name, _ in parts],
            "versions": [v.ref for v in on],
            "rows": rows,
        }
        report = {**about, "unlabelled": unlabelled, "entities": figures, "missed": tally.missed, "wrong": tally.wrong}
        (run.folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        metrics = {f"{kind}/{entity}": one[kind] for entity, one in figures.items() for kind in ("recall", "precision", "f1")}
        run.meta.update({**about, "split": split, "unlabelled": unlabelled, "entities": figures, "metrics": metrics})
        run.metrics(metrics)
    return run.version


def _batches(dataset: Dataset, spans: str) -> Iterator[list[dict[str, Any]]]:
    if spans in ("text", "doc_id"):
        raise BadSpec(f"detection.spans: {spans!r} holds no labels.", hint="Name the column of spans or tags.")
    for fragment in dataset.fragments():
        beside = [name for name in ("doc_id", "text", "tokens") if name in pq.read_schema(fragment.path).names]
        for part in fragment.table([*beside, spans]).to_batches(BATCH):
            yield [{**row, "text": row["text"] or ""} for row in part.to_pylist()]


def _figures(quality: Mapping[str, Quality]) -> dict[str, dict[str, Any]]:
    found = {}
    for entity, q in quality.items():
        f1 = 2 * q.precision * q.recall / (q.precision + q.recall) if q.found and q.right else 0.0
        rates = {"recall": round(q.recall, 6), "precision": round(q.precision, 6), "f1": round(f1, 6)}
        found[entity] = {"gold": q.gold, "found": q.found, "findings": q.findings, "right": q.right, **rates}
    return found


def _renamed(finding: Finding, same: Mapping[str, str]) -> Finding:
    return Finding(finding.start, finding.end, same.get(finding.entity, finding.entity), finding.score)


def _overlap(one: Finding, other: Finding) -> bool:
    return one.entity == other.entity and one.start < other.end and other.start < one.end
