"""A trace as a tree for the terminal: from the answer down to its source documents."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.text import Text
from rich.tree import Tree

from fourfold.application.results import Node, Trace
from fourfold.application.tour_words import number, shown

DIGITS = 12  # of a digest
FIGURES = ("accuracy", "span_f1", "ece", "perplexity")


def trace_tree(trace: Trace) -> Tree:
    """The chain: each dataset below what was made from it, each document below the last dataset, its source file beside it."""
    root = Tree(Text.assemble(("why ", "dim"), (trace.answer_id, "bold")), guide_style="dim")
    here = root
    ahead = list(trace.trace)
    while ahead:
        node = ahead.pop(0)
        if node.kind == "document":
            source = ahead.pop(0) if ahead and ahead[0].kind == "source" else None
            _add_document(here, node, source)
            continue
        branch = here.add(_label(node))
        if node.kind not in ("run", "report"):  # these stand beside the version, not below it
            here = branch
    if trace.note:
        root.add(Text(trace.note, "yellow"))
    return root


def _label(node: Node) -> Text:
    said = ABOUT.get(node.kind, lambda _: "")(node.detail)
    digest = (f"  {node.digest[:DIGITS]}", "dim") if node.digest else ""
    return Text.assemble((f"{node.kind:<8}", "dim"), (node.id, "bold cyan"), f"  {said}" if said else "", digest)


def _add_document(tree: Tree, node: Node, source: Node | None) -> None:
    closeness = node.detail.get("closeness")
    head = Text.assemble(
        ("document ", "dim"),
        (shown(source.id if source else node.id), "bold green"),
        (f"  closeness {closeness:.1f}" if closeness is not None else "", "dim"),
        (f"  {source.digest[:DIGITS]}" if source else "", "dim"),
    )
    tree.add(head).add(Text(" ".join(shown(node.detail.get("text", "")).split())))


def _answer(detail: Mapping[str, Any]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(detail["at"]))
    return f"{detail['deployment']}:{detail['task']}, {detail['inputs']} input{'s' if detail['inputs'] != 1 else ''}, {when}"


def _step(detail: Mapping[str, Any]) -> str:
    confidence = detail.get("confidence")
    return "" if confidence is None else f"lowest confidence {confidence:.2f}"


def _version(detail: Mapping[str, Any]) -> str:
    tasks: Sequence[str] = detail.get("tasks", ())
    return f"{detail.get('family', '')}, answers {', '.join(tasks)}"


def _run(detail: Mapping[str, Any]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(detail["at"]))
    return f"{detail['verb']} by {detail['actor']}, {when}"


def _report(detail: Mapping[str, Any]) -> str:
    figures = [f"{name.replace('_', ' ')} {number(detail[name])}" for name in FIGURES if isinstance(detail.get(name), float)]
    return f"{detail.get('split')}: {', '.join(figures)}"


def _dataset(detail: Mapping[str, Any]) -> str:
    by = f" by {', '.join(detail['models'])}" if detail.get("models") else ""
    said = f"{detail['verb']}{by}, {detail.get('rows', 0):,} documents"
    by_people = detail.get("annotation")
    if not by_people:
        return said
    guidelines, people = ", ".join(map(str, by_people["guidelines"])), len(by_people["annotators"])
    return f"{said}; {by_people['project']}: {by_people['answers']:,} answers of {people}, guideline {guidelines}"


ABOUT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "answer": _answer,
    "step": _step,
    "version": _version,
    "run": _run,
    "report": _report,
    "dataset": _dataset,
}
