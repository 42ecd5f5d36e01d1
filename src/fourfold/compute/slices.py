"""Slices of an evaluation: documents that have their language, length or source file in common."""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fourfold.data.describe import language

KANA = re.compile(r"[\u3040-\u30ff]")
HANGUL = re.compile(r"[\u1100-\u11ff\uac00-\ud7af]")
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
LONGEST = (5, 10, 20, 40)  # tokens: the last of each length slice but the longest
SOURCES = 12  # files with a slice of their own


@dataclass(frozen=True, slots=True)
class Facts:
    """What a document is sliced by: its text's language, its length in tokens, the file it came from."""

    doc_id: str
    language: str
    tokens: int
    source: str


@dataclass(frozen=True, slots=True)
class Slice:
    """Documents that share `value` of `by` (language, length, source)."""

    by: str
    value: str
    doc_ids: frozenset[str]

    def among(self, doc_ids: Sequence[str]) -> NDArray[np.bool_]:
        """Which of `doc_ids` belong to the slice, (D,)."""
        return np.fromiter((doc_id in self.doc_ids for doc_id in doc_ids), bool, len(doc_ids))


def language_of(text: str) -> str:
    """By script: `zh` where `describe` says so, `ja`, `ko`, `en` for all that is Latin, `other`; `none` without letters."""
    found = language(text)
    if found == "zh":
        return "ja" if KANA.search(text) else "zh"
    if found == "none":
        return found
    scripts = {"ja": KANA, "ko": HANGUL, "en": LATIN}
    return next((name for name, script in scripts.items() if script.search(text)), "other")


def length_of(tokens: int) -> str:
    """The length slice of a number of tokens, such as `6–10`."""
    place = bisect.bisect_left(LONGEST, tokens)
    first = 1 if place == 0 else LONGEST[place - 1] + 1
    return f"{first}–{LONGEST[place]}" if place < len(LONGEST) else f"over {LONGEST[-1]}"


def slices_of(facts: Iterable[Facts]) -> list[Slice]:
    """All slices: languages and files by size, lengths from short to long; files beyond SOURCES are one, `other files`."""
    facts = list(facts)
    lengths = [length_of(n) for n in (*LONGEST, LONGEST[-1] + 1)]
    common = {source for source, _ in Counter(f.source for f in facts).most_common(SOURCES)}
    return [
        *_group("language", [(f.language, f.doc_id) for f in facts]),
        *sorted(_group("length", [(length_of(f.tokens), f.doc_id) for f in facts]), key=lambda s: lengths.index(s.value)),
        *_group("source", [(f.source if f.source in common else "other files", f.doc_id) for f in facts]),
    ]


def _group(by: str, pairs: list[tuple[str, str]]) -> list[Slice]:
    groups: dict[str, list[str]] = {}
    for value, doc_id in pairs:
        groups.setdefault(value, []).append(doc_id)
    return [Slice(by, value, frozenset(ids)) for value, ids in sorted(groups.items(), key=lambda g: (-len(g[1]), g[0]))]
