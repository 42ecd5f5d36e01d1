"""Commands on search: index, search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, opened
from fourfold.application.cli_data import Dataset, Name, Set, made
from fourfold.application.cli_specs import part

if TYPE_CHECKING:
    from fourfold.application.results import SearchHit, SearchResults


def index(
    name: Name,
    dataset: Dataset,
    spec: Annotated[
        str | None, Parameter(help="bm25, vectors, hybrid, '{bm25: {columns: [text]}}'. Default: bm25, with --encoder hybrid.")
    ] = None,
    /,
    *,
    encoder: Annotated[str | None, Parameter(help="A model that embeds: its vectors find what is close in meaning.")] = None,
    set: Set = (),
    common: Common = DEFAULT,
) -> None:
    """Index a dataset."""
    with opened(common) as client:
        wanted = spec or ("hybrid" if encoder else "bm25")
        version = client.index(name, dataset, part(wanted, set), encoder=encoder)
    made(common, version, f"fourfold search {version.name} WORDS")


def search(
    index: Annotated[str, Parameter(help="An index: name, name@3 or name@alias.")],
    query: Annotated[str, Parameter(help="What to look for. Every string is a query.", allow_leading_hyphen=True)],
    /,
    *,
    limit: Annotated[int, Parameter(help="Documents to show.")] = 10,
    offset: Annotated[int, Parameter(help="Documents to pass over first.")] = 0,
    match: Annotated[Literal["all", "any"], Parameter(help="A document must have all words, or some.")] = "all",
    by: Annotated[
        Literal["words", "vectors", "both"] | None, Parameter(help="Of a hybrid index: words, vectors or both.")
    ] = None,
    filter: Annotated[
        tuple[str, ...],
        Parameter(help="A condition on a column: lang=zh, price>=10; may be repeated.", allow_leading_hyphen=True),
    ] = (),
    common: Common = DEFAULT,
) -> None:
    """Find documents."""
    with opened(common) as client:
        found = client.search(index, query, limit=limit, offset=offset, match=match, by=by, filters=list(filter) or None)
    emit(common, found, lambda: print_results(found))


def print_results(found: SearchResults) -> None:
    """Each document with its source, and the stretch of it in which the words stand."""
    from fourfold.application.cli_print import console, line

    for hit in found.hits:
        line(hit.source, str(hit.fields.get("title", "")), hit.doc_id, f"{hit.score:.3g}", style="bold")
        console().print(_marked(hit))
    documents = "document" if found.total == 1 else "documents"
    line(f"{found.total:,} {documents} in {found.index}, {found.seconds * 1000:.0f} ms", style="dim")
    if found.note:
        line(found.note, style="yellow")


def _marked(hit: SearchHit):  # rich is loaded when something is printed
    from rich.text import Text

    from fourfold.application.cli_print import plain

    text, at = Text("  "), 0
    for begin, end in hit.highlights:
        text.append(plain(hit.snippet[at:begin])).append(plain(hit.snippet[begin:end]), "bold yellow")
        at = end
    return text.append(plain(hit.snippet[at:]))
