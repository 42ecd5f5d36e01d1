"""What the platform answers with, beyond the nouns: these types are the bodies of /api/v1 and what the SDK returns."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from fourfold.core.nouns import Actor, Deployment, Role, Run, Version
from fourfold.data.connections import Connection
from fourfold.storage.annotation_projects import Annotation, Counts, Guideline
from fourfold.storage.backup import Backup
from fourfold.storage.fsck import Finding
from fourfold.storage.jobs import Job
from fourfold.storage.tags import TagChange
from fourfold.storage.versions import AliasMove

PAGE = 50  # rows of a page when nobody asks for more
Spec = str | dict[str, Any]  # a part: its name, or {name: {settings}}


class VersionPage(Struct):
    """Versions, newest first. `next_cursor` asks for the page after; null on the last. `ended`: what became of those that are
    not kept, `removed` or `erased rcpt_…`."""

    data: list[Version]
    next_cursor: str | None = None
    ended: dict[str, str] = {}


class RunPage(Struct):
    """Runs, newest first."""

    data: list[Run]
    next_cursor: str | None = None


class JobPage(Struct):
    """Jobs, newest first."""

    data: list[Job]
    next_cursor: str | None = None


class Tags(Struct):
    """The tags of a version, and every change of them, oldest first."""

    version: str
    tags: dict[str, str]
    history: list[TagChange]


class BackupList(Struct):
    """Backups, newest first. `verified_age_seconds`: of the newest whose restore was found good; null without one."""

    data: list[Backup]
    verified_age_seconds: float | None


class SourceList(Struct):
    """What is known of the accounts and addresses that sources ask, by source and account."""

    data: list[Connection]


class FileEntry(Struct):
    """A file of a version: path inside it, bytes, BLAKE3 and SHA-256 in hex."""

    path: str
    size_bytes: int
    digest: str
    sha256: str


class VersionDetail(Struct):
    """A version with its files, what it was made from, what was made from it, and the aliases that point at it. One that is
    `removed` or `erased` (`state`; the receipt of the erasure) has no files any more."""

    version: Version
    files: list[FileEntry]
    inputs: list[str]
    outputs: list[str]
    aliases: list[str]
    state: str = "kept"
    receipt: str = ""
    held: bool = False


class VersionKept(Struct):
    """What becomes of a version: kept, removed or erased, and whether it is under legal hold."""

    ref: str
    state: str
    held: bool


class Examined(Struct):
    """What fsck found wrong; nothing if all is well."""

    findings: list[Finding]


class AliasDetail(Struct):
    """An alias, where it points, and every move it made."""

    alias: str
    version: str
    moves: list[AliasMove]


class AnnotationDetail(Struct):
    """An annotation project, every version of its guideline (oldest first), and how far it is."""

    annotation: Annotation
    guidelines: list[Guideline]
    counts: Counts


class Released(Struct):
    """How many items somebody let go of."""

    items: int


class DeploymentChange(Struct):
    """One state that a deployment had, and why it changed to it."""

    deployment: Deployment
    reason: str


class DeploymentDetail(Struct):
    """A deployment, whether the serving processes have made its rows true, and its history, oldest first."""

    deployment: Deployment
    served: bool
    problem: str
    history: list[DeploymentChange]


class KeyInfo(Struct):
    """An API key without its token. Times are Unix seconds."""

    id: str
    name: str
    role: Role
    created_at: float
    created_by: str
    expires_at: float | None
    revoked_at: float | None


class NewKey(Struct):
    """A key just made. The token is shown this once; only its hash is kept."""

    key: KeyInfo
    token: str


class WhoAmI(Struct):
    """The actor behind a request and the actions that its role may do."""

    actor: Actor
    actions: list[str]


class Documents(Struct):
    """Rows of a dataset. A row is a mapping from column to value."""

    dataset: str
    rows: list[dict[str, Any]]
    total: int


NodeKind = Literal["answer", "step", "version", "run", "report", "dataset", "document", "source"]


class Node(Struct, omit_defaults=True):
    """One link of a trace. `id` is what `fourfold show` opens, `digest` the content behind it where there is one."""

    kind: NodeKind
    id: str
    digest: str = ""
    detail: dict[str, Any] = {}


class Trace(Struct):
    """The chain from a served answer down to source documents, in that order, and how long it took to find."""

    answer_id: str
    deployment: str
    version: str
    trace: list[Node]
    note: str
    seconds: float


class Shown(Struct):
    """Whatever an id, digest or name stands for."""

    what: str
    value: Any


class Check(Struct):
    """One finding of the doctor. `next` is what to do about it."""

    name: str
    state: Literal["ok", "warning", "error"]
    detail: str
    next: str = ""


class Health(Struct):
    """All findings of the doctor."""

    ok: bool
    checks: list[Check]


class StageOutcome(Struct):
    """What became of a stage of a project file: `planned` in a dry run, `unchanged` when what it makes is there already."""

    stage: str
    verb: str
    state: Literal["planned", "unchanged", "done"]
    result: str
    inputs: list[str]
    figures: dict[str, Any]
    seconds: float


class Applied(Struct):
    """The outcome of a project file, stage by stage."""

    project: str
    stages: list[StageOutcome]


class NameUse(Struct):
    """Bytes of a name's versions: as files, and of distinct chunks."""

    name: str
    kind: str
    versions: int
    size_bytes: int
    stored_bytes: int


