"""CoNLL-U, the format of Universal Dependencies (https://universaldependencies.org/format.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fourfold.data.decode import AUTO, check_encoding, lines_of
from fourfold.data.formats import BadLine, Record

COLUMNS = 10
RANGE = re.compile(r"(\d+)-(\d+)")
EMPTY_NODE = re.compile(r"\d+\.\d+")
LISTS = ("lemma", "upos", "xpos", "feats", "head", "deprel")


@dataclass(frozen=True, slots=True)
class Conllu:
    """A sentence is a document with lists of equal length: `tokens`, `lemma`, `upos`, `xpos`, `feats`, `head`, `deprel` and
    `entity` (`Entity=` of MISC, else O); a blank column is `_`. `sent_id` becomes a field.

    Tokens are the syntactic words. A multiword token (1-2) gives its form to the text, not to the lists; empty nodes (1.1)
    belong to the enhanced graph and are passed over. The text is the comment `# text`, else rebuilt from forms and
    SpaceAfter=No. A line that breaks the format takes its sentence with it.
    """

    encoding: str = AUTO

    def __post_init__(self) -> None:
        check_encoding(self.encoding)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        lines = lines_of(data, self.encoding)
        start = 0
        for end, line in enumerate([*lines.lines, ""]):
            if line.strip():
                continue
            if end > start:
                bad = next((i for i in range(start, end) if i in lines.broken), None)
                found = _sentence(lines.lines[start:end], start + 1) if bad is None else BadLine(bad + 1, "invalid_bytes")
                if isinstance(found, BadLine):
                    found = BadLine(found.line, found.reason, f"with its sentence, lines {start + 1}-{end}")
                if found is not None:
                    yield found
            start = end + 1


def _sentence(lines: list[str], first: int) -> Record | BadLine | None:
    comments: dict[str, str] = {}
    words = _Words()
    for line, raw in enumerate(lines, start=first):
        if raw.startswith("#"):
            key, _, value = raw[1:].partition("=")
            comments[key.strip()] = value.strip()
            continue
        columns = raw.split("\t")
        if len(columns) != COLUMNS:
            return BadLine(line, "wrong_length")
        if not words.take(columns):
            return BadLine(line, "bad_word_id")
    if words.covered > words.count:
        return BadLine(first + len(lines) - 1, "bad_word_id")
    if not words.count:
        return None
    fields: dict[str, Any] = dict(words.lists)
    if comments.get("sent_id"):
        fields["sent_id"] = comments["sent_id"]
    return Record(comments.get("text") or "".join(words.surface).strip(), first, fields)


class _Words:
    """The words of a sentence so far."""

    def __init__(self) -> None:
        self.lists: dict[str, list[str]] = {name: [] for name in ("tokens", *LISTS, "entity")}
        self.surface: list[str] = []  # what stands in the text: forms with the space after them
        self.covered = 0  # words up to this one are inside a multiword token, whose form stands in the text

    @property
    def count(self) -> int:
        return len(self.lists["tokens"])

    def take(self, columns: list[str]) -> bool:
        """One more line; False if its id does not follow."""
        if EMPTY_NODE.fullmatch(columns[0]):
            return True
        if between := RANGE.fullmatch(columns[0]):
            self.covered = int(between[2])
            self.surface.append(_with_space(columns))
            return int(between[1]) == self.count + 1 and self.covered > self.count
        if columns[0] != str(self.count + 1) or not columns[1].strip():
            return False
        self.lists["tokens"].append(columns[1])
        for name, value in zip(LISTS, columns[2:8]):
            self.lists[name].append(value or "_")
        self.lists["entity"].append(_misc(columns[9]).get("Entity") or "O")
        if self.count > self.covered:
            self.surface.append(_with_space(columns))
        return True


def _with_space(columns: list[str]) -> str:
    return columns[1] + ("" if _misc(columns[9]).get("SpaceAfter") == "No" else " ")


def _misc(column: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in column.split("|") if "=" in pair)
    return {key: value for key, _, value in pairs}
