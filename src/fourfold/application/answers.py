"""Why an answer is what it is: from its record over step, version, run and datasets down to source documents."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from fourfold.application.lifecycle import figures_of, latest_report
from fourfold.application.results import Node, Trace
from fourfold.application.serving import bodies, request_segments
from fourfold.application.serving.request_segments import Record
from fourfold.compute.tasks import TextInput
from fourfold.core.errors import BadInput
from fourfold.core.ids import new_id
from fourfold.core.nouns import Run, Version
from fourfold.data.dataset import Dataset
from fourfold.data.indexes import INDEXES
from fourfold.storage.ledger import Ledger

WARM_ROWS = 200_000  # a larger dataset is indexed by its first `why`, so that a deployment need not wait for it
EXCERPT = 200  # characters of a document that a trace shows
SEARCH = "bm25"  # the index that finds the closest documents; loaded when first asked


def why(ledger: Ledger, answer_id: str, *, text: str | None, limit: int) -> Trace:
    """The trace of an answer. Source documents are those of the model's training data that share most with what was asked.

    Raises NotFound if the answer was not given here, BadInput if `text` is not what was asked.
    """
    begun = time.perf_counter()
    record = request_segments.find(ledger.home, ledger, answer_id)
    version = ledger.version(record.version)
    asked = _asked(ledger, record, text)
    nodes = [_answer_node(record), Node("step", record.step, detail={"confidence": record.confidence})]
    nodes += _model_nodes(ledger, version)
    chain = dataset_chain(ledger, version)
    nodes += [_dataset_node(ledger, dataset) for dataset in chain]
    nodes += _document_nodes(ledger, version, chain, asked, limit)
    note = "" if asked else _no_text(record)
    return Trace(record.id, record.deployment, version.ref, nodes, note, time.perf_counter() - begun)


def dataset_chain(ledger: Ledger, version: Version) -> list[Version]:
    """Every dataset behind a version, nearest first, down to what was collected."""
    found: dict[str, Version] = {}
    ahead = ledger.inputs(version)
    while ahead:
        nearest = ahead.pop(0)
        if nearest.kind == "dataset" and nearest.id not in found:
            found[nearest.id] = nearest
        ahead += ledger.inputs(nearest) if nearest.kind == "dataset" else []
    return list(found.values())


def warm(ledger: Ledger, version: Version) -> None:
    """Make the index that `why` asks, so that the first question about a deployment is as quick as the later ones."""
    for dataset in _training_data(ledger, version):
        if dataset.meta.get("rows", 0) <= WARM_ROWS:
            _index(ledger, dataset)


def warm_all(ledger: Ledger) -> None:
    """Make the first `why` of a process as quick as the later ones: load the index's library (0.2 s) and the data in use."""
    INDEXES.resolve("bm25")
    for deployment in ledger.deployments():
        for route in deployment.routes if deployment.state == "live" else ():
            warm(ledger, ledger.version(route.version))


def _asked(ledger: Ledger, record: Record, text: str | None) -> str:
    if text is not None:
        salt = (ledger.home / "requests" / "salt").read_bytes()
        if bodies.hash_inputs([TextInput(text)], salt) != record.input_hash:
            raise BadInput(f"This text is not what was asked in {record.id}.", hint="Give the text exactly as it was sent.")
        return text
    if record.content_inputs is None:
        return ""
    inputs: list[dict[str, Any]] = msgspec.msgpack.decode(record.content_inputs)
    return "\n".join(" ".join(_texts(one)) for one in inputs)


def _texts(one: dict[str, Any]) -> Iterator[str]:
    yield from (one.get("text", ""), one.get("query", ""))
    yield from (item.get("text", "") for item in one.get("items", []))


def _no_text(record: Record) -> str:
    return (
        f"Deployment {record.deployment} does not keep what was asked, so documents are not ordered by closeness: give the "
        "text with --text, or deploy with the limit record_content."
    )


def _answer_node(record: Record) -> Node:
    detail = {
        "at": record.at_ms / 1000,
        "deployment": record.deployment,
        "task": record.task,
        "code": record.code,
        "inputs": record.inputs,
        "input_hash": record.input_hash,
        "summary": record.summary,
        "actor": record.actor,
        "total_ms": record.total_ms,
    }
    if record.content_inputs is not None:
        detail["asked"] = msgspec.msgpack.decode(record.content_inputs)
    return Node("answer", record.id, detail=detail)


