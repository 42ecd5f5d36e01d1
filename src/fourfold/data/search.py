"""Search: a dataset → an index version; an index version and a query → the documents that fit it best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from fourfold.core.build import settings_of
from fourfold.core.errors import BadInput, Corrupt, Erased, NotFound
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.core.registry import split_spec
from fourfold.data import shelved
from fourfold.data.dataset import Dataset, Fragment
from fourfold.data.indexes import INDEXES, Asked, By, Encoder, Hit, Index, Match
from fourfold.data.queries import Query, parse
from fourfold.data.snippets import snippet
from fourfold.storage.artifacts import room_for
from fourfold.storage.ledger import Ledger

Spec = str | Mapping[str, Any]
MOST = 1000  # hits of one answer
RANKS: dict[str, By] = {"bm25": "words", "vectors": "vectors"}  # what an index that has one ranking is searched by
SHOWN_APART = ("doc_id", "text", "source")


class IndexFile(msgspec.Struct, frozen=True):
    """`index.json`: the part that made it with all its settings, and the keys of the fragments in order of rows."""

    index: dict[str, dict[str, Any]]
    fragments: list[str]


@dataclass(frozen=True, slots=True)
class Found:
    """A document that was found. `snippet` is a stretch of its text, `highlights` where the query's words stand in it (code
    points, half-open), `fields` its other columns, `places` its place in each ranking that was fused.
    """

    doc_id: str
    score: float
    source: str
    snippet: str
    highlights: tuple[tuple[int, int], ...]
    fields: dict[str, Any] = field(default_factory=dict)
    places: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The documents that were wanted, best first; how many fit in all; and what there is to say of it."""

    hits: list[Found]
    total: int
    note: str = ""


def index(
    ledger: Ledger,
    actor: Actor,
    name: str,
    dataset: Version,
    spec: Spec = "bm25",
    *,
    encoder: tuple[Version, Encoder] | None = None,
    progress: Progress = silent,
) -> Version:
    """An index of a dataset as a version of `name`. What its newest version has of fragments that are unchanged is taken over.

    `encoder`: a model version that embeds, and the model, for an index with vectors. Raises BadSpec for a wrong setting,
    BadInput for a dataset without rows or without the columns that are to be searched.
    """
    part: Index = INDEXES.build(spec, path="index")
    kind = split_spec(spec, path="index")[0]
    full = {"index": {kind: msgspec.json.decode(msgspec.json.encode(settings_of(part)))}}  # as it will be read again
    inputs = [dataset, *([encoder[0]] if encoder else [])]
    with (
        ledger.run("index", kind="index", name=name, spec=full, inputs=inputs, actor=actor, progress=progress) as run,
        room_for(f"the index {name}"),
    ):
        if dataset.kind != "dataset":
            raise BadInput(
                f"{dataset.ref} is no dataset but of the kind {dataset.kind}.", hint="Run: fourfold versions --kind dataset"
            )
        encoded_by = encoder[0].digest if encoder else ""
        before = _before(ledger, name, full["index"], encoded_by)
        fragments = list(Dataset(ledger.materialise(dataset)).fragments())
        figures = build(
            part, full["index"], fragments, run.folder, before=before, encoder=encoder and encoder[1], progress=run.progress
        )
        run.meta.update(
            {
                **full,
                "dataset": dataset.ref,
                **({"encoder": encoder[0].ref, "encoder_digest": encoded_by} if encoder else {}),
                **figures,
            }
        )
        run.metrics({"rows": figures["rows"], "fragments": figures["fragments"], "taken_over": figures["taken_over"]})
    return run.version


