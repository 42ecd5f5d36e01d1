"""A loaded n-gram model: the tasks that it serves, and perplexity of many texts at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fourfold.compute import tasks
from fourfold.compute.ngram.complete import complete, sample
from fourfold.compute.ngram.documents import read_fragment
from fourfold.compute.ngram.query import Lookup, Scorer
from fourfold.compute.ngram.segments import places_of, segments
from fourfold.compute.ngram.text import BEGIN, END, UNKNOWN, Sentences, Unit, cut, join, read_texts
from fourfold.core.errors import BadInput
from fourfold.data.dataset import Dataset

BATCH = 1 << 22  # characters read at once for perplexity
MAX_TOP_K = 1000


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Figures of each document, all of shape (documents,).

    `log10`: log10 probability of its sentences with their ends. `tokens`: their number, ends counted. `unknown`: tokens that
    the model does not know, and `log10_unknown` their part of `log10`.
    """

    log10: np.ndarray
    tokens: np.ndarray
    unknown: np.ndarray
    log10_unknown: np.ndarray

    @property
    def value(self) -> float:
        """Perplexity per token; unknown tokens have the probability of `<unk>`."""
        return _perplexity(self.log10.sum(), self.tokens.sum())

    @property
    def value_known(self) -> float:
        """Perplexity per known token: those that the model does not know are left out."""
        return _perplexity(self.log10.sum() - self.log10_unknown.sum(), self.tokens.sum() - self.unknown.sum())


def _perplexity(log10: float, tokens: int) -> float:
    return float(10.0 ** (-log10 / tokens)) if tokens else float("nan")


