"""The score of scrapinghub's article-extraction-benchmark: overlap of 4-grams of words (evaluate.py, MIT), written anew."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

WORD = re.compile(r"\w+")
# As that, but each Chinese character is a word: between two commas there is no other boundary to count.
CHINESE = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]|[^\W\u3400-\u9fff\U00020000-\U0003ffff]+")


class Overlap(NamedTuple):
    """Precision and recall, each averaged over pages, and the F1 of these averages."""

    precision: float
    recall: float
    f1: float


def grams(text: str, words: re.Pattern[str], n: int = 4) -> Counter[tuple[str, ...]]:
    """How often each run of n words occurs; a shorter text is one run."""
    found = words.findall(text)
    return Counter(tuple(found[i : i + n]) for i in range(max(1, len(found) - n + 1))) if found else Counter()


def overlap(pairs: Iterable[tuple[str, str]], words: re.Pattern[str] = WORD) -> Overlap:
    """Of pairs of true and found text."""
    precisions, recalls = [], []
    for true, found in pairs:
        wanted, got = grams(true, words), grams(found, words)
        common = (wanted & got).total()
        same = wanted == got
        precisions.append(1.0 if same else common / got.total() if got else 0.0)
        recalls.append(1.0 if same else common / wanted.total() if wanted else 0.0)
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return Overlap(precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0)
