"""The door of policies for missing values: what one is, and the table of their names."""

from __future__ import annotations

from typing import Any, Protocol

from fourfold.core.registry import Table
from fourfold.data.fitting import Column


class Policy(Protocol):
    """A frozen dataclass: what is done about missing values of a column.

    `fit` learns from the rows of the split train, and gives what it learnt as a JSON value: it is kept in the version, and used
    again when serving. `fill` gives a value for each missing one; where it gives none, the row is dropped.
    """

    @property
    def reads_row(self) -> bool: ...
    def fit(self, column: Column, /) -> Any: ...
    def fill(self, column: Column, fitted: Any, /) -> list[Any]: ...


POLICIES = Table(
    "policy",
    {
        "drop": "fourfold.data.policies.drop:Drop",
        "constant": "fourfold.data.policies.constant:Constant",
        "mean": "fourfold.data.policies.mean:Mean",
        "median": "fourfold.data.policies.median:Median",
        "mode": "fourfold.data.policies.mode:Mode",
        "forward": "fourfold.data.policies.forward:Forward",
        "model": "fourfold.data.policies.model:Model",
    },
)
