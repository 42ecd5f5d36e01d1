"""What may follow a text: the most probable completions (beam search), or one drawn at random."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from fourfold.compute import tasks
from fourfold.compute.ngram.query import Lookup
from fourfold.compute.ngram.text import END, SPECIAL, UNKNOWN, Unit, cut, join, read_texts

MAX_TOKENS = {"word": 8, "token": 8, "character": 16}  # of a completion
MIN_WIDTH = 20  # of the beam
LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Path:
    """Words so far, their log probability, and the model's state after them."""

    words: tuple[int, ...]
    log: float
    state: np.ndarray


def complete(lookup: Lookup, text: str, unit: Unit, top_k: int) -> list[tuple[str, float]]:
    """The best completed texts and their probabilities among all continuations of `text`, best first.

    A word at the text's very end is taken for the begin of a word that the model knows. A completion goes to a sentence's end,
    or to `MAX_TOKENS` tokens. `<unk>` is never suggested, nor that nothing follows a space.
    """
    line = text.rpartition("\n")[2]
    tokens = cut(line, unit)
    begun = tokens[-1] if unit != "character" and tokens and not line[-1].isspace() else ""
    ids = lookup.ids(read_texts([line], unit, keep_blank=True))[:-1]
    words = lookup.tables.words
    matching = slice(bisect_left(words, begun, len(SPECIAL)), bisect_left(words, begun + LAST, len(SPECIAL)))
    if matching.start == matching.stop:  # a word that is not known, and begins none: go on after it
        begun = ""
    state = lookup.read(ids[:-1] if begun else ids)
    first = _next(lookup, state)
    if begun:
        allowed = np.zeros_like(first)
        allowed[matching] = first[matching]
        first = allowed / allowed.sum()
    else:
        first[END] = 0.0
        first /= first.sum()
    found: dict[str, float] = {}
    for path in _beam(lookup, state, first, MAX_TOKENS[unit], top_k):
        spelled = [words[i] for i in path.words if i != END]
        head = spelled[0][len(begun) :] if begun else join(spelled[:1], unit, before=line)
        whole = text + head + join(spelled[1:], unit, before=spelled[0])
        found[whole] = found.get(whole, 0.0) + float(np.exp(path.log))
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))[:top_k]


def _beam(lookup: Lookup, state: np.ndarray, first: np.ndarray, steps: int, top_k: int) -> list[Path]:
    """Paths that ended, or that have `steps` words."""
    width = max(MIN_WIDTH, 2 * top_k)
    open_paths, ended = [Path((), 0.0, state)], []
    for step in range(steps):
        grown = [
            p for path in open_paths for p in _grow(lookup, path, first if step == 0 else _next(lookup, path.state), width)
        ]
        grown.sort(key=lambda path: -path.log)
        ended += [path for path in grown if path.words[-1] == END]
        ended.sort(key=lambda path: -path.log)
        open_paths = [
            Path(path.words, path.log, lookup.after(path.state, path.words[-1])) for path in grown if path.words[-1] != END
        ][:width]
        if not open_paths or (len(ended) >= top_k and ended[top_k - 1].log >= open_paths[0].log):
            break
    return ended + open_paths


def _grow(lookup: Lookup, path: Path, p: np.ndarray, width: int) -> list[Path]:
    best = np.argpartition(-p, min(width, len(p) - 1))[:width]
    return [Path((*path.words, i), path.log + float(np.log(p[i])), path.state) for i in best.tolist() if p[i] > 0]


def _next(lookup: Lookup, state: np.ndarray) -> np.ndarray:
    """Probabilities of the next word, of those that can be said."""
    p = lookup.next(state)
    p[UNKNOWN] = 0.0
    return p / p.sum()


def sample(lookup: Lookup, history: np.ndarray, options: tasks.GenerateOptions) -> list[int]:
    """Words drawn one after the other, up to and with `</s>`, or `max_tokens` of them."""
    draw = np.random.default_rng(options.seed)
    state, words = lookup.read(history), []
    while len(words) < options.max_tokens:
        p = _next(lookup, state)
        words.append(_choose(p, options, draw))
        if words[-1] == END:
            break
        state = lookup.after(state, words[-1])
    return words


def _choose(p: np.ndarray, options: tasks.GenerateOptions, draw: np.random.Generator) -> int:
    if options.temperature == 0:
        return int(p.argmax())
    allowed = np.argsort(-p, kind="stable")[: options.top_k] if options.top_k else np.arange(len(p))
    weight = (p[allowed] / p.max()) ** (1 / options.temperature)
    total = np.cumsum(weight)
    return int(allowed[np.searchsorted(total, draw.random() * total[-1], "right")])
