"""Indexes made and asked: which version is meant, and what the answer says of itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing

from fourfold.application.results import SearchHit, SearchResults, Spec
from fourfold.core.errors import BadInput
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress
from fourfold.data import search as data_search
from fourfold.data.indexes import Match
from fourfold.storage.ledger import Ledger


def index(ledger: Ledger, actor: Actor, name: str, dataset: Version, spec: Spec, *, progress: Progress) -> Version:
    """An index version of a dataset."""
    return data_search.index(ledger, actor, name, dataset, spec, progress=progress)


def search(
    ledger: Ledger, version: Version, query: str, *, limit: int, offset: int, match: Match, filters: Sequence[str]
) -> SearchResults:
    """What an index version finds. Raises BadInput if the version is of another kind, Erased if it is no more."""
    begun = time.perf_counter()
    if version.kind != "index":
        raise BadInput(f"{version.ref} is a {version.kind}, not an index.", hint=f"Run: fourfold index NAME {version.name}")
    with closing(data_search.OpenIndex(ledger.materialise(version))) as opened:
        answered = opened.search(query, limit=limit, offset=offset, match=match, filters=filters)
    hits = [
        SearchHit(h.doc_id, h.score, h.source, h.snippet, list(h.highlights), h.fields, h.places or {}) for h in answered.hits
    ]
    return SearchResults(version.ref, query, hits, answered.total, answered.note, time.perf_counter() - begun)
