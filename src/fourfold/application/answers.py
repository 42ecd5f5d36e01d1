"""Why an answer is what it is: from its record over step, version, run and datasets down to source documents."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fourfold.application.lifecycle import figures_of, latest_report
from fourfold.application.results import Node, Trace
from fourfold.application.serving import bodies, request_segments
from fourfold.application.serving.request_segments import Record
from fourfold.core.errors import BadInput, Corrupt, Erased, NotFound
from fourfold.core.ids import new_id
from fourfold.core.nouns import Run, Version
from fourfold.data.dataset import Dataset, Fragment
from fourfold.data.indexes import INDEXES
from fourfold.data.search import Found, OpenIndex, build
from fourfold.storage.ledger import Ledger

WARM_ROWS = 200_000  # a larger dataset is indexed by its first `why`, so that a deployment need not wait for it
EXCERPT = 200  # characters of a document that a trace shows
COLUMNS = ("doc_id", "text", "source", "source_digest")
SEARCH: dict[str, dict[str, Any]] = {
    "bm25": {"columns": ["text"]}
}  # the index that finds the closest documents; loaded when first asked
LABELLED = ("label", "spans", "preferred", "answer", "annotators", "annotated_at", "guideline", "decided")


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
    documents, note = _documents(ledger, version, asked, limit)
    nodes += _document_nodes(ledger, chain, documents)
    note = note if asked or not documents else _no_text(record)
    return Trace(record.id, record.deployment, version.ref, nodes, note, time.perf_counter() - begun)


def dataset_chain(ledger: Ledger, version: Version) -> list[Version]:
    """Every dataset behind a version, nearest first, down to what was collected."""
    found: dict[str, Version] = {}
    ahead = ledger.inputs(version)
    while ahead:
        nearest = ahead.pop(0)
        if nearest.kind == "dataset" and nearest.id not in found:
            found[nearest.id] = nearest
            ahead += ledger.inputs(nearest)
    return list(found.values())


def warm(ledger: Ledger, version: Version) -> None:
    """Make the index that `why` asks, so that the first question about a deployment is as quick as the later ones."""
    training = _training_data(ledger, version)
    if training is not None and training.dataset.meta.get("rows", 0) <= WARM_ROWS:
        with suppress(Erased, NotFound):  # why says so
            _index(ledger, training)


def warm_all(ledger: Ledger) -> None:
    """Make the first `why` of a process as quick as the later ones: load the index's library (0.2 s) and the data in use."""
    INDEXES.resolve("bm25")
    for deployment in ledger.deployments():
        for route in deployment.routes if deployment.state == "live" else ():
            warm(ledger, ledger.version(route.version))


def _asked(ledger: Ledger, record: Record, text: str | None) -> str:
    if text is not None:
        if bodies.hash_text(text, ledger.home) != record.input_hash:
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
    if "annotation" in dataset.meta:
        detail["annotation"] = dataset.meta["annotation"]
    models = [v.ref for v in ledger.inputs(dataset) if v.kind == "model"]
    if models:
        detail["models"] = models  # whose words these are: of a prediction, or of labels that a model proposed
    return Node("dataset", dataset.ref, dataset.digest, detail)


@dataclass(frozen=True, slots=True)
class Training:
    """The rows that a model learnt from: a dataset and its split, None for all of it. What was held out is not among them."""

    dataset: Version
    split: str | None


def _training_data(ledger: Ledger, version: Version) -> Training | None:
    """None of a model that was not trained here: its run had no dataset."""
    run = ledger.find_run(version.run_id)
    if not run.inputs:
        return None
    split = run.spec.get("split", "train")
    return Training(ledger.version(run.inputs[0]), None if split == "all" else split)


Document = tuple[Version, dict[str, Any], float | None]  # dataset, row, closeness


