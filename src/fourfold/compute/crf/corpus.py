"""Labelled rows of a dataset as training examples, each for one unit; rows that cannot be used are counted under a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fourfold.compute.crf.attributes import Sentence
from fourfold.compute.crf.characters import character_sentence, find_characters_of, joint_labels
from fourfold.compute.crf.sentences import locate, word_sentence
from fourfold.compute.crf.template import Unit
from fourfold.compute.crf.words import is_chinese, is_han
from fourfold.core.errors import BadInput
from fourfold.data.dataset import Dataset

UnitSetting = Literal["auto", "word", "character"]


@dataclass(frozen=True, slots=True)
class Example:
    """A row: its text, its tokens, their tags, and the columns that the template reads."""

    text: str
    tokens: list[str]
    tags: list[str]
    columns: Mapping[str, list[str]]
    unit: Unit


def read_examples(
    dataset: Dataset, tokens: str, tags: str, columns: Sequence[str], unit: UnitSetting
) -> tuple[list[Example], dict[str, int]]:
    """The usable rows, and how many were passed over for which reason.

    Raises BadInput if a column is missing or no row is usable.
    """
    rows = dataset.table(["text", tokens, tags, *columns]).to_pylist()
    examples: list[Example] = []
    skipped: Counter[str] = Counter()
    for row in rows:
        values = {name: row[name] for name in (tokens, tags, *columns)}
        reason = _fault(values, tokens)
        if reason:
            skipped[reason] += 1
            continue
        text = row["text"] or " ".join(row[tokens])
        which = unit_of(text, row[tokens], unit)
        if which == "character" and not _occur(text, row[tokens]):
            skipped["tokens are not in the text"] += 1
            continue
        examples.append(Example(text, row[tokens], row[tags], {name: row[name] for name in columns}, which))
    if not examples:
        reasons = "; ".join(f"{count} × {reason}" for reason, count in skipped.items()) or "there are no rows"
        raise BadInput(
            f"No row can be used to train on columns {tokens!r} and {tags!r}: {reasons}.",
            hint="The settings tokens and tags name the list columns of words and labels; fourfold show DATASET shows rows.",
        )
    return examples, dict(skipped)


def _fault(values: Mapping[str, object], tokens: str) -> str:
    """Why a row cannot be used, or an empty string."""
    for name, value in values.items():
        if not isinstance(value, list):
            return f"no list in {name}"
        if not all(isinstance(item, str) and item.strip() and "\0" not in item for item in value):
            return f"a blank item in {name}"
    if not values[tokens]:
        return f"no list in {tokens}"
    lengths = {len(value) for value in values.values()}  # type: ignore[arg-type]
    return "" if len(lengths) == 1 else "lists of different lengths"


def unit_of(text: str, tokens: Sequence[str], setting: UnitSetting) -> Unit:
    """`auto`: characters for Chinese text that is not divided by spaces already, words for all else."""
    if setting != "auto":
        return setting
    return "character" if is_chinese(text) and text != " ".join(tokens) else "word"


def _occur(text: str, tokens: Sequence[str]) -> bool:
    try:
        locate(text, tokens)
    except BadInput:
        return False
    return True


def single_han(examples: Sequence[Example]) -> bool:
    """Whether the Chinese words of word examples are single characters, as in character-wise CoNLL files."""
    lengths = [len(token) for example in examples if example.unit == "word" for token in example.tokens if is_han(token)]
    return len(lengths) > 0 and sum(length == 1 for length in lengths) >= 0.95 * len(lengths)


def training_pair(example: Example, word_columns: Collection[str]) -> tuple[Sentence, list[str]]:
    """What the model of the example's unit learns from it: a sentence, and the labels of its tokens."""
    if example.unit == "word":
        return word_sentence(example.tokens, example.columns, word_columns), example.tags
    words = locate(example.text, example.tokens)
    places, _ = find_characters_of(example.text, words)
    return character_sentence(example.text, places), joint_labels(places, words, example.tags)
