"""How well detectors find personal data: precision and recall by entity, on texts whose personal data is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fourfold.data.detectors import Detector, Finding


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


def detection_quality(
    detectors: Sequence[Detector],
    texts: Sequence[str],
    gold: Sequence[Iterable[Finding]],
    *,
    same: Mapping[str, str] | None = None,
) -> dict[str, Quality]:
    """Quality by entity, in order of name. `same` maps names that count as one: {"CN_MOBILE": "PHONE_NUMBER"}."""
    counts: dict[str, Counter[str]] = {}
    for i, text in enumerate(texts):
        findings = [_renamed(f, same or {}) for detector in detectors for f in detector([text])[0]]
        spans = [_renamed(f, same or {}) for f in gold[i]]
        for kind, ours, theirs in (("gold", spans, findings), ("findings", findings, spans)):
            for one in ours:
                count = counts.setdefault(one.entity, Counter())
                count[kind] += 1
                count[f"{kind} met"] += any(_overlap(one, other) for other in theirs)
    return {
        entity: Quality(count["gold"], count["gold met"], count["findings"], count["findings met"])
        for entity, count in sorted(counts.items())
    }


def _renamed(finding: Finding, same: Mapping[str, str]) -> Finding:
    return Finding(finding.start, finding.end, same.get(finding.entity, finding.entity), finding.score)


def _overlap(one: Finding, other: Finding) -> bool:
    return one.entity == other.entity and one.start < other.end and other.start < one.end
