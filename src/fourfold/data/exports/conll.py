"""CoNLL columns: a token and its tag per line, a blank line between sentences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fourfold.data.dataset import Dataset
from fourfold.data.exporting import need_columns, rows_of
from fourfold.data.gold_spans import bio


@dataclass(frozen=True, slots=True)
class Conll:
    """Tokens and tags (BIO) with a tab between. `tags` names the column of tags beside `tokens`, or with `spans` the column
    of labelled spans, which are laid over the row's words.
    """

    tags: str = "tags"
    spans: str = ""

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "conll"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        need_columns(dataset, [self.spans] if self.spans else ["tokens", self.tags], "CoNLL")
        skipped: Counter[str] = Counter()
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows_of(dataset):
                tokens, tags = bio(row, self.spans) if self.spans else (row["tokens"], row[self.tags])
                if not tokens or not tags or len(tokens) != len(tags):
                    skipped["no_tags"] += 1
                elif not all(item and not item.isspace() and not set(item) & set("\t\n\r ") for item in (*tokens, *tags)):
                    skipped["blank_in_token"] += 1
                else:
                    file.write("".join(f"{token}\t{tag}\n" for token, tag in zip(tokens, tags)) + "\n")
        return dict(skipped)
