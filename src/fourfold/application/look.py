"""Looking things up in a home: versions, datasets, aliases, deployments, and whatever an id stands for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from fourfold.application import answers
from fourfold.application.results import (
    AliasDetail,
    AnnotationDetail,
    DeploymentChange,
    DeploymentDetail,
    Documents,
    FileEntry,
    Shown,
    VersionDetail,
)
from fourfold.application.serving.home import fronts_of
from fourfold.application.serving.routing import Routes, followed
from fourfold.core.errors import BadInput, NotFound, did_you_mean
from fourfold.core.nouns import Run, Version
from fourfold.data import describe as data_describe
from fourfold.data import drops as data_drops
from fourfold.data.dataset import Dataset
from fourfold.storage import annotation_projects, annotation_queue, jobs, states
from fourfold.storage.leases import clock
from fourfold.storage.ledger import Ledger
from fourfold.storage.versions import HEX

MOST = 1000  # rows of a page
Row = TypeVar("Row", Version, Run, jobs.Job)


def bounded(limit: int) -> int:
    """The limit of a page. Raises BadInput."""
    if not 1 <= limit <= MOST:
        raise BadInput(f"limit is {limit}; it must be between 1 and {MOST}.", hint="Use next_cursor to read on.")
    return limit


def cut(found: Sequence[Row], limit: int) -> tuple[list[Row], str | None]:
    """A page and the cursor of the next, from `limit` + 1 rows that were asked for."""
    return list(found[:limit]), found[limit - 1].id if len(found) > limit else None


def dataset_folder(ledger: Ledger, version: Version) -> Path:
    """The folder of a dataset version. Raises BadInput if it is of another kind."""
    if version.kind != "dataset":
        raise BadInput(f"{version.ref} is a {version.kind}, not a dataset.", hint="Run: fourfold versions --kind dataset")
    return ledger.materialise(version)


def describe(ledger: Ledger, version: Version) -> dict[str, Any]:
    """What `fourfold describe` prints."""
    return {"dataset": version.ref, **data_describe.describe(Dataset(dataset_folder(ledger, version)))}


def documents(ledger: Ledger, version: Version, *, doc_id: str | None, limit: int, offset: int) -> Documents:
    """Rows of a dataset from `offset` on, or the one of `doc_id`. Raises NotFound."""
    dataset = Dataset(dataset_folder(ledger, version))
    if doc_id is None:
        return Documents(
            version.ref, data_describe.show(dataset, limit=bounded(limit), offset=offset), version.meta.get("rows", 0)
        )
    rows = data_describe.show(dataset, doc_id=doc_id)
    if not rows:
        raise NotFound(f"{version.ref} has no document {doc_id!r}.", hint=f"Run: fourfold show {version.ref}")
    return Documents(version.ref, rows, 1)


def drops(
    ledger: Ledger, version: Version, *, reason: str | None, step: str | None, limit: int, offset: int
) -> data_drops.DropPage:
    """Rows that were left out when a dataset was made, with their texts where the datasets before it still hold them."""
    folder = dataset_folder(ledger, version)
    before = [ledger.materialise(made_from) for made_from in ledger.inputs(version) if made_from.kind == "dataset"]
    return data_drops.drops(version.ref, folder, before, reason=reason, step=step, limit=bounded(limit), offset=offset)


def version(ledger: Ledger, found: Version) -> VersionDetail:
    """A version with everything around it."""
    with ledger.database.read() as connection:
        state, receipt = states.ended(connection, [found.id]).get(found.id, ("kept", ""))
        held = states.is_held(connection, found.id)
    listed = ledger.manifest(found).files if state == "kept" else ()
    files = [FileEntry(f.path, f.size_bytes, f.digest, f.sha256) for f in listed]
    pointing = [alias for alias, ref in ledger.aliases(found.name).items() if ref == found.ref]
    inputs, outputs = [v.ref for v in ledger.inputs(found)], [v.ref for v in ledger.outputs(found)]
    return VersionDetail(found, files, inputs, outputs, pointing, state, receipt, held)


def version_file(ledger: Ledger, found: Version, path: str) -> Path:
    """A file of a version on this machine. Raises NotFound with the closest path."""
    known = [f.path for f in ledger.manifest(found).files]
    if path not in known:  # a listed path leads nowhere else
        raise NotFound(f"{found.ref} has no file {path!r}.{did_you_mean(path, known)}", hint=f"Run: fourfold show {found.ref}")
    return ledger.materialise(found) / path


def alias(ledger: Ledger, name: str, alias_name: str) -> AliasDetail:
    """An alias with its history. Raises NotFound."""
    full = f"{name}@{alias_name}"
    pointing = ledger.aliases(name)
    if full not in pointing:
        raise NotFound(
            f"There is no alias {full!r}.{did_you_mean(full, pointing)}", hint=f"Run: fourfold promote {name} {alias_name}"
        )
    return AliasDetail(full, pointing[full], ledger.alias_moves(name, alias_name))


def annotation(ledger: Ledger, name: str) -> AnnotationDetail:
    """An annotation project with its guideline and how far it is. Raises NotFound."""
    with ledger.database.read() as connection:
        found = annotation_projects.one(connection, name)
        counts = annotation_projects.counts(connection, name, clock(connection))
        return AnnotationDetail(found, annotation_projects.guidelines(connection, name), counts)


def labels(ledger: Ledger, name: str, *, doc_id: str | None, history: bool) -> list[annotation_queue.Answer]:
    """Answers of an annotation project, or those of one document. Raises NotFound."""
    with ledger.database.read() as connection:
        annotation_projects.one(connection, name)
        if doc_id is not None:
            annotation_projects.item(connection, name, doc_id)
        return annotation_queue.answers(connection, name, None if doc_id is None else [doc_id], history=history)


def deployment(ledger: Ledger, name: str) -> DeploymentDetail:
    """A deployment, its history, and whether the serving processes route to what its row says."""
    wanted = ledger.deployment(name)
    routes = Routes(ledger.home)
    routes.refresh()
    routed = routes.deployments.get(name)
    present = {(v.ref, round(v.weight, 9)) for v in routed.versions} if routed else set()
    as_wanted = present == {(r.version, round(r.weight, 9)) for r in wanted.routes} and wanted.state == "live"
    served = as_wanted and followed(ledger.home, fronts_of(ledger.home), routes.table)
    changes = [DeploymentChange(d, reason) for d, reason in ledger.deployment_history(name)]
    return DeploymentDetail(wanted, served, routed.problem if routed else "", changes)


def show(ledger: Ledger, thing: str) -> Shown:
    """The thing behind an id, digest or name. Raises NotFound."""
    by_prefix = {"run": _run, "job": _job, "req": _answer, "doc": _document, "key": _key}
    prefix = thing.partition("_")[0]
    if "_" in thing and prefix in by_prefix:
        return by_prefix[prefix](ledger, thing)
    if HEX.fullmatch(thing):
        return _digest(ledger, thing)
    if "@" not in thing and any(d.name == thing for d in ledger.deployments()):
        return Shown("deployment", deployment(ledger, thing))
    if re.fullmatch(r".+@[^\d].*", thing) and thing in ledger.aliases(thing.rpartition("@")[0]):
        name, _, alias_name = thing.rpartition("@")
        return Shown("alias", alias(ledger, name, alias_name))
    return Shown("version", version(ledger, ledger.version(thing)))


def _run(ledger: Ledger, thing: str) -> Shown:
    return Shown("run", ledger.find_run(thing))


def _job(ledger: Ledger, thing: str) -> Shown:
    with ledger.database.read() as connection:
        return Shown("job", jobs.one(connection, thing))


def _answer(ledger: Ledger, thing: str) -> Shown:
    return Shown("answer", answers.why(ledger, thing, text=None, limit=5))


def _key(_ledger: Ledger, thing: str) -> Shown:
    raise NotFound(f"Keys are not shown by id ({thing}).", hint="Run: fourfold keys")


def _document(ledger: Ledger, thing: str) -> Shown:
    """A document in the newest dataset that holds it, with the datasets that it passed through."""
    found: dict[str, Any] = {}
    newest: dict[str, Version] = {}
    for v in ledger.versions(kind="dataset", limit=MOST):
        newest.setdefault(v.name, v)
    for v in newest.values():
        rows = data_describe.show(Dataset(ledger.materialise(v)), doc_id=thing)
        if rows:
            found[v.ref] = rows[0]
    if not found:
        raise NotFound(f"No dataset's newest version holds document {thing!r}.", hint="Run: fourfold versions --kind dataset")
    return Shown("document", found)


def _digest(ledger: Ledger, digest: str) -> Shown:
    """A version by its manifest's digest, or the versions that hold a file by the file's."""
    held = ledger.holders(digest)
    if not held:
        return Shown("version", version(ledger, ledger.version(digest)))
    where = [f"{v.ref}/{file.path}" for v, file in held]
    file = held[0][1]
    return Shown("file", {"in": where, "size_bytes": file.size_bytes, "digest": file.digest, "sha256": file.sha256})
