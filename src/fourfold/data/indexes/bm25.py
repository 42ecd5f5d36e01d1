"""Documents by words, ranked by BM25 (Robertson & Zaragoza 2009), through tantivy.

All searched columns together are indexed as the words that rjieba cuts and as pairs of Chinese characters, which rank (those
of a title count twice); each by itself as units with their positions, which decide what is found. A term is found where its
units stand one after another, however the text around them is cut into words.

Each fragment of a dataset is a segment (or several) of the tantivy index, made by itself and named after the fragment. So an
update makes segments of new fragments only, and the statistics that BM25 needs are still those of the whole.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blake3
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tantivy

from fourfold.core.errors import BadInput
from fourfold.core.progress import Progress
from fourfold.data.dataset import Fragment
from fourfold.data.folding import fold, pairs, units, words
from fourfold.data.indexes import Asked, Encoder, Hit, Ranked
from fourfold.data.queries import Term

FOLDER = "words"
FILE = "words.json"
FORMAT = 2  # grows when equal fragments would be indexed otherwise
HEAP_BYTES = 200_000_000
BATCH_ROWS = 1000
ADJACENT = 0.3  # score of units that stand together where rjieba saw no word of them
TITLE = "title"  # the column whose words count twice
WHOLE = 2.0  # weight of a longer stretch of the query that is found whole
PAGE = 1000  # hits read at once where rows are chosen among them


class Segment(msgspec.Struct, frozen=True):
    """A segment: its files are named after `id`."""

    id: str
    rows: int


class Segments(msgspec.Struct, frozen=True):
    """The segments of a fragment, in order of its rows."""

    key: str
    rows: int
    segments: list[Segment]


class Contents(msgspec.Struct, frozen=True):
    """`words.json`: what the index is made of, in order of rows."""

    made_by: str
    columns: list[str]
    fragments: list[Segments]


@dataclass(frozen=True, slots=True)
class Bm25:
    """Words of the `columns` that there are, in lower case, without accents, full width as half width."""

    columns: tuple[str, ...] = ("title", "text")

    def build(
        self, fragments: Sequence[Fragment], folder: Path, before: Path | None, encoder: Encoder | None, progress: Progress, /
    ) -> dict[str, Any]:
        """Write the index into `folder`/words. Raises BadInput if the dataset has none of the columns."""
        target = folder / FOLDER
        target.mkdir(parents=True)
        schema = pq.read_schema(fragments[0].path)
        columns = [name for name in self.columns if name in schema.names and schema.field(name).type == pa.string()]
        if not columns:
            raise BadInput(
                f"The dataset has no text in the columns {', '.join(self.columns)}.", hint="Set columns of the index."
            )
        old = _contents(before / FOLDER) if before else None
        known = {f.key: f for f in old.fragments} if old and (old.made_by, old.columns) == (_made_by(), columns) else {}
        made, total, done = [], sum(pq.read_metadata(f.path).num_rows for f in fragments), 0
        for fragment in fragments:
            segments = known.get(fragment.key)
            if segments is not None and before is not None:
                _take_over(before / FOLDER, target, segments)
            else:
                segments = _index(fragment, columns, target)
            made.append(segments)
            done += segments.rows
            progress(done, total, "rows")
        contents = Contents(_made_by(), columns, made)
        (target / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(contents), indent=1))
        _write_meta(target, contents)
        return {"columns": columns, "taken_over": sum(f.key in known for f in fragments)}

    def open(self, folder: Path, encoder: Encoder | None, /) -> Words:
        """Open an index that `build` wrote. Raises BadInput if another tantivy wrote it."""
        return Words(folder / FOLDER)


class Words:
    """An index of words that is open."""

    def __init__(self, folder: Path) -> None:
        contents = _contents(folder)
        if contents is None or contents.made_by != _made_by():
            raise BadInput(
                f"The index was written by {contents.made_by if contents else 'an unknown program'}, not {_made_by()}.",
                hint="Run: fourfold index NAME DATASET",
            )
        self._index = tantivy.Index.open(str(folder))
        self._schema = self._index.schema
        self._searcher = self._index.searcher()
        self._columns = contents.columns
        self._offsets = _offsets(contents)
        self._rows = sum(fragment.rows for fragment in contents.fragments)

    def rank(self, asked: Asked, /) -> Ranked:
        """Documents that have all words of the query (or some: `match`), and every quoted one."""
        query = self._query(asked)
        if query is None:
            return Ranked([], 0)
        if asked.allowed is None:
            room = self._rows + 1  # tantivy takes memory for as many hits as are asked for
            found = self._searcher.search(query, min(asked.limit, room), offset=min(asked.offset, room))
            return Ranked(self._hits(found.hits)[: asked.limit], found.count or 0)  # type: ignore[attr-defined]  # its stubs do not know
        allowed = asked.allowed
        chosen = [hit for hit in self._all(query) if allowed[hit.row]]
        return Ranked(chosen[asked.offset : asked.offset + asked.limit], len(chosen))

    def rows_with(self, terms: Sequence[Term]) -> np.ndarray:
        """Which of all rows have every one of the terms."""
        found = np.zeros(self._rows, bool)
        query = tantivy.Query.boolean_query([(tantivy.Occur.Must, self._term(term)) for term in terms])
        found[[hit.row for hit in self._all(query)]] = True
        return found

    def close(self) -> None:
        """Let go of the files."""
        del self._searcher, self._index

    def _all(self, query: tantivy.Query) -> Iterator[Hit]:
        found, begun = self._searcher.search(query, PAGE, count=False), 0
        while found.hits:
            yield from self._hits(found.hits)
            begun += len(found.hits)
            found = self._searcher.search(query, PAGE, offset=begun, count=False)

    def _hits(self, found: Iterable[tuple[float, tantivy.DocAddress]]) -> list[Hit]:
        found = list(found)
        rows = self._searcher.fast_field_values("row", [address for _, address in found])
        return [
            Hit(self._offsets[address.segment_ord] + int(row or 0), float(score)) for (score, address), row in zip(found, rows)
        ]

    def _query(self, asked: Asked) -> tantivy.Query | None:
        terms = asked.query.terms
        if not terms:
            return None
        must = tantivy.Occur.Must if asked.match == "all" else tantivy.Occur.Should
        parts = [(tantivy.Occur.Must if term.required else must, self._term(term)) for term in terms]
        whole = [(tantivy.Occur.Should, tantivy.Query.boost_query(self._adjacent(run), WHOLE)) for run in asked.query.runs]
        pairs = [(tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "words", pair)) for pair in asked.query.pairs]
        return tantivy.Query.boolean_query([*parts, *whole, *pairs])

    def _term(self, term: Term) -> tantivy.Query:
        """Where it is found, it counts as the word that it is, or less as units that stand together."""
        if not term.word:
            return self._adjacent(term)
        as_word = tantivy.Query.term_query(self._schema, "words", term.word)
        as_units = tantivy.Query.const_score_query(self._adjacent(term), ADJACENT)
        if term.column is None:
            return tantivy.Query.disjunction_max_query([as_word, as_units])
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, as_units), (tantivy.Occur.Should, as_word)])

    def _adjacent(self, term: Term) -> tantivy.Query:
        fields = [f"units{n}" for n in self._numbers(term)]
        if len(term.units) == 1:
            found = [tantivy.Query.term_query(self._schema, field, term.units[0]) for field in fields]
        else:
            found = [tantivy.Query.phrase_query(self._schema, field, list(term.units)) for field in fields]
        return found[0] if len(found) == 1 else tantivy.Query.disjunction_max_query(found)

    def _numbers(self, term: Term) -> list[int]:
        return [n for n, name in enumerate(self._columns) if term.column in (None, name)]


def _made_by() -> str:
    release = tantivy.__version__  # type: ignore[attr-defined]  # its stubs do not know
    return f"{release.partition(',')[0]}, format {FORMAT}"


def _contents(folder: Path) -> Contents | None:
    path = folder / FILE
    return msgspec.json.decode(path.read_bytes(), type=Contents) if path.exists() else None


def _offsets(contents: Contents) -> list[int]:
    """For each segment the number of the row that its fragment begins with."""
    found, begun = [], 0
    for fragment in contents.fragments:
        found += [begun] * len(fragment.segments)
        begun += fragment.rows
    return found


def _schema(columns: Sequence[str]) -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("row", fast=True)
    builder.add_text_field("words", tokenizer_name="whitespace", index_option="freq")
    for n in range(len(columns)):
        builder.add_text_field(f"units{n}", tokenizer_name="whitespace", index_option="position")
    return builder.build()


def _index(fragment: Fragment, columns: Sequence[str], target: Path) -> Segments:
    """The segments of one fragment, moved into `target`."""
    part = target / "part"
    part.mkdir()
    index = tantivy.Index(_schema(columns), path=str(part), reuse=False)
    writer = index.writer(heap_size=HEAP_BYTES, num_threads=1)  # one thread: equal fragments make equal segments
    table = fragment.table(columns)
    row = 0
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        for texts in zip(*(batch.column(name).to_pylist() for name in columns)):
            document = tantivy.Document(row=row)
            for n, (name, text) in enumerate(zip(columns, texts)):
                folded = fold(text or "")
                found = " ".join([*words(folded), *pairs(folded)])
                document.add_text("words", f"{found} {found}" if name == TITLE else found)
                document.add_text(f"units{n}", " ".join(units(folded)))
            writer.add_document(document)
            row += 1
    writer.commit()
    writer.wait_merging_threads()
    made = [_move(part, target, fragment.key, n, segment) for n, segment in enumerate(_meta(part)["segments"])]
    shutil.rmtree(part)
    return Segments(fragment.key, row, made)


def _move(part: Path, target: Path, key: str, number: int, segment: dict[str, Any]) -> Segment:
    """Rename a segment after its fragment: equal content gets equal names."""
    name = blake3.blake3(f"{key} {number}".encode()).hexdigest()[:32]
    for path in part.glob(f"{uuid.UUID(segment['segment_id']).hex}.*"):
        path.rename(target / f"{name}{path.suffix}")
    return Segment(name, segment["max_doc"])


def _take_over(old: Path, target: Path, fragment: Segments) -> None:
    for segment in fragment.segments:
        for path in old.glob(f"{segment.id}.*"):
            _link(path, target / path.name)


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(path, target)


def _meta(folder: Path) -> dict[str, Any]:
    return msgspec.json.decode((folder / "meta.json").read_bytes())


def _write_meta(target: Path, contents: Contents) -> None:
    """What tantivy reads first: the schema and the segments in order of rows."""
    part = target / "part"
    part.mkdir()
    tantivy.Index(_schema(contents.columns), path=str(part), reuse=False)
    segments = [
        {"segment_id": str(uuid.UUID(segment.id)), "max_doc": segment.rows, "deletes": None}
        for fragment in contents.fragments
        for segment in fragment.segments
    ]
    meta = {**_meta(part), "segments": segments, "opstamp": 0}
    (target / "meta.json").write_bytes(msgspec.json.format(msgspec.json.encode(meta), indent=1))
    shutil.rmtree(part)
