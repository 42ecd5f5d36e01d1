"""Interpolated modified Kneser-Ney (Chen & Goodman 1999, eq. 23-24), as KenLM's lmplz computes it (Heafield et al. 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fourfold.compute.ngram.count import CONTEXT, COUNT, WORD, Counts, Workspace, grouped, pack
from fourfold.compute.ngram.text import BEGIN
from fourfold.core.errors import BadInput

ROWS = 1 << 20  # at once: a constant, so that sums of floats do not depend on the memory setting
NO_BACKOFF = 1e-99  # what ARPA calls log10 of nothing


class TooFewCounts(BadInput):
    """A discount of modified Kneser-Ney is undefined or out of range."""

    code: ClassVar[str] = "too_few_counts"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class Tables:
    """A model: for each order n (list place n-1) its n-grams in lexicographic order of their words.

    `keys`: int64, context row << bits | word (order 1: the word). `log10`: float32 log10 probability of the last word after the
    others. `backoff`: float32 log10 weight of the n-gram as a context, for all orders but the highest.
    """

    words: list[str]
    keys: list[np.ndarray]
    log10: list[np.ndarray]
    backoff: list[np.ndarray]


def estimate(
    counts: Counts, min_count: Sequence[int], fallback: tuple[float, float, float] | None, space: Workspace
) -> tuple[Tables, list[tuple[float, float, float]]]:
    """The model of `counts`, and the discounts of each order for counts 1, 2 and 3 or more.

    Order n leaves out n-grams that occur less than `min_count[n - 1]` times (order 1 none). `fallback` replaces discounts
    that the counts do not give. Raises TooFewCounts where they do not and it is None.
    """
    order = len(counts.levels)
    suffixes, adjusted = _link(counts, space)
    discounts = [discount(a, n, fallback) for n, a in enumerate(adjusted, 1)]
    kept = [level[COUNT] >= least for level, least in zip(counts.levels, min_count)]
    kept[0][:] = True  # a word of the vocabulary stays, `<unk>` that nobody wrote among them
    probability = _unigrams(adjusted[0], discounts[0])
    log10, backoff = [_log10(probability, kept[0])], []
    for n in range(2, order + 1):
        context = counts.levels[n - 1][CONTEXT]
        weight, total = _contexts(context, adjusted[n - 1], kept[n - 1], discounts[n - 1], len(probability))
        backoff.append(space.keep(_log10(weight, kept[n - 2])))
        above = space.empty((len(context),), np.float64)
        table = np.array([0.0, *discounts[n - 1]])
        for rows in _slices(len(context)):
            a, c = adjusted[n - 1][rows], context[rows]
            above[rows] = (a - table[np.minimum(a, 3)]) / total[c] + weight[c] * probability[suffixes[n - 1][rows]]
        probability = above
        log10.append(space.keep(_log10(probability, kept[n - 1])))
    return Tables(counts.words, _keys(counts, kept, space), log10, backoff), discounts


def _link(counts: Counts, space: Workspace) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """For each order: the row of each n-gram less its first word in the order below, and the adjusted counts.

    Adjusted: below the highest order, how many different words stand before an n-gram; before `<s>` none can, so there it is
    the plain count. Each n-gram that does not begin with `<s>` is an (n+1)-gram less its first word, so grouping these gives
    the rows below in order and nothing needs to be searched.
    """
    levels = counts.levels
    suffixes = [np.zeros(len(counts.words), np.int32), levels[1][WORD]]
    adjusted = [np.bincount(levels[1][WORD], minlength=len(counts.words)).astype(np.int32)]  # nothing ends in <s>: it has 0
    low, high = np.searchsorted(levels[1][CONTEXT], [BEGIN, BEGIN + 1]).tolist()  # rows that begin with <s>
    for n in range(3, len(levels) + 1):
        level, below = levels[n - 1], levels[n - 2]
        keys = space.keep(pack(suffixes[-1][level[CONTEXT]], level[WORD], counts.bits))
        suffix, before = space.empty((len(keys),), np.int32), space.empty((below.shape[1],), np.int32)
        before[low:high] = below[COUNT][low:high]
        done = 0
        for (places,), distinct, at in grouped([keys], space.rows_at_once):
            rows = np.arange(done, done + len(distinct), dtype=np.int32)
            rows[rows >= low] += high - low
            before[rows] = np.bincount(at, minlength=len(distinct))
            suffix[places] = rows[at]
            done += len(distinct)
        assert done == below.shape[1] - (high - low), "an n-gram has no word before it"
        suffixes.append(suffix)
        adjusted.append(before)
        low, high = np.searchsorted(level[CONTEXT], [low, high]).tolist()
    return suffixes, [*adjusted, levels[-1][COUNT]]


def discount(adjusted: np.ndarray, order: int, fallback: tuple[float, float, float] | None) -> tuple[float, float, float]:
    """What to take from counts of 1, 2 and 3 or more, from the numbers of n-grams with adjusted counts 1 to 4."""
    of = np.zeros(6, np.int64)
    for rows in _slices(len(adjusted)):
        of += np.bincount(np.minimum(adjusted[rows], 5), minlength=6)
    missing = next((k for k in (1, 2, 3) if not of[k]), None)
    problem = f"no {order}-gram has the adjusted count {missing}"
    if missing is None:
        y = of[1] / (of[1] + 2 * of[2])
        found = [float(k - (k + 1) * y * of[k + 1] / of[k]) for k in (1, 2, 3)]
        wrong = next((k for k, d in enumerate(found, 1) if not 0 <= d <= k), None)
        if wrong is None:
            return found[0], found[1], found[2]
        problem = (
            f"the discount of {order}-grams with the adjusted count {wrong} is {found[wrong - 1]:.3f}, outside 0 to {wrong}"
        )
    if fallback is not None:
        return fallback
    raise TooFewCounts(
        f"Too few counts for modified Kneser-Ney at order {order}: {problem}.",
        hint="Train on more text, lower the order, or set discount_fallback: [0.5, 1.0, 1.5].",
    )


def _unigrams(adjusted: np.ndarray, discounts: tuple[float, float, float]) -> np.ndarray:
    """Interpolated with the uniform distribution over all words, `<unk>` and `</s>` among them, `<s>` not."""
    taken = np.array([0.0, *discounts])[np.minimum(adjusted, 3)]
    total = adjusted.sum()
    probability = (adjusted - taken) / total + taken.sum() / total / (len(adjusted) - 1)
    probability[BEGIN] = 1.0  # never asked for; lmplz writes 0, too
    return probability


def _contexts(
    context: np.ndarray, adjusted: np.ndarray, kept: np.ndarray, discounts: tuple[float, float, float], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """For each context: the weight of the order below (with all that cut-offs leave out), and the sum of adjusted counts."""
    total, free, table = np.zeros(size), np.zeros(size), np.array([0.0, *discounts])
    for rows in _slices(len(context)):
        a, c = adjusted[rows], context[rows]
        first, last = int(c[0]), int(c[-1]) + 1
        total[first:last] += np.bincount(c - first, weights=a)
        free[first:last] += np.bincount(c - first, weights=np.where(kept[rows], table[np.minimum(a, 3)], a))
    return np.divide(free, total, out=np.ones(size), where=total > 0), total


def _log10(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    parts = [np.log10(np.maximum(values[rows][kept[rows]], NO_BACKOFF)).astype(np.float32) for rows in _slices(len(values))]
    return np.concatenate([np.empty(0, np.float32), *parts]) + np.float32(0)  # no negative zeros in files


def _keys(counts: Counts, kept: Sequence[np.ndarray], space: Workspace) -> list[np.ndarray]:
    """Keys of the n-grams kept. Counts fall with length, so the context of an n-gram that is kept is kept."""
    keys, new = [np.arange(len(counts.words), dtype=np.int64)], np.arange(len(counts.words), dtype=np.int32)
    for level, keep in zip(counts.levels[1:], kept[1:]):
        whole = keep.all()
        context, word = (level[CONTEXT], level[WORD]) if whole else (level[CONTEXT][keep], level[WORD][keep])
        keys.append(space.keep(pack(new[context], word, counts.bits)))
        new = np.cumsum(keep, dtype=np.int32) - 1
    return keys


def _slices(rows: int) -> list[slice]:
    return [slice(start, start + ROWS) for start in range(0, rows, ROWS)]
