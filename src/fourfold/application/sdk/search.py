"""Search: indexes of datasets, and what they find."""

from __future__ import annotations

from typing import Literal

from fourfold.application.results import SearchResults, Spec
from fourfold.application.sdk import Line
from fourfold.core.nouns import Version


class Search(Line):
    """Search: indexes of datasets, and what they find."""

    def index(self, name: str, dataset: str, spec: Spec = "bm25") -> Version:
        """Index a dataset, so that its documents can be found; unchanged fragments are taken over from the version before."""
        return self._do("index", {"name": name, "dataset": dataset, "spec": spec}, Version)

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
        arguments = {"index": index, "query": query, "limit": limit, "offset": offset, "match": match, "filters": filters}
        return self._do("search", arguments, SearchResults)
