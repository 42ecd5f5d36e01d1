"""Documents by shared words, ranked by BM25 (Robertson & Zaragoza 2009), through tantivy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import rjieba
import tantivy

from fourfold.data.indexes import Hit

WORD = re.compile(r"\w")
MOST_WORDS = 200  # of a query: a long text is asked by its first words
HEAP_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Bm25:
    """Words as rjieba cuts them for search, in lower case; every word of a query may match, rare words weigh more."""

    def build(self, documents: Iterable[tuple[str, str]], folder: Path, /) -> None:
        """Write the index into an empty folder."""
        folder.mkdir(parents=True, exist_ok=True)
        index = tantivy.Index(_schema(), path=str(folder), reuse=False)
        writer = index.writer(heap_size=HEAP_BYTES, num_threads=1)
        for doc_id, text in documents:
            writer.add_document(tantivy.Document(doc_id=doc_id, words=" ".join(words_of(text))))
        writer.commit()
        writer.wait_merging_threads()

    def search(self, folder: Path, query: str, limit: int, /) -> list[Hit]:
        """At most `limit` documents that share a word with the query, best first; nothing in a query is syntax."""
        index = tantivy.Index.open(str(folder))
        index.reload()
        words = list(dict.fromkeys(words_of(query)))[:MOST_WORDS]
        if not words:
            return []
        either = [(tantivy.Occur.Should, tantivy.Query.term_query(index.schema, "words", word)) for word in words]
        searcher = index.searcher()
        found = searcher.search(tantivy.Query.boolean_query(either), limit).hits
        return [Hit(searcher.doc(address)["doc_id"][0], score) for score, address in found]


def words_of(text: str) -> list[str]:
    """The words that are indexed: those with a letter or digit in them, in lower case."""
    return [word for word in rjieba.cut_for_search(text.lower()) if WORD.search(word)]


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("doc_id", stored=True, tokenizer_name="raw")
    builder.add_text_field("words", tokenizer_name="whitespace")
    return builder.build()
