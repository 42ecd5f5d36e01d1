"""Relative-entropy pruning (Stolcke 1998): leave out the n-grams whose absence the model notices least."""

from __future__ import annotations

import numpy as np

from fourfold.compute.ngram.count import bits_of
from fourfold.compute.ngram.estimate import NO_BACKOFF, Tables
from fourfold.compute.ngram.text import BEGIN


def prune(tables: Tables, threshold: float) -> Tables:
    """The model without n-grams (n ≥ 2) whose loss raises its perplexity by a share less than `threshold`.

    Backoff weights are computed anew, so probabilities after every history still sum to 1. An n-gram stays if a longer one that
    stays begins or ends with it, so that queries may walk from word to word.
    """
    bits, order = bits_of(len(tables.words)), len(tables.keys)
    p = [10.0 ** table.astype(np.float64) for table in tables.log10]
    p[0][BEGIN] = 0.0
    context = [keys >> bits for keys in tables.keys]
    word = [keys & ((1 << bits) - 1) for keys in tables.keys]
    suffix = _suffixes(tables, bits)
    kept = [np.ones(len(keys), bool) for keys in tables.keys]
    needed = np.zeros(len(p[-1]), bool)
    for n in range(order, 1, -1):
        loss = _loss(tables, p, context, suffix, n)
        kept[n - 1] = needed | (loss >= np.log1p(threshold))
        needed = np.zeros(len(p[n - 2]), bool)
        needed[context[n - 1][kept[n - 1]]] = True
        needed[suffix[n - 1][kept[n - 1]]] = True
    keys, log10, backoff = [tables.keys[0]], [tables.log10[0]], []
    new = np.arange(len(tables.words))
    for n in range(2, order + 1):
        keep = kept[n - 1]
        weight = _weights(p, context[n - 1], suffix[n - 1], keep, n)
        backoff.append(np.log10(np.maximum(weight[kept[n - 2]], NO_BACKOFF)).astype(np.float32) + np.float32(0))
        keys.append(new[context[n - 1][keep]] << bits | word[n - 1][keep])
        log10.append(tables.log10[n - 1][keep])
        new = np.cumsum(keep) - 1
    return Tables(tables.words, keys, log10, backoff)


def _suffixes(tables: Tables, bits: int) -> list[np.ndarray]:
    """For each order: the row of each n-gram less its first word in the order below."""
    suffixes = [np.zeros(len(tables.words), np.int64), tables.keys[1] & ((1 << bits) - 1)]
    for n in range(3, len(tables.keys) + 1):
        keys = tables.keys[n - 1]
        shorter = suffixes[-1][keys >> bits] << bits | keys & ((1 << bits) - 1)
        suffixes.append(np.searchsorted(tables.keys[n - 2], shorter))
    return suffixes


def _sums(
    p: list[np.ndarray], context: np.ndarray, suffix: np.ndarray, keep: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """For each context of order n: what is left of 1 after the n-grams kept, and after the same words one order lower."""
    size = len(p[n - 2])
    here = np.bincount(context[keep], weights=p[n - 1][keep], minlength=size)
    below = np.bincount(context[keep], weights=p[n - 2][suffix[keep]], minlength=size)
    return np.maximum(1 - here, 0.0), np.maximum(1 - below, NO_BACKOFF)


def _weights(p: list[np.ndarray], context: np.ndarray, suffix: np.ndarray, keep: np.ndarray, n: int) -> np.ndarray:
    left, below = _sums(p, context, suffix, keep, n)
    return left / below


def _loss(tables: Tables, p: list[np.ndarray], context: list[np.ndarray], suffix: list[np.ndarray], n: int) -> np.ndarray:
    """Relative entropy (nats) between the model and the model without each n-gram of order n, one at a time (eq. 6-8)."""
    c, s = context[n - 1], suffix[n - 1]
    left, below = _sums(p, c, s, np.ones(len(c), bool), n)
    lower = p[n - 2][s]
    old = tables.backoff[n - 2].astype(np.float64)[c] * np.log(10)
    new = np.log(np.maximum(left[c] + p[n - 1], NO_BACKOFF) / (below[c] + lower))
    history = np.ones(len(p[n - 2]))
    rows = np.arange(len(history))
    for m in range(n - 1, 0, -1):  # probability of the history, by the chain rule; <s> is given
        factor = p[m - 1][rows]
        history *= np.where((rows == BEGIN) & (m == 1), 1.0, factor)
        rows = context[m - 1][rows]
    change = p[n - 1] * (np.log(np.maximum(lower, NO_BACKOFF)) + new - np.log(p[n - 1])) + left[c] * (new - old)
    return -history[c] * change