class NgramModel:
    """Serves score, suggest, generate and rank. `column`: where perplexity finds the text of a dataset."""

    def __init__(self, lookup: Lookup, scorer: Scorer, unit: Unit, column: str) -> None:
        self.lookup = lookup
        self._scorer = scorer
        self._unit: Unit = unit
        self._column = column

    def close(self) -> None:
        """Nothing is held open but mapped files, which go with the object."""

    def perplexity(self, data: Dataset | Sequence[str]) -> Perplexity:
        """Figures of each document of a dataset (in order), or of each text. Blank lines count nothing."""
        if isinstance(data, Dataset):
            read = [read_fragment(fragment, self._column, self._unit, BATCH) for fragment in data.fragments()]
            parts = [self._figures(rows, batches) for rows, batches in read]
        else:
            parts = [self._figures(len(data), [read_texts(data, self._unit)])]
        if not parts:
            raise BadInput("There is no document to measure.", hint="Give a dataset that has fragments.")
        return Perplexity(*(np.concatenate(columns) for columns in zip(*parts)))

    def _figures(self, documents: int, batches: Iterable[Sentences]) -> tuple[np.ndarray, ...]:
        log10, tokens = np.zeros(documents), np.zeros(documents, np.int64)
        unknown, log10_unknown = np.zeros(documents, np.int64), np.zeros(documents)
        for sentences in batches:
            ids = self.lookup.ids(sentences)
            values, of, strange = self._scorer.log10(ids), _documents(sentences), ids == UNKNOWN
            log10 += np.bincount(of, weights=values, minlength=documents)
            tokens += np.bincount(of[ids != BEGIN], minlength=documents)
            unknown += np.bincount(of[strange], minlength=documents)
            log10_unknown += np.bincount(of[strange], weights=values[strange], minlength=documents)
        return log10, tokens, unknown, log10_unknown

    def score(self, inputs: Sequence[tasks.TextInput], options: tasks.ScoreOptions) -> list[tasks.Scored]:
        """Each line of a text is a sentence; a text without tokens is an empty sentence."""
        if not inputs:
            return []
        sentences = read_texts([i.text for i in inputs], self._unit, keep_blank=True)
        ids = self.lookup.ids(sentences)
        values, of = self._scorer.log10(ids), _documents(sentences)
        read = np.flatnonzero(ids != BEGIN)
        bounds = np.searchsorted(of[read], np.arange(len(inputs) + 1)).tolist()
        results = []
        for given, first, last in zip(inputs, bounds, bounds[1:]):
            rows = read[first:last]
            total = float(values[rows].sum())
            result = tasks.Scored(given.id, total, _perplexity(total, len(rows)), int((ids[rows] == UNKNOWN).sum()))
            if options.per_token:
                spelled = map(sentences.words.__getitem__, sentences.ids[rows].tolist())
                result.tokens = [tasks.ScoredToken(word, value) for word, value in zip(spelled, values[rows].tolist())]
            results.append(result)
        return results

    def suggest(self, inputs: Sequence[tasks.TextInput], options: tasks.SuggestOptions) -> list[tasks.Suggested]:
        """Whole phrases: the text's last word completed, and words after it up to an end or a limit of length."""
        if not 1 <= options.top_k <= MAX_TOP_K:
            raise BadInput(f"top_k is {options.top_k}.", hint=f"Give 1 to {MAX_TOP_K}.")
        results = []
        for given in inputs:
            found = complete(self.lookup, given.text, self._unit, options.top_k)
            results.append(tasks.Suggested(given.id, [tasks.Suggestion(text, score) for text, score in found]))
        return results

    def generate(self, inputs: Sequence[tasks.TextInput], options: tasks.GenerateOptions) -> list[tasks.Generated]:
        """A text depends on its input, the options and the seed, not on the other inputs."""
        for name, least in (("max_tokens", 1), ("temperature", 0), ("top_k", 0), ("seed", 0)):
            if not getattr(options, name) >= least:
                raise BadInput(f"{name} is {getattr(options, name)}.", hint=f"Give at least {least}.")
        results = []
        for given in inputs:
            words = sample(self.lookup, self._read(given.text), options)
            ended = bool(words) and words[-1] == END
            tokens = [self.lookup.tables.words[i] for i in (words[:-1] if ended else words)]
            text = join(tokens, self._unit, before=given.text.rpartition("\n")[2])
            results.append(tasks.Generated(given.id, text, len(tokens), "stop" if ended else "length"))
        return results

    def rank(self, inputs: Sequence[tasks.RankInput], options: tasks.RankOptions) -> list[tasks.Ranked]:
        """Shares are proportional to the geometric mean of token probabilities: the softmax of the mean log probability."""
        return [
            tasks.Ranked(given.id, self._rank_items(given) if given.items else self._rank_text(given, options))
            for given in inputs
        ]

    def _rank_items(self, given: tasks.RankInput) -> list[tasks.Ranking]:
        """Items as they follow the query; an item's end counts as a token."""
        if given.text:
            raise BadInput("A ranking has both text and items.", hint="Give text to rank its segments, or items.")
        history = self._read(given.query)
        texts = [item.text.replace("\n", " ") for item in given.items]
        sentences = read_texts(texts, self._unit, keep_blank=True)
        ids = self.lookup.ids(sentences)
        parts = [np.concatenate([history, line[1:]]) for line in np.split(ids, np.flatnonzero(ids == BEGIN)[1:])]
        values = np.split(self._scorer.log10(np.concatenate(parts)), np.cumsum([len(part) for part in parts])[:-1])
        means = np.array([value[len(history) :].mean() for value in values])
        rankings = [tasks.Ranking(item.text, score, item.id) for item, score in zip(given.items, _shares(means))]
        return sorted(rankings, key=lambda ranking: -ranking.score)

    def _rank_text(self, given: tasks.RankInput, options: tasks.RankOptions) -> list[tasks.Ranking]:
        if given.query:
            raise BadInput("A ranking has a query and no items.", hint="Give items, or text without a query.")
        text = given.text
        ids = self.lookup.ids(read_texts([text], self._unit))
        values = self._scorer.log10(ids)[(ids != BEGIN) & (ids != END)]
        if not len(values):
            return []
        starts = np.array([start for start, _ in places_of(cut(text, self._unit), text)])
        parts = segments(text, self._unit, options.unit, set(starts.tolist()))
        of = np.searchsorted([start for start, _ in parts], starts, "right") - 1
        means = np.bincount(of, weights=values) / np.bincount(of)
        rankings = [tasks.Ranking(text[a:b], score, start=a, end=b) for (a, b), score in zip(parts, _shares(means))]
        return sorted(rankings, key=lambda ranking: -ranking.score)

    def _read(self, text: str) -> np.ndarray:
        """Ids of the text's last line, with its begin and without its end."""
        return self.lookup.ids(read_texts([text.rpartition("\n")[2]], self._unit, keep_blank=True))[:-1]


def _documents(sentences: Sentences) -> np.ndarray:
    """For each id, the document that it belongs to."""
    begins = np.flatnonzero(sentences.ids == BEGIN)
    return np.repeat(sentences.documents, np.diff(begins, append=len(sentences.ids)))


def _shares(log10: np.ndarray) -> list[float]:
    share = 10.0 ** (log10 - log10.max())
    return (share / share.sum()).tolist()
