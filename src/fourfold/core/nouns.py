"""Everything kept is a Version. Everything done is a Run. Everything served is a Deployment. Everything asked is a Request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["dataset", "model", "index", "ruleset", "graph", "pipeline", "report"]
RunState = Literal["running", "done", "failed"]
DeploymentState = Literal["live", "offline", "retired"]
Role = Literal["reader", "annotator", "developer", "operator", "approver", "admin"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: a key's holder, or the command line of the home's owner."""

    id: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Document:
    """One text with its other columns. `source` says where its bytes are: `path#line`, relative to what was collected."""

    id: str
    text: str
    source: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Version:
    """Something kept: an immutable set of files under a name and a number. Written `name@number`.

    `digest` is that of its manifest (64 hex digits): equal content, equal digest. `meta` holds what readers need without
    opening files: of a model family, tasks, label set; of a dataset rows and columns; of a report figures.
    """

    id: str
    name: str
    number: int
    kind: Kind
    digest: str
    run_id: str
    created_at: float  # Unix seconds
    size_bytes: int
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ref(self) -> str:
        """`name@number`."""
        return f"{self.name}@{self.number}"


@dataclass(frozen=True, slots=True)
class Run:
    """Something done: a verb with its complete spec, its inputs (`name@number`), and how it ended."""

    id: str
    verb: str
    name: str
    spec: Mapping[str, Any]
    inputs: tuple[str, ...]
    actor: str
    recipe: str  # fingerprint of verb, spec and input digests: equal recipes make equal things
    code_version: str
    state: RunState
    started_at: float
    finished_at: float | None = None
    error: str | None = None
    version: str | None = None  # `name@number` that it left
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """A share of a deployment's traffic: a version and its weight. Weights of one deployment sum to 1."""

    version: str  # `name@number`
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """Something served: a public name that routes to versions. Desired state: rows that the supervisor makes true."""

    name: str
    routes: tuple[Route, ...]
    state: DeploymentState
    engine: str
    limits: Mapping[str, Any]
    revision: int  # grows by one with each change; its strong ETag
    updated_at: float
    updated_by: str
