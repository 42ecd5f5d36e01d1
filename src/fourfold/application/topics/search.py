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
    def index(self, name: str, dataset: str, spec: Spec | None = None, *, encoder: str | None = None) -> Version:
        """Index a dataset, so that its documents can be found; unchanged fragments are taken over from the version before.

        With `encoder`, a model that embeds, they are found by vectors, too: the default is then hybrid, else bm25.
        """
        made_by = None if encoder is None else self.ledger.version(encoder)
        data = self.ledger.version(dataset)
        return searching.index(self.ledger, self.actor, name, data, spec, encoder=made_by, progress=self.progress)

    @action("read")
    def search(
        self,
        index: str,
        query: str,
        *,
        limit: int = 10,
        offset: int = 0,
        match: Literal["all", "any"] = "all",
        by: Literal["words", "vectors", "both"] | None = None,
        filters: list[str] | None = None,
    ) -> SearchResults:
        """Documents that have all words of a query (or some: `match`), the best first. Every string is a query; "quotes" keep
        words together, `title:word` looks in one column. An index with vectors finds what is close in meaning, too, unless
        `by` says otherwise. `filters`: conditions on other columns, such as lang=zh or price>=10.
        """
        return searching.search(
            self.ledger,
            self.ledger.version(index),
            query,
            limit=limit,
            offset=offset,
            match=match,
            by=by,
            filters=filters or [],
        )
