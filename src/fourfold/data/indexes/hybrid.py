"""Documents by words and by vectors, the two rankings fused: reciprocal rank fusion (Cormack, Clarke & Büttcher 2009)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fourfold.core.errors import BadSpec
from fourfold.core.progress import Progress
from fourfold.data.dataset import Fragment
from fourfold.data.indexes import INDEXES, Asked, Encoder, Hit, Index, Ranked, Ranker


@dataclass(frozen=True, slots=True)
class Hybrid:
    """A document scores `weight` / (`k` + its place) in each of the two rankings, of which the first `depth` places count."""

    columns: tuple[str, ...] = ("title", "text")
    exact_rows: int = 200_000
    k: int = 60
    depth: int = 100
    words_weight: float = 1.0
    vectors_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.k < 1 or self.depth < 1:
            raise BadSpec(f"k and depth are at least 1, not {self.k} and {self.depth}.")
        if self.words_weight < 0 or self.vectors_weight < 0:
            raise BadSpec("Weights are not negative.")

    def build(
        self, fragments: Sequence[Fragment], folder: Path, before: Path | None, encoder: Encoder | None, progress: Progress, /
    ) -> dict[str, Any]:
        """Write both indexes into `folder`."""
        figures: dict[str, Any] = {}
        for part in self._parts().values():
            figures |= part.build(fragments, folder, before, encoder, progress)
        return figures

    def open(self, folder: Path, encoder: Encoder | None, /) -> Both:
        """Open both indexes."""
        return Both(self, {name: part.open(folder, encoder) for name, part in self._parts().items()})

    def _parts(self) -> dict[str, Index]:
        words = INDEXES.build({"bm25": {"columns": list(self.columns)}})
        vectors = INDEXES.build({"vectors": {"columns": list(self.columns), "exact_rows": self.exact_rows}})
        return {"words": words, "vectors": vectors}


class Both:
    """Two indexes of the same documents that are open."""

    def __init__(self, settings: Hybrid, rankers: dict[str, Ranker]) -> None:
        self._settings = settings
        self._rankers = rankers

    def rank(self, asked: Asked, /) -> Ranked:
        """Documents that words or vectors find; with `by` only those of one. What is quoted or of a column must be there."""
        if asked.by in ("words", "vectors"):
            return self._rankers[asked.by].rank(self._required(asked) if asked.by == "vectors" else asked)
        wide = replace(asked, limit=self._settings.depth, offset=0, match="any")
        ranked = {"words": self._rankers["words"].rank(wide), "vectors": self._rankers["vectors"].rank(self._required(wide))}
        weights = {"words": self._settings.words_weight, "vectors": self._settings.vectors_weight}
        scores: dict[int, float] = {}
        places: dict[int, dict[str, int]] = {}
        for name, found in ranked.items():
            for place, hit in enumerate(found.hits, 1):
                scores[hit.row] = scores.get(hit.row, 0.0) + weights[name] / (self._settings.k + place)
                places.setdefault(hit.row, {})[name] = place
        best = sorted(scores, key=lambda row: (-scores[row], row))
        wanted = best[asked.offset : asked.offset + asked.limit]
        return Ranked([Hit(row, scores[row], places[row]) for row in wanted], len(best))

    def close(self) -> None:
        """Let go of both."""
        for ranker in self._rankers.values():
            ranker.close()

    def _required(self, asked: Asked) -> Asked:
        """What vectors are asked: among the documents that have what the query insists on."""
        terms = [term for term in asked.query.terms if term.required]
        if not terms:
            return asked
        rows = self._rankers["words"].rows_with(terms)  # type: ignore[attr-defined]
        return replace(asked, allowed=rows if asked.allowed is None else asked.allowed & rows)
