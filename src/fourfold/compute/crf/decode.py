"""Viterbi and forward-backward over many sentences at once.

Sentences are sorted by length and laid out by time: all first tokens, all second tokens, and so on. A step is one product over
the sentences that are still running, and nothing is padded. Formulas: Rabiner 1989, with scaling, as in crfsuite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fourfold.compute.crf.weights import Floats, Ints

FORBIDDEN = -1e30  # a score that no path takes


@dataclass(frozen=True, slots=True)
class Decoded:
    """For each of N tokens: the label on the best path; its probability; given that label, the probability that the next
    token has its own on the path (`onward`); and, for each of the K kinds of stretch that the decoder knows, that the next
    token does not continue it (`leaving`, (K, N), 1 at the end). Without kinds `onward` is not computed: 1.

    By the Markov property a stretch i to j has its labels with probability[i] · onward[i] ⋯ onward[j - 1] · leaving[k, j].
    """

    path: Ints
    probability: Floats
    onward: Floats
    leaving: Floats

    def stretches(self, starts: Ints, ends: Ints, kind: int) -> Floats:
        """The probability of each stretch [start, end) of tokens: that it has its labels and is not continued."""
        log_onward = np.concatenate([[0.0], np.cumsum(np.log(np.maximum(self.onward, 1e-300)))])
        inside = np.exp(log_onward[ends - 1] - log_onward[starts])
        return self.probability[starts] * inside * self.leaving[kind, ends - 1]


class Decoder:
    """Decodes with `transitions` (L, L). For each kind of stretch `continues[k][a, b]`: label b after a goes on with it."""

    def __init__(self, transitions: Floats, continues: Sequence[NDArray[np.bool_]] = ()) -> None:
        self.transitions = transitions
        self._into = np.ascontiguousarray(transitions.T)
        self._exp = np.exp(transitions - transitions.max())
        self._exp_into = np.ascontiguousarray(self._exp.T)
        self._breaks = [np.where(each, 0.0, self._exp) for each in continues]

    def __call__(self, scores: Floats, lengths: Ints) -> Decoded:
        """`scores` (N, L), the tokens of all sentences one after another; `lengths` of the sentences, none of them 0."""
        by_length = np.argsort(-lengths, kind="stable")
        starts = (np.cumsum(lengths) - lengths)[by_length]
        running = len(lengths) - np.searchsorted(np.sort(lengths), np.arange(lengths.max(initial=0)), side="right")
        bounds = np.concatenate([[0], np.cumsum(running)])
        order = np.concatenate([starts[:n] + t for t, n in enumerate(running.tolist())]) if len(running) else starts
        steps = [slice(a, b) for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist())]
        packed = scores[order]
        path = self._best(packed, steps)
        results = self._probabilities(packed, steps, path)
        unpacked = np.empty((3 + len(self._breaks), len(order)))
        unpacked[:, order] = (path, *results)
        return Decoded(unpacked[0].astype(np.int64), unpacked[1], unpacked[2], unpacked[3:])

    def _best(self, packed: Floats, steps: list[slice]) -> Ints:
        """Viterbi: the labels of the best path of each sentence."""
        best = packed.copy()
        back = np.zeros(packed.shape, np.int64)
        for before, now in pairwise(steps):
            running = now.stop - now.start
            candidates = best[before][:running, None, :] + self._into
            back[now] = candidates.argmax(axis=2)
            best[now] += candidates.max(axis=2)
        path = best.argmax(axis=1)
        for before, now in zip(steps[-2::-1], steps[:0:-1]):
            running = now.stop - now.start
            path[before.start : before.start + running] = back[now][np.arange(running), path[now]]
        return path

    def _probabilities(self, packed: Floats, steps: list[slice], path: Ints) -> tuple[Floats, ...]:
        state = np.exp(packed - packed.max(axis=1, keepdims=True))
        forward = state.copy()
        scale = np.ones(len(packed))
        for t, now in enumerate(steps):
            if t:
                forward[now] *= forward[steps[t - 1]][: now.stop - now.start] @ self._exp
            total = np.maximum(forward[now].sum(axis=1), 1e-300)
            forward[now] /= total[:, None]
            scale[now] = total
        backward = np.ones(packed.shape)
        ahead = state / scale[:, None]  # of the token itself: state · backward / scale
        onward, leaving = np.ones(len(packed)), np.ones((len(self._breaks), len(packed)))
        for before, now in zip(steps[-2::-1], steps[:0:-1]):
            running = slice(before.start, before.start + now.stop - now.start)
            ahead[now] *= backward[now]
            backward[running] = ahead[now] @ self._exp_into
            if self._breaks:
                here, rows = path[running], np.arange(now.stop - now.start)
                total = np.maximum(backward[running][rows, here], 1e-300)
                onward[running] = self._exp[here, path[now]] * ahead[now][rows, path[now]] / total
                for kind, breaks in enumerate(self._breaks):
                    leaving[kind, running] = (breaks[here] * ahead[now]).sum(axis=1) / total
        rows = np.arange(len(path))
        return forward[rows, path] * backward[rows, path], onward, *leaving
