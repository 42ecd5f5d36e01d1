"""How well a language model foresees texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fourfold.compute.counting import Figures, ratio
from fourfold.compute.metrics import Likelihoods, Measured


@dataclass(frozen=True, slots=True)
class Perplexity:
    """`perplexity` per token, `perplexity_known`, `log10_per_token`, `bits_per_character`, `oov_rate`.

    Perplexity is 10 to the minus mean log10 probability of a token. As KenLM counts: a sentence's end `</s>` is a token, and
    unknown words count with the probability of `<unk>`; `perplexity_known` leaves them out. `bits_per_character` compares
    models whose tokens differ. `oov_rate` is the share of unknown words among tokens.
    """

    reads: ClassVar[type] = Likelihoods

    def __call__(self, predictions: Likelihoods, /) -> Measured:
        p = predictions
        sums = np.column_stack([p.log10, p.tokens, p.unknown, p.log10_unknown, p.characters])
        return Measured(sums.astype(np.float64), _figures)


def _figures(total: NDArray[np.float64]) -> Figures:
    log10, tokens, unknown, log10_unknown, characters = np.moveaxis(total, -1, 0)
    mean = ratio(log10, tokens)
    return {
        "perplexity": 10.0**-mean,
        "perplexity_known": 10.0 ** -ratio(log10 - log10_unknown, tokens - unknown),
        "log10_per_token": mean,
        "bits_per_character": ratio(-log10 * np.log2(10), characters),
        "oov_rate": ratio(unknown, tokens),
    }
