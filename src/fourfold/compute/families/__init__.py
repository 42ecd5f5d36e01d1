"""The door of model families: what one is, and the table of their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol

from fourfold.core.progress import Progress
from fourfold.core.registry import Table
from fourfold.data.dataset import Dataset


class Family(Protocol):
    """A frozen dataclass whose fields are the training settings.

    `fit` trains on `train`, may calibrate or stop early on `dev`, writes every file that serving needs into `folder`, and
    returns meta: at least {"tasks": [...], "training": {figures}}. `load` (static) opens such a folder as a Model.
    """

    tasks: ClassVar[tuple[str, ...]]

    def fit(self, train: Dataset, dev: Dataset | None, folder: Path, progress: Progress) -> dict[str, Any]: ...

    @staticmethod
    def load(folder: Path) -> Model: ...


class Model(Protocol):
    """A loaded model: one method per task it serves (compute/tasks.py gives their types), and `close`."""

    def close(self) -> None: ...


FAMILIES = Table(
    "family",
    {
        "ngram": "fourfold.compute.families.ngram:Ngram",
        "crf": "fourfold.compute.families.crf:Crf",
        "lsa": "fourfold.compute.families.lsa:Lsa",
    },
)
