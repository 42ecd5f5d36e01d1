"""Indexes made and asked: which version is meant, and what the answer says of itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing

from fourfold.application.results import SearchHit, SearchResults, Spec
from fourfold.compute.embedding import Embedding
from fourfold.core.errors import BadInput
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress
from fourfold.data import search as data_search
from fourfold.data.indexes import By, Match
from fourfold.storage.ledger import Ledger


def index(
    ledger: Ledger,
    actor: Actor,
    name: str,
    dataset: Version,
    spec: Spec | None,
    *,
    encoder: Version | None,
    progress: Progress,
) -> Version:
    """An index version of a dataset; its vectors, if it has some, are made by the model version `encoder`."""
    if encoder is None:
        return data_search.index(ledger, actor, name, dataset, spec or "bm25", progress=progress)
    with closing(Embedding(ledger, encoder)) as model:
        return data_search.index(ledger, actor, name, dataset, spec or "hybrid", encoder=(encoder, model), progress=progress)


def search(
    ledger: Ledger,
    version: Version,
    query: str,
    *,
    limit: int,
    offset: int,
    match: Match,
    by: By | None,
    filters: Sequence[str],
) -> SearchResults:
    """What an index version finds. Raises BadInput if the version is of another kind, Erased if it is no more."""
    begun = time.perf_counter()
    if version.kind != "index":
        raise BadInput(f"{version.ref} is a {version.kind}, not an index.", hint=f"Run: fourfold index NAME {version.name}")
    with ExitStack() as held:
        model = None
        if by != "words" and version.meta.get("encoder"):
            (made_by,) = (v for v in ledger.inputs(version) if v.kind == "model")
            model = held.enter_context(closing(Embedding(ledger, made_by)))
        opened = held.enter_context(closing(data_search.OpenIndex(ledger.materialise(version), model)))
        answered = opened.search(query, limit=limit, offset=offset, match=match, by=by, filters=filters)
    hits = [
        SearchHit(h.doc_id, h.score, h.source, h.snippet, list(h.highlights), h.fields, h.places or {}) for h in answered.hits
    ]
    return SearchResults(version.ref, query, hits, answered.total, answered.note, time.perf_counter() - begun)
