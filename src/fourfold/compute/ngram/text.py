"""Text to word ids and back. A line is a sentence; blank lines hold none."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
import pyarrow as pa
import rjieba

Unit = Literal["word", "character", "token"]

UNKNOWN, BEGIN, END = 0, 1, 2
SPECIAL = ("<unk>", "<s>", "</s>")

HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
WORD = re.compile(
    r"""\n
    | <[A-Z][A-Z_]*>                        # what masking leaves: <EMAIL_ADDRESS>
    | \d+(?:[.,:]\d+)+                      # 1,000 and 12:30
    | \w+?(?=n['’]t\b) | n['’]t\b           # do n't, as treebanks cut it
    | ['’](?:s|m|d|re|ve|ll)\b              # it 's
    | \w+(?:-\w+)*
    | \.+ | -+ | —+ | …+ | [^\w\s\0]""",
    re.VERBOSE | re.IGNORECASE,
)
TOKEN = re.compile(r"\n|[^\s\0]+")
CODE_POINTS = sys.maxunicode + 1
# NUL counts as a space: ARPA readers take it for one
SPACES = np.array([c for c in range(0x3001) if (chr(c).isspace() or c == 0) and chr(c) != "\n"])

CJK = re.compile("[\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff65\U00020000-\U0003ffff]")
CLITIC = re.compile(r"n['’]t|['’](?:s|m|d|re|ve|ll)", re.IGNORECASE)
CLOSING = frozenset(".,;:!?%)]}…’”/") | {"...", ".."}
OPENING = frozenset("([{“‘$#@/")


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences as ids. `words`: `SPECIAL`, then the other words sorted by code point, an id being a place in this list.

    `ids`: int32, each sentence as `<s>` … `</s>`, one after the other. `documents`: for each sentence, whose line it is.
    """

    words: list[str]
    ids: np.ndarray
    documents: np.ndarray


def tokenizer_name(unit: Unit) -> str:
    """What cuts the text, with its version: other versions may cut otherwise, and so count otherwise."""
    return (
        f"word-1 rjieba-{version('rjieba')} unicode-{sys.version_info[0]}.{sys.version_info[1]}"
        if unit == "word"
        else f"{unit}-1"
    )


def cut(text: str, unit: Unit) -> list[str]:
    """The tokens of a text in order, with "\\n" for each line's end.

    word: runs of Han characters as rjieba cuts them, else words, numbers, English clitics and punctuation marks;
    character: all but spaces; token: what stands between spaces.
    """
    if unit == "character":
        return [c for c in text if c == "\n" or not (c.isspace() or c == "\0")]
    if unit == "token":
        return TOKEN.findall(text)
    return WORD.findall(HAN.sub(lambda run: f" {' '.join(rjieba.cut(run[0]))} ", text))


def join(tokens: Iterable[str], unit: Unit, *, before: str = "") -> str:
    """The text that `tokens` spell after the text `before` (which is not repeated)."""
    parts: list[str] = []
    left = before
    for token in tokens:
        parts.append(f"{_space(left, token, unit)}{token}")
        left = token
    return "".join(parts)


def _space(left: str, right: str, unit: Unit) -> str:
    if unit == "character" or not left or left[-1].isspace():
        return ""
    if unit == "token":
        return " "
    if CJK.match(left[-1]) or CJK.match(right[0]):
        return ""
    return "" if left[-1] in OPENING or right in CLOSING or CLITIC.fullmatch(right) else " "


def read_texts(texts: Sequence[str], unit: Unit, *, keep_blank: bool = False) -> Sentences:
    """The sentences of the texts' lines; `documents` are places in `texts`.

    `keep_blank`: a text without tokens is one empty sentence.
    """
    joined = "\n".join(texts)
    if unit == "character":
        words, codes = _characters(joined)
    else:
        words, codes = _index(pa.array(cut(joined, unit), pa.string()))
    lines = np.fromiter((text.count("\n") + 1 for text in texts), np.int64, len(texts))
    ends = codes < 0
    inner = np.flatnonzero(~ends)
    lengths = np.bincount(np.cumsum(ends)[inner], minlength=int(lines.sum()))
    filled = lengths > 0
    if keep_blank:
        first = np.cumsum(lines) - lines
        filled[first] |= ~np.logical_or.reduceat(filled, first)
    return _sentences(words, codes[inner], lengths[filled], np.repeat(np.arange(len(texts)), lines)[filled])


def read_tokens(column: pa.ListArray) -> Sentences:
    """One sentence from each list of tokens; `documents` are rows of `column`. A space inside a token becomes `_`."""
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    words, codes = _index(column.flatten().fill_null(""))
    filled = lengths > 0
    return _sentences(words, codes, lengths[filled], np.flatnonzero(filled))


def _sentences(words: list[str], codes: np.ndarray, lengths: np.ndarray, documents: np.ndarray) -> Sentences:
    """The tokens `codes`, cut into sentences of the given lengths, with their begins and ends."""
    ends = np.cumsum(lengths + 2) - 1
    begins = ends - lengths - 1
    ids = np.empty(len(codes) + 2 * len(lengths), np.int32)
    inner = np.ones(len(ids), bool)
    inner[begins] = inner[ends] = False
    ids[begins], ids[ends], ids[inner] = BEGIN, END, codes
    return Sentences(words, ids, documents)


def _characters(text: str) -> tuple[list[str], np.ndarray]:
    """Words and, for each character that is no space, its id (-1 for a line's end)."""
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    seen = np.zeros(CODE_POINTS, bool)
    seen[points] = True
    seen[SPACES] = seen[ord("\n")] = False
    present = np.flatnonzero(seen)
    ids = np.full(CODE_POINTS, -1, np.int32)
    ids[SPACES] = -2
    ids[present] = np.arange(len(SPECIAL), len(SPECIAL) + len(present))
    codes = ids[points]
    return [*SPECIAL, *map(chr, present.tolist())], codes[codes != -2]


def _index(tokens: pa.Array) -> tuple[list[str], np.ndarray]:
    """Words and the id of each token (-1 for a line's end). `<s>`, `</s>` and `<unk>` written in a text are unknown words."""
    encoded = tokens.dictionary_encode()
    found = [
        token if token == "\n" else "_".join(token.replace("\0", " ").split()) or "_"
        for token in encoded.dictionary.to_pylist()
    ]
    words = [*SPECIAL, *sorted({*found} - {*SPECIAL, "\n"})]
    ids = {word: i for i, word in enumerate(words)} | dict.fromkeys(SPECIAL, UNKNOWN) | {"\n": -1}
    to_id = np.array([ids[word] for word in found], np.int32)
    return words, to_id[encoded.indices.to_numpy(zero_copy_only=False)]
