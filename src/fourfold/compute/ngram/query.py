"""Log probabilities of sentences, and of the next word: in numpy for whole batches, or through the kenlm module."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from fourfold.compute.ngram.count import bits_of, group, pack
from fourfold.compute.ngram.estimate import Tables
from fourfold.compute.ngram.text import BEGIN, END, UNKNOWN, Sentences
from fourfold.core.extras import need

SORT_FROM = 2048  # keys: from here on it pays to sort them before they are searched


class Scorer(Protocol):
    """What gives log10 probabilities of sentences."""

    def log10(self, ids: np.ndarray, /) -> np.ndarray:
        """One value per id of sentences (`<s>` … `</s>`, one after the other, ids of the model's words); 0 for each `<s>`."""
        ...


class Lookup:
    """A model's tables with their words looked up; answers for any number of sentences or states at once.

    A state is what a model remembers of a text: for m = 1 … order-1 the row of its last m words, -1 where they are unknown.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.order = len(tables.keys)
        self.bits = bits_of(len(tables.words))
        self._ids = {word: i for i, word in enumerate(tables.words)}
        self._unigrams = 10.0 ** tables.log10[0].astype(np.float64)
        self._unigrams[BEGIN] = 0.0

    def ids(self, sentences: Sentences) -> np.ndarray:
        """The sentences as ids of the model's words."""
        return np.array([self._ids.get(word, UNKNOWN) for word in sentences.words], np.int32)[sentences.ids]

    def log10(self, ids: np.ndarray, /) -> np.ndarray:
        """As `Scorer` says."""
        tables = self.tables
        places = np.flatnonzero(ids != BEGIN)
        total = np.zeros(len(ids))
        total[places] = tables.log10[0][ids[places]]
        rows = ids.astype(np.int64)
        for n in range(2, self.order + 1):
            # of a context that is known either the longer n-gram is known and counts, or the context's backoff is paid
            places = places[rows[places - 1] >= 0]
            before = rows[places - 1]
            found = self._find(n, before, ids[places])
            hit = found >= 0
            total[places] += np.where(hit, 0.0, tables.backoff[n - 2][before])
            total[places[hit]] = tables.log10[n - 1][found[hit]]
            rows = np.full(len(ids), -1)
            rows[places] = found
        return total

    def start(self) -> np.ndarray:
        """The state at a sentence's begin, shape (order - 1,)."""
        return self.after(np.full(self.order - 1, -1), BEGIN)

    def after(self, state: np.ndarray, word: int | np.ndarray) -> np.ndarray:
        """States after one more word. `state`: shape (order - 1,) or (states, order - 1) with `word` of shape (states,)."""
        longer = np.full_like(state, -1)
        longer[..., 0] = word
        for m in range(2, self.order):
            before = np.atleast_1d(state[..., m - 2])
            found = self._find(m, np.maximum(before, 0), np.atleast_1d(word))
            longer[..., m - 1] = np.where(before >= 0, found, -1).reshape(longer[..., m - 1].shape)
        return longer

    def read(self, ids: np.ndarray) -> np.ndarray:
        """The state after these ids, `<s>` first where a sentence begins."""
        state = np.full(self.order - 1, -1)
        for word in ids[-(self.order - 1) :].tolist():
            state = self.after(state, word)
        return state

    def next(self, state: np.ndarray) -> np.ndarray:
        """Probability of each word after a state, shape (words,); they sum to 1. `<s>` has 0."""
        p = self._unigrams.copy()
        for m, row in enumerate(state.tolist(), 1):
            if row < 0:
                break
            keys = self.tables.keys[m]
            first, last = np.searchsorted(keys, [row << self.bits, row + 1 << self.bits]).tolist()
            p *= 10.0 ** float(self.tables.backoff[m - 1][row])
            p[keys[first:last] & ((1 << self.bits) - 1)] = 10.0 ** self.tables.log10[m][first:last].astype(np.float64)
        return p

    def _find(self, order: int, context: np.ndarray, word: np.ndarray) -> np.ndarray:
        """Rows of the n-grams with these contexts and last words, -1 for those that the model does not hold."""
        keys = self.tables.keys[order - 1]
        wanted = pack(context, word, self.bits)
        if not len(keys):
            return np.full(len(wanted), -1)
        if len(wanted) < SORT_FROM:
            return _search(keys, wanted)
        distinct, at = group(wanted)
        return _search(keys, distinct)[at]


def _search(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    rows = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[rows] == wanted, rows, -1)


class Kenlm:
    """The same model through the kenlm module, which reads the ARPA file into memory."""

    def __init__(self, arpa: Path, words: list[str]) -> None:
        kenlm = need("kenlm", extra="kenlm", what="Engine 'kenlm'")
        config = kenlm.Config()
        config.show_progress = False
        config.arpa_complain = kenlm.ARPALoadComplain.NONE
        self._model = kenlm.Model(str(arpa), config)
        self._words = words

    def log10(self, ids: np.ndarray, /) -> np.ndarray:
        """As `Scorer` says."""
        begins, ends = np.flatnonzero(ids == BEGIN), np.flatnonzero(ids == END)
        total = np.zeros(len(ids))
        for begin, end in zip(begins.tolist(), ends.tolist()):
            line = " ".join([self._words[i] for i in ids[begin + 1 : end].tolist()])
            total[begin + 1 : end + 1] = [score[0] for score in self._model.full_scores(line)]
        return total