def _model_nodes(ledger: Ledger, version: Version) -> list[Node]:
    run = ledger.find_run(version.run_id)
    family = version.meta.get("family", "")
    nodes = [
        Node("version", version.ref, version.digest, {"family": family, "tasks": version.meta.get("tasks", []), "run": run.id}),
        Node("run", run.id, detail=_run_facts(run)),
    ]
    report = latest_report(ledger, version)
    if report is not None:
        figures = {"split": report.meta.get("split"), **figures_of(report)}
        nodes.append(Node("report", report.ref, report.digest, figures))
    return nodes


def _run_facts(run: Run) -> dict[str, Any]:
    return {
        "verb": run.verb,
        "actor": run.actor,
        "at": run.started_at,
        "spec": run.spec,
        "recipe": run.recipe,
        "code_version": run.code_version,
    }


def _dataset_node(ledger: Ledger, dataset: Version) -> Node:
    run = ledger.find_run(dataset.run_id)
    detail = {"verb": run.verb, "run": run.id, "rows": dataset.meta.get("rows"), "inputs": list(run.inputs)}
    return Node("dataset", dataset.ref, dataset.digest, detail)


def _training_data(ledger: Ledger, version: Version) -> list[Version]:
    return [v for v in ledger.inputs(version) if v.kind == "dataset"]


def _document_nodes(ledger: Ledger, version: Version, chain: Sequence[Version], asked: str, limit: int) -> list[Node]:
    collected = [d for d in chain if not any(i.kind == "dataset" for i in ledger.inputs(d))]
    nodes: list[Node] = []
    for dataset in _training_data(ledger, version):
        for row, score in _closest(ledger, dataset, asked, limit):
            detail = {"dataset": dataset.ref, "text": _excerpt(row["text"])} | ({} if score is None else {"closeness": score})
            nodes.append(Node("document", row["doc_id"], detail=detail))
            where = _raw_file(ledger, collected, row["source_digest"])
            nodes.append(Node("source", row["source"], row["source_digest"], {"file": where}))
    return nodes[: 2 * limit]


def _closest(ledger: Ledger, dataset: Version, asked: str, limit: int) -> list[tuple[dict[str, Any], float | None]]:
    training = Dataset(ledger.materialise(dataset), "train")
    columns = ["doc_id", "text", "source", "source_digest"]
    if not asked:
        first = next(training.fragments()).table(columns).slice(0, limit)
        return [(row, None) for row in first.to_pylist()]
    hits = {hit.doc_id: hit.score for hit in INDEXES.build(SEARCH).search(_index(ledger, dataset), asked, limit)}
    found: dict[str, dict[str, Any]] = {}
    for fragment in training.fragments():
        table = fragment.table(columns)
        rows = table.filter(pc.is_in(table["doc_id"], pa.array(list(hits), pa.string())))  # type: ignore[attr-defined]
        found |= {row["doc_id"]: row for row in rows.to_pylist()}
        if len(found) == len(hits):
            break
    return [(found[doc_id], score) for doc_id, score in hits.items() if doc_id in found]


def _index(ledger: Ledger, dataset: Version) -> Path:
    """The folder of a BM25 index of the training rows: derived, made when first wanted, safe to delete."""
    folder = ledger.home / "cache" / "search" / dataset.digest
    if folder.is_dir():
        return folder
    temporary = folder.with_name(new_id("tmp"))
    try:
        training = Dataset(ledger.materialise(dataset), "train")
        tables = (fragment.table(["doc_id", "text"]) for fragment in training.fragments())
        pairs = ((row["doc_id"], row["text"] or "") for table in tables for row in table.to_pylist())
        INDEXES.build(SEARCH).build(pairs, temporary)
        if not folder.is_dir():
            temporary.rename(folder)  # atomic: nobody asks half an index
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _raw_file(ledger: Ledger, collected: Sequence[Version], digest: str) -> str:
    for dataset in collected:
        for file in ledger.manifest(dataset).files:
            if file.digest == digest:
                return f"{dataset.ref}/{file.path}"
    return ""


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"
