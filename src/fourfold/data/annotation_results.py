"""What annotation answers with. Types alone, so that the SDK loads nothing heavy with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fourfold.storage.annotation_projects import Order
from fourfold.storage.annotation_queue import Answer

LEASE_SECONDS = 1800.0  # that an item is somebody's after it was handed out
FAULTS_SHOWN = 20  # that the report of an import names


@dataclass(frozen=True, slots=True)
class ItemToLabel:
    """A document in somebody's hands `until` a time (Unix seconds): what they see of it, and what is suggested.

    `guideline` is the number of the one to follow.
    """

    doc_id: str
    text: str
    columns: dict[str, Any]
    suggestion: dict[str, Any] | None
    suggested_by: str | None
    confidence: float | None
    guideline: int
    until: float


@dataclass(frozen=True, slots=True)
class Handed:
    """Items for one person. None: `left` says how many others still hold, or have to answer."""

    items: list[ItemToLabel]
    left: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A document that an adjudicator has to decide, why (disagreement, passed_over), and what was said of it."""

    doc_id: str
    text: str
    columns: dict[str, Any]
    why: str
    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a project's items: `kept` and `new` ones, and `lost`: those whose answers went."""

    dataset: str
    kept: int
    new: int
    lost: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Two people on the units that both decided. `kappa` None: chance alone would make them agree on all of these."""

    a: str
    b: str
    units: int
    observed: float  # share of units with equal categories
    expected: float  # by chance
    kappa: float | None
    span_f1: float | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement in a project over the `documents` that at least two people answered; on `same` of these all said the same.

    `alpha` None: fewer than two categories occur, so nothing can be said. `by_label`: alpha of each label against the rest.
    """

    documents: int
    same: int
    alpha: float | None
    by_label: dict[str, float | None] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Exported:
    """A project for Label Studio: the labelling configuration of its set-up page, and the tasks to import there."""

    config: str
    tasks: list[dict[str, Any]]


@dataclass(slots=True)
class Imported:
    """What an import brought. `left_out` counts what it could not use, by reason; `faults` names the first of them."""

    tasks: int = 0
    answers: int = 0
    decisions: int = 0
    suggestions: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def leave(self, reason: str, fault: str) -> None:
        """Count something that cannot be used."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1
        if len(self.faults) < FAULTS_SHOWN:
            self.faults.append(fault)


@dataclass(frozen=True, slots=True)
class Prelabelled:
    """What pre-labelling did. `without`: documents that got no suggestion, by reason. `agrees`: share of the answered documents
    of which people said what the model suggests; `ece_before` and `ece_after`: calibration error on them, where they calibrate.
    """

    project: str
    model: str
    task: str
    suggested: int
    without: dict[str, int]
    order: Order
    calibrated: bool
    agrees: float | None = None
    ece_before: float | None = None
    ece_after: float | None = None
