"""How far annotators agree: Cohen's kappa for two, Krippendorff's alpha for any number with gaps, F1 of spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations

from fourfold.data.annotation_results import Agreement, Pair

Rated = Mapping[Hashable, str]  # unit → category, of one person


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> tuple[float, float, float | None]:
    """Observed and expected agreement of two people, and kappa (Cohen 1960); None where chance alone agrees on everything."""
    n = len(pairs)
    observed = sum(a == b for a, b in pairs) / n
    left, right = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    expected = sum(left[label] * right[label] for label in left) / n**2
    return observed, expected, None if expected == 1 else (observed - expected) / (1 - expected)


def krippendorffs_alpha(units: Iterable[Sequence[str]]) -> float | None:
    """Alpha for nominal data: each unit has the categories that people gave it; units with one are passed over.

    Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability": 1 - observed over expected disagreement. None where all
    categories are the same, or nothing can be paired.
    """
    totals: Counter[str] = Counter()
    disagreed = 0.0
    for categories in units:
        if len(categories) < 2:
            continue
        counts = Counter(categories)
        totals += counts
        m = len(categories)
        disagreed += (m * m - sum(c * c for c in counts.values())) / (m - 1)
    n = totals.total()
    by_chance = n * n - sum(c * c for c in totals.values())
    return None if by_chance == 0 else 1 - (n - 1) * disagreed / by_chance


def span_f1(left: Mapping[Hashable, frozenset[Hashable]], right: Mapping[Hashable, frozenset[Hashable]]) -> float | None:
    """F1 of one person's spans against the other's, over the documents of both (Hripcsak & Rothschild 2005: with ever more text
    outside all spans, kappa becomes this). None where neither marked any."""
    both = left.keys() & right.keys()
    total = sum(len(left[d]) + len(right[d]) for d in both)
    return 2 * sum(len(left[d] & right[d]) for d in both) / total if total else None


def measure(
    people: Mapping[str, Rated], spans: Mapping[str, Mapping[Hashable, frozenset[Hashable]]], documents: int, same: int
) -> Agreement:
    """All figures of a project: `people` are their decisions, `spans` (of a question about spans) their spans by document."""
    by_unit: dict[Hashable, list[str]] = {}
    for rated in people.values():
        for unit, category in rated.items():
            by_unit.setdefault(unit, []).append(category)
    units = [categories for categories in by_unit.values() if len(categories) > 1]
    labels = sorted({category for categories in units for category in categories})
    one = len(labels) > 2
    by_label = {k: krippendorffs_alpha([["yes" if c == k else "no" for c in u] for u in units]) for k in labels} if one else {}
    return Agreement(documents, same, krippendorffs_alpha(units), by_label, list(_pairs(people, spans)))


def _pairs(people: Mapping[str, Rated], spans: Mapping[str, Mapping[Hashable, frozenset[Hashable]]]) -> Iterable[Pair]:
    for a, b in combinations(sorted(people), 2):
        both = [(people[a][unit], people[b][unit]) for unit in people[a] if unit in people[b]]
        if both:
            f1 = span_f1(spans[a], spans[b]) if a in spans and b in spans else None
            yield Pair(a, b, len(both), *cohens_kappa(both), f1)
