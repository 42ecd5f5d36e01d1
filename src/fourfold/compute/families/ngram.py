"""N-gram language models: interpolated modified Kneser-Ney over words or characters."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from fourfold.compute.ngram import count as counting
from fourfold.compute.ngram.count import COUNT, Counts, Workspace
from fourfold.compute.ngram.documents import read_fragment
from fourfold.compute.ngram.estimate import estimate
from fourfold.compute.ngram.model import NgramModel, Perplexity
from fourfold.compute.ngram.prune import prune
from fourfold.compute.ngram.query import Kenlm, Lookup
from fourfold.compute.ngram.tables import read_tables, write_arpa, write_tables
from fourfold.compute.ngram.text import BEGIN, END, SPECIAL, Unit, tokenizer_name
from fourfold.core.build import build_part, settings_of
from fourfold.core.errors import BadInput
from fourfold.core.progress import Progress, silent
from fourfold.data.dataset import Dataset, Fragment

Engine = Literal["auto", "numpy", "kenlm"]

DESCRIPTION = "ngram.json"
ARPA = "model.arpa"
COUNTS = "counts"
KENLM_BYTES = 256 << 20  # "auto" reads no larger ARPA file into kenlm: it takes a second for 90 MB, the tables none


@dataclass(frozen=True, slots=True)
class Ngram:
    """Modified Kneser-Ney of order 2-6, equal to KenLM's lmplz; keeps its counts per dataset fragment, for `forget`."""

    tasks: ClassVar[tuple[str, ...]] = ("score", "suggest", "generate", "rank")

    order: int = 5  # words of the longest n-grams
    unit: Unit = "word"  # "word" cuts Chinese by rjieba; "character"; "token" cuts at spaces only
    column: str = "text"  # a line of it is a sentence; words come from the column `tokens` where rows have it
    min_count: tuple[
        int, ...
    ] = ()  # order n leaves out n-grams seen less often than the n-th; orders beyond the last: the last
    vocabulary: int = 0  # keep so many of the most frequent words, the others are <unk>; 0 keeps all
    prune: float = 0.0  # leave out n-grams whose loss raises perplexity by a smaller share (1e-8 is usual)
    discount_fallback: tuple[float, float, float] | None = None  # where counts are too few; lmplz uses 0.5, 1, 1.5
    memory_mb: int = 1024  # at work on counts; beyond it they go to disk

    def __post_init__(self) -> None:
        if not 2 <= self.order <= 6:
            raise ValueError(f"order is {self.order}; give 2 to 6")
        if len(self.min_count) > self.order or any(a > b for a, b in zip((1, *self.min_count), self.min_count)):
            raise ValueError(f"min_count is {list(self.min_count)}; give at most {self.order} numbers ≥ 1 that do not fall")
        if self.min_count and self.min_count[0] != 1:
            raise ValueError("min_count begins with 1: to leave out rare words, set vocabulary")
        if self.vocabulary < 0:
            raise ValueError(f"vocabulary is {self.vocabulary}; give 0 (all words) or more")
        if not (self.prune >= 0 and math.isfinite(self.prune)):
            raise ValueError(f"prune is {self.prune}; give 0 (nothing) or more")
        if self.discount_fallback and not all(0 < d <= k for k, d in enumerate(self.discount_fallback, 1)):
            raise ValueError("discount_fallback has to be more than 0 and at most 1, 2 and 3")
        if self.memory_mb < 1:
            raise ValueError(f"memory_mb is {self.memory_mb}; give at least 1")

    def fit(self, train: Dataset, dev: Dataset | None, folder: Path, progress: Progress) -> dict[str, Any]:
        """Count, estimate and write. `dev` is only measured. Raises BadInput without tokens, TooFewCounts with too few."""
        return _train(self, train, dev, folder, None, progress)

    @staticmethod
    def load(folder: Path, engine: Engine = "auto") -> NgramModel:
        """Open a model. `engine`: what scores sentences; "auto" takes kenlm where installed and the model is small."""
        description = msgspec.json.decode((folder / DESCRIPTION).read_bytes())
        settings = description["settings"]
        tables = read_tables(folder, settings["order"])
        lookup = Lookup(tables)
        small = (folder / ARPA).stat().st_size <= KENLM_BYTES
        through_kenlm = engine == "kenlm" or (engine == "auto" and small and find_spec("kenlm") is not None)
        scorer = Kenlm(folder / ARPA, tables.words) if through_kenlm else lookup
        return NgramModel(lookup, scorer, settings["unit"], settings["column"])


