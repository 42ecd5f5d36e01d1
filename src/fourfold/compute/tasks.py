"""The tasks: for each, what goes in, which options it has, and what comes out. These types are the HTTP bodies, too.

A Model serves a task by a method of its name: `tag(inputs, options) -> list of results`, one result per input, in order.
Offsets are Unicode code points, half-open. Scores are in [0, 1] unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType


class TextInput(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A text. `id` comes back with its result."""

    text: str
    id: str = ""


class TagInput(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A text to tag. `tokens`: its words where they are known already (they must occur in `text` in order); `columns`: what
    else is known of each of them, for a model whose template reads it (lemma, deprel …).
    """

    text: str
    id: str = ""
    tokens: list[str] | None = None
    columns: dict[str, list[str]] | None = None


class TagOptions(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """No options yet."""


class Token(Struct):
    """A word, its place, its label, and the model's calibrated probability that the label is right."""

    text: str
    start: int
    end: int
    label: str
    score: float


class Span(Struct):
    """A labelled stretch of text, for label sets in BIO form; `score` is the probability of the whole stretch."""

    text: str
    start: int
    end: int
    label: str
    score: float


class Tagged(Struct):
    """Result of `tag`."""

    id: str
    tokens: list[Token]
    calibrated: bool
    spans: list[Span] | UnsetType = UNSET


class Item(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A candidate to rank."""

    text: str
    id: str = ""


class RankInput(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Either `text`, whose own segments are ranked, or `items` to rank, after `query` where there is one."""

    text: str = ""
    id: str = ""
    query: str = ""
    items: list[Item] = msgspec.field(default_factory=list)


class RankOptions(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """`unit`: what a segment of a text is."""

    unit: Literal["word", "sentence"] = "word"


class Ranking(Struct, omit_defaults=True):
    """A segment or item with its share: the scores of a ranking sum to 1."""

    text: str
    score: float
    id: str = ""
    start: int | UnsetType = UNSET
    end: int | UnsetType = UNSET


class Ranked(Struct):
    """Result of `rank`: all segments or items, best first."""

    id: str
    ranking: list[Ranking]


class ScoreOptions(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """`per_token`: also give each token's probability."""

    per_token: bool = True


class ScoredToken(Struct):
    """A token and its log10 probability after what stands before it; `</s>` closes the text."""

    text: str
    log10_probability: float


class Scored(Struct):
    """Result of `score`: log10 probability of the text with its end, and perplexity per token (the end counts as one)."""

    id: str
    log10_probability: float
    perplexity: float
    unknown_tokens: int
    tokens: list[ScoredToken] | UnsetType = UNSET


class SuggestOptions(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """`top_k` completions, best first."""

    top_k: int = 10


class Suggestion(Struct):
    """A completed text and its probability among all continuations of the prefix."""

    text: str
    score: float


class Suggested(Struct):
    """Result of `suggest`."""

    id: str
    suggestions: list[Suggestion]


class GenerateOptions(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Sampling. `temperature` 0 takes the most probable token; `top_k` 0 samples from all; equal seeds, equal texts."""

    max_tokens: int = 50
    temperature: float = 1.0
    top_k: int = 0
    seed: int = 0


class Generated(Struct):
    """Result of `generate`: the text that follows the given one."""

    id: str
    text: str
    tokens: int
    finish_reason: Literal["stop", "length"]


class EmbedOptions(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """No options yet."""


class Embedded(Struct):
    """Result of `embed`: a vector of length 1, so that the product of two says how close their texts are; all zeros where
    nothing of the text is known.
    """

    id: str
    embedding: list[float]


class Model(Protocol):
    """What serving calls; a model has the methods of the tasks that its version names."""

    def tag(self, inputs: Sequence[TagInput], options: TagOptions) -> list[Tagged]: ...
    def rank(self, inputs: Sequence[RankInput], options: RankOptions) -> list[Ranked]: ...
    def score(self, inputs: Sequence[TextInput], options: ScoreOptions) -> list[Scored]: ...
    def suggest(self, inputs: Sequence[TextInput], options: SuggestOptions) -> list[Suggested]: ...
    def generate(self, inputs: Sequence[TextInput], options: GenerateOptions) -> list[Generated]: ...
    def embed(self, inputs: Sequence[TextInput], options: EmbedOptions) -> list[Embedded]: ...


@dataclass(frozen=True, slots=True)
class Task:
    """A task's types; `input`, `options` and `result` are msgspec Structs."""

    name: str
    input: type[Struct]
    options: type[Struct]
    result: type[Struct]


TASKS = {
    task.name: task
    for task in (
        Task("tag", TagInput, TagOptions, Tagged),
        Task("rank", RankInput, RankOptions, Ranked),
        Task("score", TextInput, ScoreOptions, Scored),
        Task("suggest", TextInput, SuggestOptions, Suggested),
        Task("generate", TextInput, GenerateOptions, Generated),
        Task("embed", TextInput, EmbedOptions, Embedded),
    )
}
