"""Search: indexes of datasets, and what they find."""

from __future__ import annotations

from typing import Literal

from fourfold.application import searching
from fourfold.application.permissions import action
from fourfold.application.results import SearchResults, Spec
from fourfold.application.topics import Hand
from fourfold.core.nouns import Version


class Search(Hand):
    """Search: indexes of datasets, and what they find."""

    @action("make")
    def index(self, name: str, dataset: str, spec: Spec = "bm25") -> Version:
        """Index a dataset, so that its documents can be found; unchanged fragments are taken over from the version before."""
        return searching.index(self.ledger, self.actor, name, self.ledger.version(dataset), spec, progress=self.progress)

    @action("read")
    def search(
        self,
        index: str,
        query: str,
        *,
        limit: int = 10,
        offset: int = 0,
        match: Literal["all", "any"] = "all",
        filters: list[str] | None = None,
    ) -> SearchResults:
        """Documents that have all words of a query (or some: `match`), the best first. Every string is a query; "quotes" keep
        words together, `title:word` looks in one column. `filters`: conditions on other columns, such as lang=zh or price>=10.
        """
        return searching.search(
            self.ledger, self.ledger.version(index), query, limit=limit, offset=offset, match=match, filters=filters or []
        )
