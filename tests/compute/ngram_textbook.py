"""Interpolated modified Kneser-Ney as the paper writes it (Chen & Goodman 1999): dictionaries and recursion, for small text."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

Discounts = tuple[float, float, float]


class Textbook:
    """The model of some sentences. `probability(word, history)` with histories of any length, `<s>` first at a begin."""

    def __init__(
        self, sentences: Sequence[Sequence[str]], order: int, fallback: Discounts, min_count: Sequence[int] | None = None
    ) -> None:
        self.order = order
        raw: Counter[tuple[str, ...]] = Counter()
        for sentence in sentences:
            padded = ["<s>", *sentence, "</s>"]
            for end in range(1, len(padded)):
                raw.update(tuple(padded[end - n + 1 : end + 1]) for n in range(1, order + 1) if end - n + 1 >= 0)
        before: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        for gram in raw:
            if len(gram) > 1:
                before[gram[1:]].add(gram[0])
        self.counts = {g: c if len(g) == order or g[0] == "<s>" else len(before[g]) for g, c in raw.items()}
        least = min_count or [1] * order
        self.kept = {gram for gram, c in raw.items() if c >= least[len(gram) - 1]}
        self.words = {gram[0] for gram in raw if len(gram) == 1} | {"<unk>"}
        self.discounts = [self._discounts(n, fallback) for n in range(1, order + 1)]
        self.followers: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        for gram in raw:
            self.followers[gram[:-1]].append(gram[-1])

    def _discounts(self, n: int, fallback: Discounts) -> Discounts:
        number = Counter(count for gram, count in self.counts.items() if len(gram) == n)
        if not all(number[k] for k in (1, 2, 3)):
            return fallback
        y = number[1] / (number[1] + 2 * number[2])
        d1, d2, d3 = (k - (k + 1) * y * number[k + 1] / number[k] for k in (1, 2, 3))
        return (d1, d2, d3) if 0 <= d1 <= 1 and 0 <= d2 <= 2 and 0 <= d3 <= 3 else fallback

    def probability(self, word: str, history: Sequence[str]) -> float:
        context = tuple(history[-(self.order - 1) :])
        while context and context not in self.followers:
            context = context[1:]
        return self._interpolated(word, context)

    def _interpolated(self, word: str, context: tuple[str, ...]) -> float:
        lower = 1 / len(self.words) if not context else self.probability_lower(word, context)
        grams = [(*context, follower) for follower in self.followers[context]]
        total = sum(self.counts[gram] for gram in grams)
        taken = sum(self._taken(gram) for gram in grams)
        gram = (*context, word)
        own = self.counts[gram] - self._taken(gram) if gram in self.counts else 0.0
        return own / total + taken / total * lower

    def probability_lower(self, word: str, context: tuple[str, ...]) -> float:
        return self._interpolated(word, context[1:])

    def _taken(self, gram: tuple[str, ...]) -> float:
        """The discount of an n-gram; all of its count if it is cut off."""
        return self.discounts[len(gram) - 1][min(self.counts[gram], 3) - 1] if gram in self.kept else self.counts[gram]