def build(
    part: Index,
    spec: Mapping[str, dict[str, Any]],
    fragments: Sequence[Fragment],
    folder: Path,
    *,
    before: Path | None = None,
    encoder: Encoder | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write an index into an empty folder; the figures for the version's meta. Raises BadInput if there is no row."""
    fragments = list({fragment.key: fragment for fragment in fragments}.values())  # equal fragments hold the same documents
    if not fragments:
        raise BadInput("The dataset holds no fragment.", hint="Run: fourfold collect")
    figures = part.build(fragments, folder, before, encoder, progress)
    shelved.shelve(fragments, folder, before)
    keys = [fragment.key for fragment in fragments]
    (folder / "index.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(IndexFile(dict(spec), keys), order="deterministic"), indent=1)
    )
    shelf = shelved.Shelf(folder, keys)
    rows = shelf.rows
    shelf.close()
    return {"rows": rows, "fragments": len(keys), **figures}


class OpenIndex:
    """An index that can be asked, until it is closed."""

    def __init__(self, folder: Path, encoder: Encoder | None = None) -> None:
        """Raises Corrupt if the folder holds no index, BadInput if it was written by a program that is too old or new."""
        try:
            self._about = msgspec.json.decode((folder / "index.json").read_bytes(), type=IndexFile)
        except (OSError, msgspec.DecodeError) as error:
            raise Corrupt(f"The index cannot be read: {error}.", hint="Run: fourfold index NAME DATASET") from error
        part: Index = INDEXES.build(self._about.index, path="index")
        self._shelf = shelved.Shelf(folder, self._about.fragments)
        self._ranker = part.open(folder, encoder)
        ((self._kind, settings),) = self._about.index.items()
        schema = self._shelf.schema
        self._columns = [c for c in settings.get("columns", ()) if c in schema.names and schema.field(c).type == pa.string()]

    def search(
        self,
        text: str,
        *,
        limit: int = 10,
        offset: int = 0,
        match: Match = "all",
        by: By | None = None,
        filters: Sequence[str] = (),
    ) -> Answered:
        """The documents that fit `text` best. Every string is a query: words that a document must have (or some: `match`
        any), "quoted" stretches, `column:word`. Raises BadInput for a filter that makes no sense or a limit out of bounds.
        """
        if not (1 <= limit <= MOST and offset >= 0):
            raise BadInput(f"limit is between 1 and {MOST}, offset at least 0, not {limit} and {offset}.")
        if by is not None and by != RANKS.get(self._kind, by):
            raise BadInput(f"The index is of the kind {self._kind}: it cannot be searched by {by}.", hint="Index it as hybrid.")
        query = parse(text, self._columns)
        if not self._shelf.rows:
            return Answered([], 0, "The index holds no document.")
        asked = Asked(text, query, limit, offset, match, by, self._shelf.allowed(filters))
        ranked = self._ranker.rank(asked)
        rows = self._shelf.rows_at([hit.row for hit in ranked.hits])
        hits = [self._found(hit, row, query) for hit, row in zip(ranked.hits, rows)]
        return Answered(hits, ranked.total, _note(query, ranked.total, match))

    def close(self) -> None:
        """Let go of the files."""
        self._ranker.close()
        self._shelf.close()

    def _found(self, hit: Hit, row: dict[str, Any], query: Query) -> Found:
        shown = snippet(row["text"] or "", [term for term in query.terms if term.column in (None, "text")])
        fields = {name: value for name, value in row.items() if name not in SHOWN_APART and value is not None}
        return Found(row["doc_id"], hit.score, row["source"] or "", shown.text, shown.highlights, fields, hit.places)


def _note(query: Query, total: int, match: Match) -> str:
    if not query.terms:
        return "The query is empty."
    if not total and match == "all" and len(query.terms) > 1:
        return "No document has all of these words. To find those that have some of them: match any."
    return ""


def _before(ledger: Ledger, name: str, spec: Mapping[str, Any], encoded_by: str) -> Path | None:
    """The folder of the newest version of the name, if it was made by the same settings and can be read."""
    for version in ledger.versions(name=name, kind="index", limit=1):
        if version.meta.get("index") == spec and version.meta.get("encoder_digest", "") == encoded_by:
            with suppress(NotFound, Erased, Corrupt):
                return ledger.materialise(version)
    return None