def _documents(ledger: Ledger, version: Version, asked: str, limit: int) -> tuple[list[Document], str]:
    """Training documents, the closest first, and what is to be said of their order."""
    training = _training_data(ledger, version)
    if training is None:
        return [], f"{version.ref} was made from no dataset of this home, so its trace ends with its run."
    try:
        rows = Dataset(ledger.materialise(training.dataset), training.split)
    except (Erased, NotFound) as error:
        return [], f"The trace ends with its dataset: {error.message}"
    hits = _closest(ledger, training, asked, limit) if asked else []
    if not hits:
        note = "No document that the model was trained on shares a word with what was asked: these are its first."
        return [(training.dataset, row, None) for row in _first(rows, limit)], note
    by_id = _rows(rows, [hit.doc_id for hit in hits])
    return [(training.dataset, by_id[hit.doc_id], hit.score) for hit in hits], ""


def _closest(ledger: Ledger, training: Training, asked: str, limit: int) -> list[Found]:
    try:
        index = OpenIndex(_index(ledger, training))
    except (BadInput, Corrupt):  # another release wrote it
        shutil.rmtree(_folder(ledger, training), ignore_errors=True)
        index = OpenIndex(_index(ledger, training))
    with closing(index):
        return index.search(asked, limit=limit, match="any").hits


def _folder(ledger: Ledger, training: Training) -> Path:
    return ledger.home / "cache" / "search" / f"{training.dataset.digest}-{training.split or 'all'}"


def _first(rows: Dataset, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for fragment in rows.fragments():
        found += _read(fragment).slice(0, limit - len(found)).to_pylist()
        if len(found) == limit:
            break
    return found


def _rows(rows: Dataset, doc_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for fragment in rows.fragments():
        table = _read(fragment)
        wanted = pc.is_in(table["doc_id"], pa.array(doc_ids, pa.string()))  # type: ignore[attr-defined]
        found |= {row["doc_id"]: row for row in table.filter(wanted).to_pylist()}
        if len(found) == len(doc_ids):
            break
    return found


def _read(fragment: Fragment) -> pa.Table:
    """What a trace says of documents: of annotated ones also what was said of them, by whom, when, by which guideline."""
    names = pq.read_schema(fragment.path).names
    return fragment.table([*COLUMNS, *(name for name in LABELLED if "annotators" in names and name in names)])


def _document_nodes(ledger: Ledger, chain: Sequence[Version], documents: Sequence[Document]) -> list[Node]:
    collected = [d for d in chain if not any(i.kind == "dataset" for i in ledger.inputs(d))]
    nodes: list[Node] = []
    for dataset, row, closeness in documents:
        detail: dict[str, Any] = {"dataset": dataset.ref, "text": _excerpt(row["text"])}
        if row.get("annotators"):
            detail["annotation"] = {name: row[name] for name in LABELLED if row.get(name) is not None}
        nodes.append(Node("document", row["doc_id"], detail=detail | ({} if closeness is None else {"closeness": closeness})))
        where = _raw_file(ledger, collected, row["source_digest"])
        nodes.append(Node("source", row["source"], row["source_digest"], {"file": where}))
    return nodes


def _index(ledger: Ledger, training: Training) -> Path:
    """The folder of a BM25 index of the training rows: derived, made when first wanted, safe to delete."""
    folder = _folder(ledger, training)
    if folder.is_dir():
        return folder
    temporary = folder.with_name(new_id("tmp"))
    try:
        rows = Dataset(ledger.materialise(training.dataset), training.split)
        temporary.mkdir(parents=True)
        build(INDEXES.build(SEARCH), SEARCH, list(rows.fragments()), temporary)
        if not folder.is_dir():
            temporary.rename(folder)  # atomic: nobody asks half an index
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _raw_file(ledger: Ledger, collected: Sequence[Version], digest: str) -> str:
    gone = ""
    for dataset in collected:
        try:
            files = ledger.manifest(dataset).files
        except (Erased, NotFound) as error:
            gone = error.message
            continue
        for file in files:
            if file.digest == digest:
                return f"{dataset.ref}/{file.path}"
    return gone


def _excerpt(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"