class VersionUse(Struct):
    """Bytes of a version's files."""

    version: str
    kind: str
    size_bytes: int


class StoreInfo(Struct):
    """A store, what it holds, and how it is. Null: nobody can say. `lost` of its last scrub: chunks that were right nowhere."""

    name: str
    kind: str
    where: str
    sealed: bool
    state: str
    chunks: int
    stored_bytes: int
    free_bytes: int | None
    full_at: float | None
    scrubbed_at: float | None
    lost: int


class StorageUse(Struct):
    """Where the bytes are. `acknowledgements`: how many stores must have a chunk before a publish counts."""

    stores: list[StoreInfo]
    names: list[NameUse]
    largest: list[VersionUse]
    bytes_per_day: float
    acknowledgements: int


class StoreKept(Struct):
    """What keeping a store did: chunks looked at, how many were copied or repaired, and which are right in no store."""

    store: str
    chunks: int
    size_bytes: int
    copied: int
    lost: int
    lost_chunks: list[str]


class SearchHit(Struct, omit_defaults=True):
    """A document that was found. `snippet` is a stretch of its text, `highlights` where the query's words stand in it: code
    points, half-open. `fields`: its other columns. `places`: its place, from 1, in each ranking that was fused.
    """

    doc_id: str
    score: float
    source: str
    snippet: str
    highlights: list[tuple[int, int]] = []
    fields: dict[str, Any] = {}
    places: dict[str, int] = {}


class SearchResults(Struct):
    """The documents that fit a query best, the best first. `total`: how many fit at all."""

    index: str
    query: str
    hits: list[SearchHit]
    total: int
    note: str
    seconds: float


class RawOrigin(Struct):
    """The bytes that a document was made of: a file of a collected dataset, whether it still is what its digest says, what lies
    within it (`place`, of an archive), the line at which the document begins, and some text from there.
    """

    dataset: str
    path: str
    place: str
    line: int | None
    digest: str
    size_bytes: int
    verified: bool
    format: str
    encoding: str
    excerpt: str


class DocumentDrop(Struct):
    """Why a document, or a line of a raw file that became none, goes no further."""

    step: str
    reason: str
    detail: str = ""
    line: int | None = None


class DocumentChange(Struct):
    """What a step made of a column of a document. `diff`: what stayed (=), went (-) and came (+), in order."""

    step: str
    column: str
    before: Any
    after: Any
    diff: list[tuple[str, str]]


class DocumentStage(Struct):
    """A dataset that a document passed, and what became of it there."""

    dataset: str
    verb: str
    run: str
    doc_id: str
    state: Literal["collected", "unchanged", "changed", "dropped"]
    changes: list[DocumentChange]
    drop: DocumentDrop | None = None


class DocumentWay(Struct):
    """The way of a document from its raw bytes on. `final`: its row in the last of the datasets; null if it was dropped."""

    doc_id: str
    raw: RawOrigin | None
    stages: list[DocumentStage]
    final: dict[str, Any] | None


class Followed(Struct):
    """The way of a document to a dataset; or, of a raw file, the ways of all that came of it (`documents` in all), and what in
    it became no document (`lost` in all).
    """

    dataset: str
    thing: str
    raw: RawOrigin | None
    ways: list[DocumentWay]
    documents: int
    drops: list[DocumentDrop]
    lost: int
    note: str
    seconds: float
