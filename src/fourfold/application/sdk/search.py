"""Search: indexes of datasets, and what they find."""

from __future__ import annotations

from typing import Literal

from fourfold.application.results import SearchResults, Spec
from fourfold.application.sdk import Line
from fourfold.core.nouns import Version


class Search(Line):
    """Search: indexes of datasets, and what they find."""

    def index(self, name: str, dataset: str, spec: Spec | None = None, *, encoder: str | None = None) -> Version:
        """Index a dataset, so that its documents can be found; unchanged fragments are taken over from the version before.

        With `encoder`, a model that embeds, they are found by vectors, too: the default is then hybrid, else bm25.
        """
        arguments = {"name": name, "dataset": dataset, "spec": spec, "encoder": encoder}
        return self._do("index", arguments, Version)

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
        arguments = {"index": index, "query": query, "limit": limit, "offset": offset, "match": match}
        arguments |= {"by": by, "filters": filters}
        return self._do("search", arguments, SearchResults)
