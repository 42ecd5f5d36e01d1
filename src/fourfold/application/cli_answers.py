"""Commands on answers: ask a deployment, and ask where its answer came from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, opened
from fourfold.application.cli_specs import settings
from fourfold.core.errors import BadInput

if TYPE_CHECKING:
    from fourfold.application.client import Answer, Client
    from fourfold.application.results import Followed, Node, Trace

TaskName = Literal["tag", "rank", "score", "suggest", "generate", "embed"]


def ask(
    deployment: Annotated[str, Parameter(help="Name of the deployment.")],
    text: Annotated[str, Parameter(help="The text; - reads it from standard input.", allow_leading_hyphen=True)],
    /,
    *,
    task: Annotated[TaskName | None, Parameter(help="What to do with it. Default: the model's first task.")] = None,
    item: Annotated[tuple[str, ...], Parameter(help="For rank: a candidate to rank after the text; may be repeated.")] = (),
    set: Annotated[tuple[str, ...], Parameter(name="--set", help="An option of the task: unit=sentence, top_k=5.")] = (),
    common: Common = DEFAULT,
) -> None:
    """Ask a deployment."""
    said = _standard_input() if text == "-" else text
    asked: Any = {"query": said, "items": [{"text": one} for one in item]} if item else said
    with opened(common) as client:
        answer = client.ask(deployment, task or ("rank" if item else first_task(client, deployment)), asked, **settings(set))
    emit(common, answer, lambda: print_answer(answer))


def why(
    thing: Annotated[str, Parameter(help="Id of an answer, req_…; or a dataset: name, name@3 or name@alias.")],
    document: Annotated[
        str | None, Parameter(help="With a dataset: a document of it, doc_…, or the path or digest of a raw file behind it.")
    ] = None,
    /,
    *,
    text: Annotated[
        str | None, Parameter(help="What was asked, if the deployment does not keep it; - reads it.", allow_leading_hyphen=True)
    ] = None,
    limit: Annotated[int | None, Parameter(help="Source documents to show (5), or documents of a raw file (20).")] = None,
    common: Common = DEFAULT,
) -> None:
    """Trace an answer, or follow a document."""
    with opened(common) as client:
        if document is not None:
            found = client.follow(thing, document, limit=limit or 20)
            emit(common, found, lambda: print_followed(found))
            return
        trace = client.why(thing, text=_standard_input() if text == "-" else text, limit=limit or 5)
    emit(common, trace, lambda: print_trace(trace))


def print_followed(found: Followed) -> None:
    """Raw bytes, then stage by stage what changed and why it was dropped."""
    from fourfold.application.cli_followed import print_followed

    print_followed(found)


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise BadInput(f"Standard input is not UTF-8: {error.reason}.", hint="Convert it: iconv -t UTF-8") from error


def first_task(client: Client, deployment: str) -> str:
    """The first task of what a deployment serves."""
    served = client.deployment(deployment).deployment.routes[0].version
    return str(client.version(served).version.meta["tasks"][0])


# ---- answers ------------------------------------------------------------------------------------------------------------


def print_answer(answer: Answer) -> None:
    """Results as tables and bars, then the id and how to trace it."""
    from fourfold.application.cli_print import line

    for result in answer.results:
        _print_result(result)
    milliseconds = f"{answer.timings_ms.get('model', 0.0):.1f} ms"
    line(answer.id, answer.deployment, answer.version, milliseconds, style="dim")
    line(f"Run: fourfold why {answer.id}", style="dim")


def _print_result(result: Any) -> None:
    from fourfold.application.cli_print import bar, line, table
    from fourfold.compute.tasks import Embedded, Generated, Ranked, Scored, Suggested, Tagged

    match result:
        case Tagged():
            table(("word", "label", "score"), [(t.text, t.label, t.score) for t in result.tokens], empty="No word in it.")
            if result.spans:
                table(("span", "label", "score"), [(s.text, s.label, s.score) for s in result.spans])
        case Ranked(ranking=rows) | Suggested(suggestions=rows):
            most = max((row.score for row in rows), default=0.0)
            table(("", "score", ""), [(row.text, row.score, bar(row.score, most)) for row in rows], empty="Nothing fits.")
        case Scored():
            tokens = result.tokens if isinstance(result.tokens, list) else []
            table(("word", "log10 probability"), [(t.text, t.log10_probability) for t in tokens], empty="")
            line(f"perplexity {result.perplexity:.4g}", f"log10 probability {result.log10_probability:.4g}",
                 f"{result.unknown_tokens} unknown" if result.unknown_tokens else "")  # fmt: skip
        case Generated():
            line(result.text)
        case Embedded():
            line(f"{len(result.embedding)} numbers", " ".join(f"{x:.4g}" for x in result.embedding[:8]), "…")


def print_trace(trace: Trace) -> None:
    """The chain as a tree, down to the source documents with file, line and excerpt."""
    from fourfold.application.cli_print import console, line
    from fourfold.application.trace_tree import trace_tree

    console().print(trace_tree(_harmless(trace)))
    line(f"found in {trace.seconds * 1000:.0f} ms", "every id and digest opens with: fourfold show ID", style="dim")


def _harmless(trace: Trace) -> Trace:
    """The trace without control characters, which documents may hold."""
    from fourfold.application.cli_print import plain

    def clean(node: Node) -> Node:
        detail = {key: plain(value) if isinstance(value, str) else value for key, value in node.detail.items()}
        return msgspec.structs.replace(node, id=plain(node.id), detail=detail)

    return msgspec.structs.replace(trace, trace=[clean(node) for node in trace.trace])
