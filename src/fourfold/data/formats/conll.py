"""CoNLL columns: a token and its tag per line, a blank line between sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fourfold.data.decode import AUTO, check_encoding, lines_of
from fourfold.data.formats import BadLine, Record

DOCUMENT = "-DOCSTART-"


@dataclass(frozen=True, slots=True)
class Conll:
    """A sentence is a document with the lists `tokens` and `tags` (BIO as a rule); its text is the tokens joined by spaces.

    Columns are parted by tabs where a line has one, else by spaces. A line that cannot be read takes its sentence with it: a
    sentence without one of its tokens is another sentence.
    """

    token: int = 0  # number of the token's column; negative ones count from the end
    tag: int = -1
    encoding: str = AUTO

    def __post_init__(self) -> None:
        check_encoding(self.encoding)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        lines = lines_of(data, self.encoding)
        start = 0
        for end, line in enumerate([*lines.lines, ""]):
            if line.strip() and not line.startswith(DOCUMENT):
                continue
            if end > start:
                yield from self._sentence(lines.lines[start:end], start + 1, lines.broken)
            start = end + 1

    def _sentence(self, lines: list[str], first: int, broken: frozenset[int]) -> Iterator[Record | BadLine]:
        tokens: list[str] = []
        tags: list[str] = []
        for line, raw in enumerate(lines, start=first):
            if not tokens and raw.startswith("# ") and "\t" not in raw:
                continue  # "# id …": a comment; in tweets "#" begins tokens, too
            columns = raw.split("\t") if "\t" in raw else raw.split()
            try:
                token, tag = columns[self.token].strip(), columns[self.tag].strip()
            except IndexError:
                token = tag = ""
            if line - 1 in broken or len(columns) < 2 or not token or not tag:
                reason = "invalid_bytes" if line - 1 in broken else "too_few_columns" if len(columns) < 2 else "empty_column"
                yield BadLine(line, reason, f"with its sentence, lines {first}-{first + len(lines) - 1}")
                return
            tokens.append(token)
            tags.append(tag)
        if tokens:
            yield Record(" ".join(tokens), first, {"tokens": tokens, "tags": tags})
