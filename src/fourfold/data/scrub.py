"""Replacing what detectors find: in strings, in JSON, in numbers, and in token lists that stay in step with their text."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import blake3

from fourfold.data.columns import map_json
from fourfold.data.detectors import Detector, Finding
from fourfold.data.tokens import gaps, join

Action = Literal["mask", "replace", "hash", "drop", "keep"]
NUMBERS = frozenset({"PHONE_NUMBER", "CN_MOBILE", "CREDIT_CARD", "CN_BANK_CARD"})  # equal if their digits are
LOCAL_DIGITS = 11  # +86 138… and 138… are one number
KEY_BYTES = 32
PSEUDONYM_DIGITS = 16  # 64 bits: of ten million people no two are likely to get one pseudonym


@dataclass(frozen=True, slots=True)
class Actions:
    """What is done with each entity. `key`: 32 secret bytes that pseudonyms and hashes are made with. `originals`, where it is
    kept, takes what each of these stands for.
    """

    default: Action
    by_entity: Mapping[str, Action]
    key: bytes
    originals: dict[str, str] | None = None

    def of(self, entity: str) -> Action:
        """The action for an entity."""
        return self.by_entity.get(entity, self.default)

    def instead(self, entity: str, value: str) -> str:
        """What stands for `value`: `<ENTITY>`, the same pseudonym for equal values, or 32 hex digits of keyed BLAKE3."""
        action = self.of(entity)
        if action == "keep":
            return value
        if action in ("mask", "drop"):
            return f"<{entity}>"
        digest = blake3.blake3(f"{entity}:{_same(entity, value)}".encode(), key=self.key).hexdigest()
        made = digest[:32] if action == "hash" else f"{entity}_{digest[:PSEUDONYM_DIGITS]}"
        if self.originals is not None:
            self.originals.setdefault(made, value)
        return made


def _same(entity: str, value: str) -> str:
    """One spelling for equal values."""
    plain = unicodedata.normalize("NFKC", value)
    if entity in NUMBERS:
        digits = "".join(c for c in plain if c.isdigit())
        return digits[-LOCAL_DIGITS:] if entity == "CN_MOBILE" else digits
    return "".join(plain.split()).casefold()


@dataclass(slots=True)
class Scrubbed:
    """Values of one column after scrubbing, how many findings each had, and which rows hold an entity that drops the row."""

    values: list[str | None]
    counts: list[int]
    drops: dict[int, str] = field(default_factory=dict)


class Scrubber:
    """Applies detectors and actions to columns, and counts findings per entity and column."""

    def __init__(self, detectors: Sequence[Detector], actions: Actions) -> None:
        self._detectors, self._actions = detectors, actions
        self.findings: dict[str, Counter[str]] = {}

    def column(self, name: str, values: Sequence[str | None]) -> Scrubbed:
        """Scrubbed strings of a column. Its name counts as context, so that a bare number in `phone` is seen as one."""
        context = "" if name == "text" else f"{name.replace('_', ' ')}: "
        done = Scrubbed(list(values), [0] * len(values))
        plain = [i for i, value in enumerate(values) if value and (name == "text" or value[0] not in "[{")]
        for i, found in zip(plain, find(self._detectors, [context + (values[i] or "") for i in plain])):
            inside = _within(found, len(context))
            if inside:
                done.values[i] = self._replaced(values[i] or "", inside)
                self._count(done, i, name, inside)
        for i, value in enumerate(values):
            if value and name != "text" and value[0] in "[{":
                done.values[i] = map_json(value, lambda leaf, i=i: self._leaf(leaf, done, i, name), everything=True)
        return done

    def sentence(self, text: str, tokens: Sequence[str]) -> tuple[str, list[str], list[Finding]]:
        """Text and tokens with each token that overlaps a finding replaced as a whole; as many tokens as before.

        Where the tokens make up the text it is rebuilt from them; else each is scrubbed for itself.
        """
        spaces = gaps(text, tokens)
        if spaces is not None:
            found = find(self._detectors, [text])[0]
            scrubbed = self._tokens(tokens, spaces, found, text)
            return join(spaces, scrubbed) if scrubbed != list(tokens) else text, scrubbed, found
        spaces = ["", *[" "] * (len(tokens) - 1), ""] if tokens else [""]
        joined = " ".join(tokens)
        in_text, in_tokens = find(self._detectors, [text, joined])
        return self._replaced(text, in_text), self._tokens(tokens, spaces, in_tokens, joined), in_text or in_tokens

    def note(self, done: Scrubbed, i: int, column: str, found: Sequence[Finding]) -> None:
        """Count findings of row `i` that `sentence` gave."""
        self._count(done, i, column, found)

    def _replaced(self, text: str, found: Sequence[Finding]) -> str:
        parts, at = [], 0
        for f in found:
            parts += [text[at : f.start], self._actions.instead(f.entity, text[f.start : f.end])]
            at = f.end
        return "".join([*parts, text[at:]])

    def _leaf(self, leaf: str, done: Scrubbed, i: int, name: str) -> str:
        found = find(self._detectors, [leaf])[0] if leaf else []
        self._count(done, i, name, found)
        return self._replaced(leaf, found)

    def _tokens(self, tokens: Sequence[str], spaces: Sequence[str], found: Sequence[Finding], text: str) -> list[str]:
        scrubbed, at = [], 0
        for space, token in zip(spaces, tokens):
            start = at + len(space)
            at = start + len(token)
            hit = next((f for f in found if f.start < at and start < f.end and self._actions.of(f.entity) != "keep"), None)
            scrubbed.append(token if hit is None else self._actions.instead(hit.entity, text[hit.start : hit.end]))
        return scrubbed

    def _count(self, done: Scrubbed, i: int, column: str, found: Sequence[Finding]) -> None:
        for f in found:
            self.findings.setdefault(f.entity, Counter())[column] += 1
            action = self._actions.of(f.entity)
            if action == "drop":
                done.drops.setdefault(i, f.entity)
            if action != "keep":
                done.counts[i] += 1


def _within(found: Sequence[Finding], offset: int) -> list[Finding]:
    """The findings after the first `offset` characters, counted from there."""
    return [Finding(f.start - offset, f.end - offset, f.entity, f.score) for f in found if f.start >= offset]


def find(detectors: Sequence[Detector], texts: Sequence[str]) -> list[list[Finding]]:
    """Findings of all detectors in order of start; where they overlap, those of the earlier detector."""
    merged: list[list[Finding]] = [[] for _ in texts]
    for detector in detectors:
        for found, more in zip(merged, detector(texts)):
            found += [f for f in more if not any(f.start < g.end and g.start < f.end for g in found)]
    return [sorted(found, key=lambda f: f.start) for found in merged]
