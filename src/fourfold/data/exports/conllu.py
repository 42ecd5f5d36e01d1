"""CoNLL-U, the format of Universal Dependencies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.data.dataset import Dataset
from fourfold.data.exporting import need_columns, rows_of
from fourfold.data.tokens import gaps

COLUMNS = ("lemma", "upos", "xpos", "feats", "head", "deprel")


@dataclass(frozen=True, slots=True)
class Conllu:
    """Ten columns per word; what a row does not have is `_`. A word without a space behind it says SpaceAfter=No."""

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "conllu"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        need_columns(dataset, ["tokens"], "CoNLL-U")
        skipped: Counter[str] = Counter()
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows_of(dataset):
                if not row["tokens"] or any(set(token) & set("\t\n\r") or not token.strip() for token in row["tokens"]):
                    skipped["no_tokens"] += 1
                else:
                    file.write(_sentence(row))
        return dict(skipped)


def _sentence(row: dict[str, Any]) -> str:
    tokens = row["tokens"]
    spaces = gaps(row["text"] or "", tokens)
    after = spaces[1:] if spaces else [" "] * len(tokens)
    lists = [_column(row.get(name), len(tokens)) for name in COLUMNS]
    entities = _column(row.get("entity"), len(tokens))
    lines = [f"# sent_id = {row.get('sent_id') or row['doc_id']}", f"# text = {' '.join((row['text'] or '').split())}"]
    for i, token in enumerate(tokens):
        misc = [f"Entity={entities[i]}"] if entities[i] not in ("_", "O") else []
        misc += ["SpaceAfter=No"] if not after[i] and i + 1 < len(tokens) else []
        lines.append("\t".join([str(i + 1), token, *(values[i] for values in lists), "_", "|".join(misc) or "_"]))
    return "\n".join(lines) + "\n\n"


def _column(values: Any, count: int) -> list[str]:
    return [value or "_" for value in values] if isinstance(values, list) and len(values) == count else ["_"] * count
