"""A trained CRF, opened: decodes the pieces of texts and serves `tag` and `rank`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

import numpy as np
from msgspec import UNSET

from fourfold.compute.calibrate import Calibration
from fourfold.compute.crf.characters import goes_on, is_bio
from fourfold.compute.crf.decode import FORBIDDEN, Decoded, Decoder
from fourfold.compute.crf.features import Lexicon
from fourfold.compute.crf.scores import StateScores
from fourfold.compute.crf.sentences import Piece, Reader
from fourfold.compute.crf.template import Feature, Unit, brought, columns_of
from fourfold.compute.crf.weights import Floats, Ints, Weights
from fourfold.compute.tasks import Ranked, Ranking, RankInput, RankOptions, Span, Tagged, TagInput, TagOptions, Token
from fourfold.core.errors import BadInput

BATCH_TOKENS = 16_384  # tokens that are decoded at once: bounds memory, and is past the point where more is faster


@dataclass(frozen=True, slots=True)
class Stretches:
    """Stretches of tokens in a batch of pieces, in order: [starts, ends) count through the batch; `names` are their labels;
    `confidence` is the model's own, not calibrated.
    """

    starts: Ints
    ends: Ints
    names: list[str]
    confidence: Floats


class UnitModel:
    """One CRF: of words, or of characters, whose labels are B-tag and I-tag."""

    def __init__(self, unit: Unit, features: Sequence[Feature], lexicon: Lexicon, weights: Weights) -> None:
        self.unit, self.labels, self.columns = unit, weights.labels, columns_of(features)
        self.joint = unit == "character"
        self.tags = tuple(label[2:] for label in self.labels) if self.joint else self.labels
        self.marks_spans = is_bio(self.tags)
        self._begins = np.array([not (self.joint and label.startswith("I-")) for label in self.labels])
        in_word = goes_on(self.labels) & ~self._begins
        in_span = goes_on(self.tags) & self._begins | in_word  # a span goes on with its next word, and inside a word
        in_span[[tag == "O" for tag in self.tags]] = False
        self._in_span = in_span
        transitions = weights.transitions
        if self.joint:  # a word goes on with its own label, or it would be no word
            transitions = np.where(self._begins | in_word, transitions, FORBIDDEN)
        self.scores = StateScores(features, lexicon, weights)
        self.decoder = Decoder(transitions, [*([in_word] if self.joint else []), *([in_span] if self.marks_spans else [])])

    def decode(self, pieces: Sequence[Piece]) -> Decoded:
        """The labels and probabilities of all tokens of the pieces, one piece after another."""
        scores = self.scores([piece.sentence for piece in pieces])
        if self.joint:
            self._constrain(scores, pieces)
        return self.decoder(scores, np.array([len(piece.places) for piece in pieces], np.int64))

    def _constrain(self, scores: Floats, pieces: Sequence[Piece]) -> None:
        """Forbid I- where a word must begin (at a piece's start, after a space, as given), and B- inside given words."""
        must = np.array([*chain.from_iterable(map(_must_begin, pieces))], np.bool_)
        never = np.array([*chain.from_iterable(map(_must_not_begin, pieces))], np.bool_)
        scores[must[:, None] & ~self._begins] = FORBIDDEN
        if not self._begins.all():  # else all training words had one character: there is no label for a second
            scores[never[:, None] & self._begins] = FORBIDDEN

    def words(self, pieces: Sequence[Piece]) -> tuple[Stretches, Decoded]:
        """The words of the pieces: one per token, or for characters one per B- with the I- behind it."""
        decoded = self.decode(pieces)
        if not self.joint:
            starts = np.arange(len(decoded.path))
            names = [*map(self.labels.__getitem__, decoded.path.tolist())]
            return Stretches(starts, starts + 1, names, decoded.probability), decoded
        given = [piece.begins for piece in pieces if piece.begins is not None]
        begins = np.concatenate(given) if given else self._begins[decoded.path]
        (starts,) = np.nonzero(begins)
        ends = np.append(starts[1:], len(begins))
        names = [self.tags[label] for label in decoded.path[starts].tolist()]
        return Stretches(starts, ends, names, decoded.stretches(starts, ends, 0)), decoded

    def spans(self, pieces: Sequence[Piece], decoded: Decoded) -> Stretches:
        """The labelled stretches of BIO tags: a B-X, or an I-X that continues nothing, and the I-X behind it."""
        path = decoded.path
        offsets = np.cumsum([0, *(len(piece.places) for piece in pieces)])
        joined = np.concatenate([[False], self._in_span[path[:-1], path[1:]]])
        joined[offsets[:-1]] = False
        outside = np.array([tag == "O" for tag in self.tags])
        edges = np.append(np.nonzero(~joined)[0], len(path))
        starts, ends = edges[:-1], edges[1:]
        kept = ~outside[path[starts]]
        starts, ends = starts[kept], ends[kept]
        names = [self.tags[label][2:] for label in path[starts].tolist()]
        return Stretches(starts, ends, names, decoded.stretches(starts, ends, -1))


def _must_begin(piece: Piece) -> list[bool]:
    if piece.begins is not None:
        return piece.begins.tolist()
    return [True, *(before[1] < here[0] for before, here in pairwise(piece.places))]


def _must_not_begin(piece: Piece) -> list[bool]:
    return (~piece.begins).tolist() if piece.begins is not None else [False] * len(piece.places)


@dataclass(slots=True)
class _Reading:
    """What is found in one input. `sentence_ends`: numbers of tokens up to the end of each sentence."""

    tokens: list[Token] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    sentence_ends: list[int] = field(default_factory=list)
    calibrated: bool = True


class CrfModel:
    """Serves one version: `units` holds its models; `calibrations` those of word, character, given and span (docs/crf.md)."""

    def __init__(
        self, units: Mapping[Unit, UnitModel], columns: Sequence[str], calibrations: Mapping[str, Calibration], single_han: bool
    ) -> None:
        self.units, self.calibrations = units, calibrations
        self.columns = brought(columns, "word")
        self.reader = Reader(tuple(units), columns, single_han)
        self.marks_spans = any(model.marks_spans for model in units.values())

    def tag(self, inputs: Sequence[TagInput], options: TagOptions) -> list[Tagged]:
        """The words of each text with labels and scores; of given tokens, exactly those. A blank text has none."""
        return [
            Tagged(given.id, reading.tokens, reading.calibrated, reading.spans if self.marks_spans else UNSET)
            for given, reading in zip(inputs, self._read(inputs))
        ]

    def rank(self, inputs: Sequence[RankInput], options: RankOptions) -> list[Ranked]:
        """The words or sentences of each text, those first whose labels the model is surest of; scores sum to 1."""
        for i, each in enumerate(inputs):
            if each.items or each.query:
                raise BadInput(
                    f"inputs[{i}]: a CRF ranks the segments of a text, not items or answers to a query.",
                    hint="Give text alone, or ask a deployment of an n-gram model.",
                )
        texts = [TagInput(each.text, each.id) for each in inputs]
        return [Ranked(each.id, _ranking(each.text, found, options)) for each, found in zip(texts, self._read(texts))]

    def close(self) -> None:
        """Nothing is held open."""

    def _read(self, inputs: Sequence[TagInput]) -> list[_Reading]:
        readings = [_Reading() for _ in inputs]
        batch: list[tuple[int, Piece]] = []
        waiting = 0
        for i, given in enumerate(inputs):
            for piece in self._pieces(i, given):
                batch.append((i, piece))
                waiting += len(piece.places)
                if waiting >= BATCH_TOKENS:
                    self._finish(inputs, batch, readings)
                    batch, waiting = [], 0
        self._finish(inputs, batch, readings)
        return readings

    def _pieces(self, i: int, given: TagInput) -> Iterator[Piece]:
        """The sentences of one input. Raises BadInput that names the input."""
        path = f"inputs[{i}]"
        columns = given.columns or {}
        if any(name not in columns for name in self.columns) and self._reads_words(given):
            raise BadInput(
                f"{path}: this version's template reads the columns {', '.join(self.columns)}, of each word one value.",
                hint="Give tokens, and under columns a list of the same length for each of these names.",
            )
        count = len(given.tokens or ())
        for name, values in columns.items():
            if len(values) != count:
                raise BadInput(f"{path}.columns.{name} has {len(values)} values for {count} tokens.")
        if given.tokens is None:
            return self.reader.pieces(given.text)
        try:
            return iter([*self.reader.given(given.text, given.tokens, columns)])
        except BadInput as error:
            raise BadInput(f"{path}.{error.message}", hint=error.hint) from error

    def _reads_words(self, given: TagInput) -> bool:
        """Whether any part of an input goes to the word model."""
        if given.tokens is not None:
            return self.reader.unit_of(given.text) == "word"
        return any(unit == "word" for unit, _ in self.reader.parts(given.text))

    def _finish(self, inputs: Sequence[TagInput], batch: list[tuple[int, Piece]], readings: list[_Reading]) -> None:
        """Decode a batch of (input, piece), and add what is found to the inputs' readings, in order."""
        found: dict[int, _Found] = {}
        for numbers in _alike([piece for _, piece in batch]):
            found |= zip(numbers, self._find([batch[k][1] for k in numbers]))
        for k, (i, _) in enumerate(batch):
            reading, text = readings[i], inputs[i].text
            words, spans, calibrated = found[k]
            reading.tokens += [Token(text[a:b], a, b, name, score) for a, b, name, score in words]
            reading.spans += [Span(text[a:b], a, b, name, score) for a, b, name, score in spans]
            reading.sentence_ends.append(len(reading.tokens))
            reading.calibrated &= calibrated

    def _find(self, pieces: Sequence[Piece]) -> Iterator[_Found]:
        """Words and spans of pieces that can be decoded together."""
        model = self.units[pieces[0].unit]
        stretches, decoded = model.words(pieces)
        key = "given" if model.joint and pieces[0].begins is not None else model.unit
        scores, calibrated = self._calibrate(key, stretches.confidence)
        words = _by_piece(stretches, scores, pieces)
        if not model.marks_spans:
            return ((each, [], calibrated) for each in words)
        spans = model.spans(pieces, decoded)
        marked = _by_piece(spans, self._calibrate("span", spans.confidence)[0], pieces)
        return ((each, inside, calibrated) for each, inside in zip(words, marked))

    def _calibrate(self, key: str, confidence: Floats) -> tuple[list[float], bool]:
        calibration = self.calibrations.get(key)
        scores = np.clip(confidence, 0.0, 1.0) if calibration is None else calibration.apply(confidence)
        return scores.tolist(), calibration is not None


def _alike(pieces: Sequence[Piece]) -> list[list[int]]:
    """Numbers of the pieces that can be decoded together: of one unit, and with or without given words."""
    groups: dict[tuple[Unit, bool], list[int]] = {}
    for number, piece in enumerate(pieces):
        groups.setdefault((piece.unit, piece.begins is None), []).append(number)
    return [*groups.values()]


_Place = tuple[int, int, str, float]  # start, end, label, score
_Found = tuple[list[_Place], list[_Place], bool]  # words, spans, whether the words' scores are calibrated


def _by_piece(stretches: Stretches, scores: list[float], pieces: Sequence[Piece]) -> Iterator[list[_Place]]:
    """For each piece its stretches, with the code points of their first and last token."""
    places = [place for piece in pieces for place in piece.places]
    found = [
        (places[first][0], places[end - 1][1], name, score)
        for first, end, name, score in zip(stretches.starts.tolist(), stretches.ends.tolist(), stretches.names, scores)
    ]
    bounds = np.searchsorted(stretches.starts, np.cumsum([0, *(len(piece.places) for piece in pieces)])).tolist()
    for first, end in pairwise(bounds):
        yield found[first:end]


def _ranking(text: str, reading: _Reading, options: RankOptions) -> list[Ranking]:
    """Segments by confidence, each divided by the sum of all; a sentence's is the geometric mean of its words'."""
    tokens = reading.tokens
    segments = [(token.start, token.end, token.score) for token in tokens]
    if options.unit == "sentence":
        segments = [
            (tokens[a].start, tokens[b - 1].end, math.exp(sum(math.log(max(t.score, 1e-12)) for t in tokens[a:b]) / (b - a)))
            for a, b in pairwise([0, *reading.sentence_ends])
        ]
    total = sum(score for _, _, score in segments) or 1.0
    ranked = sorted(segments, key=lambda segment: (-segment[2], segment[0]))
    return [Ranking(text[start:end], score / total, start=start, end=end) for start, end, score in ranked]