def forget(folder: Path, without: Dataset, into: Path, progress: Progress = silent) -> dict[str, Any]:
    """Write into `into` the model of `folder` as if it had been trained on `without`, bit for bit, and return its meta.

    `without` is the training dataset less some documents. Counts of fragments that did not change are taken over, the others
    are counted anew. So are all, if text is cut otherwise today than when they were counted.
    """
    description = msgspec.json.decode((folder / DESCRIPTION).read_bytes())
    settings = build_part(Ngram, description["settings"], path=DESCRIPTION)
    same = description["tokenizer"] == tokenizer_name(settings.unit)
    return _train(settings, without, None, into, folder / COUNTS if same else None, progress)


def perplexity(model: NgramModel, data: Dataset | Sequence[str]) -> Perplexity:
    """Log probability, tokens and unknown tokens of each document of a dataset, or of each text."""
    return model.perplexity(data)


def _train(
    settings: Ngram, train: Dataset, dev: Dataset | None, folder: Path, reuse: Path | None, progress: Progress
) -> dict[str, Any]:
    (folder / COUNTS).mkdir(parents=True)
    fragments = list(train.fragments())
    for done, fragment in enumerate(fragments):
        progress(done, len(fragments) + 1, "fragments")
        _count(settings, fragment, folder / COUNTS, reuse)
    progress(len(fragments), len(fragments) + 1, "fragments")
    runs = [counting.read(folder / COUNTS, fragment.key, settings.order) for fragment in fragments]
    if not sum(int(run.levels[0][COUNT, END]) for run in runs):
        raise BadInput(
            f"There is nothing to train on: column {settings.column!r} holds no {settings.unit} in {len(fragments)} fragments.",
            hint="Choose another column or split; fourfold describe shows what the dataset holds.",
        )
    figures = _estimate(settings, runs, folder)
    progress(len(fragments) + 1, len(fragments) + 1, "fragments")
    if dev is not None:
        measured = Ngram.load(folder, "numpy").perplexity(dev)
        if measured.tokens.sum():
            figures |= {"dev_perplexity": measured.value, "dev_unknown_tokens": int(measured.unknown.sum())}
    return {"tasks": list(Ngram.tasks), "unit": settings.unit, "order": settings.order, "training": figures}


def _count(settings: Ngram, fragment: Fragment, folder: Path, reuse: Path | None) -> None:
    """Put the fragment's counts into the folder: those of `reuse` where it has them, else by counting."""
    names = counting.files_of(fragment.key, settings.order)
    if all((folder / name).is_file() for name in names):  # a fragment that is there twice
        return
    if reuse is not None and all((reuse / name).is_file() for name in names):
        for name in names:
            shutil.copyfile(reuse / name, folder / name)
        return
    memory = settings.memory_mb << 20
    batches = read_fragment(fragment, settings.column, settings.unit, memory // counting.BYTES_PER_TOKEN)[1]
    counting.count_all(batches, settings.order, folder, fragment.key, memory)


def _estimate(settings: Ngram, runs: list[Counts], folder: Path) -> dict[str, Any]:
    """Write the model of these counts, and return its figures."""
    memory = settings.memory_mb << 20
    least = [*(settings.min_count or (1,))]
    least += [least[-1]] * (settings.order - len(least))
    with Workspace(folder, memory, on_disk=counting.outgrow(runs, memory)) as space:
        counts = counting.merge(runs, space)
        if settings.vocabulary:
            counts = counting.limit(counts, settings.vocabulary, space)
        tables, discounts = estimate(counts, least, settings.discount_fallback, space)
        if settings.prune:
            tables = prune(tables, settings.prune)
        write_tables(tables, folder)
        write_arpa(tables, folder / ARPA)
        unigrams = counts.levels[0][COUNT]
        figures: dict[str, Any] = {
            "sentences": int(unigrams[BEGIN]),
            "tokens": int(unigrams.sum()) - int(unigrams[BEGIN]),  # ends counted
            "words": len(counts.words) - len(SPECIAL),
            "ngrams": [len(keys) for keys in tables.keys],
            "discounts": discounts,
        }
    description = {"settings": settings_of(settings), "tokenizer": tokenizer_name(settings.unit), "training": figures}
    (folder / DESCRIPTION).write_bytes(msgspec.json.format(msgspec.json.encode(description), indent=1))
    return figures
