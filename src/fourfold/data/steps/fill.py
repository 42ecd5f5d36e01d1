"""Fill in missing values, or drop the rows that lack them."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fourfold.core.errors import BadInput, BadSpec, did_you_mean
from fourfold.data.dataset import splits
from fourfold.data.fitting import Column, features_of, present
from fourfold.data.on_versions import Files
from fourfold.data.policies import POLICIES, Policy
from fourfold.data.steps import FITTED, Rewriting, mark, told

TRAIN, FEATURES, FILLED = "fill train", "fill features", "filled "


@dataclass(frozen=True, slots=True)
class Fill:
    """Missing values by a policy per column: drop, constant, mean, median, mode, forward, model. What a policy must know it
    learns from the split train alone, and keeps in the version, for serving and for other data: `like` names a version whose
    fitted values are used instead of learning them anew.

    A missing value is a null; with `blank`, also a text of white space.
    """

    columns: dict[str, Any] = field(default_factory=dict)  # {stars: median, channel: {constant: {value: web}}}
    like: str = ""
    blank: bool = True

    ON: ClassVar[str] = "like"

    def __post_init__(self) -> None:
        if not self.columns and not self.like:
            raise BadSpec("fill: columns is empty.", hint="Name them with their policies: {stars: median, label: drop}.")
        if self.columns and self.like:
            raise BadSpec("fill: with like, the policies are those of that version.", hint="Leave columns out.")
        self.policies()

    def policies(self) -> dict[str, Policy]:
        """The policy of each column. Raises BadSpec with its path."""
        return {name: POLICIES.build(_spec(spec), path=f"fill.columns.{name}") for name, spec in self.columns.items()}

    def keys(self, table: pa.Table, /) -> pa.Table:
        """The columns that are filled, which rows may be learnt from, and what policies must know of each row."""
        return _keys(table, self.policies(), self.blank)

    def __call__(self, table: pa.Table, /) -> pa.Table:
        keys = table if TRAIN in table.column_names else self.keys(table)
        return _marks(keys, self.policies(), None, self.columns)

    def apply(self, table: pa.Table, marks: pa.Table, /) -> pa.Table:
        """The rows with their values filled in."""
        return _applied(table, marks, list(self.columns), self.blank)

    def on(self, files: Files, /) -> Refill:
        """The step with the fitted values of another version. Raises BadInput if that has none."""
        return Refill(*read_fitted(Path(files.folder)), self.blank)


@dataclass(frozen=True, slots=True)
class Refill:
    """`fill` with what was learnt before."""

    columns: dict[str, Any]
    fitted: dict[str, Any]
    blank: bool

    def _policies(self) -> dict[str, Policy]:
        return {name: POLICIES.build(_spec(spec)) for name, spec in self.columns.items()}

    def keys(self, table: pa.Table, /) -> pa.Table:
        """As `Fill.keys`; no row is learnt from."""
        keys = _keys(table, self._policies(), self.blank)
        return keys.set_column(keys.column_names.index(TRAIN), TRAIN, pa.array([False] * len(keys), pa.bool_()))

    def __call__(self, table: pa.Table, /) -> pa.Table:
        keys = table if TRAIN in table.column_names else self.keys(table)
        return _marks(keys, self._policies(), self.fitted, self.columns)

    def apply(self, table: pa.Table, marks: pa.Table, /) -> pa.Table:
        """The rows with their values filled in."""
        return _applied(table, marks, list(self.columns), self.blank)


def read_fitted(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns with their policies, and what these learnt, of a version. Raises BadInput if it was not filled."""
    path = folder / FITTED
    whole = msgspec.json.decode(path.read_bytes()) if path.exists() else {}
    if "fill" not in whole:
        raise BadInput(f"{folder.name} holds no fitted values.", hint="Name a dataset that the step fill has made.")
    return whole["fill"]["columns"], whole["fill"]["fitted"]


def fill_rows(folder: Path, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a request, filled in as the version in `folder` was. Raises BadInput for a missing value whose rows are
    dropped.
    """
    columns, fitted = read_fitted(folder)
    policies = {name: POLICIES.build(_spec(spec)) for name, spec in columns.items()}
    done = [dict(row) for row in rows]
    features = [features_of(row, columns) for row in rows] if any(p.reads_row for p in policies.values()) else []
    for name, policy in policies.items():
        values = present([row.get(name) for row in rows], True)
        column = Column(name, pa.type_for_alias(fitted[name]["type"]), values, [False] * len(rows), features)
        for row, value in zip(done, policy.fill(column, fitted[name]["value"])):
            if value is None:
                raise BadInput(f"A row has no {name!r}, and rows without it are not used.", hint="Send the value.")
            row[name] = value
    return done


def _spec(spec: Any) -> Any:
    """`{constant: web}` stands for `{constant: {value: web}}`."""
    if isinstance(spec, Mapping) and len(spec) == 1:
        ((name, inner),) = spec.items()
        return spec if inner is None or isinstance(inner, Mapping) else {name: {"value": inner}}
    return spec


def _keys(table: pa.Table, policies: Mapping[str, Policy], blank: bool) -> pa.Table:
    for name in policies:
        if name not in table.column_names or name == "doc_id":
            raise BadInput(
                f"The dataset has no column {name!r}.{did_you_mean(name, table.column_names)}",
                hint=f"Columns: {', '.join(table.column_names)}.",
            )
    keys = table.select(list(policies))
    if blank:
        for i, name in enumerate(policies):
            if keys[name].type == pa.string():
                keys = keys.set_column(i, name, _without_blanks(keys[name]))
    keys = keys.append_column(TRAIN, pc.equal(splits(table), "train"))
    if any(policy.reads_row for policy in policies.values()):
        hashed = [features_of(row, policies) for row in table.to_pylist()]
        keys = keys.append_column(FEATURES, pa.array(hashed, pa.list_(pa.uint16())))
    return keys


def _marks(
    keys: pa.Table, policies: Mapping[str, Policy], fitted: Mapping[str, Any] | None, specs: Mapping[str, Any]
) -> pa.Table:
    """What is filled in where, which rows go, and the figures of it."""
    marks = pa.table({"row": pa.array(np.arange(len(keys)), pa.int64())})
    learnt: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    features = keys[FEATURES].to_pylist() if FEATURES in keys.column_names else []
    gone = np.zeros(len(keys), bool)
    for name, policy in policies.items():
        column = Column(name, keys[name].type, keys[name].to_pylist(), keys[TRAIN].to_pylist(), features)
        found = policy.fit(column) if fitted is None else _fitting(fitted, name, column)
        values = policy.fill(column, found)
        missing = np.array([value is None for value in column.values])
        left = np.array([value is None for value in values])
        gone |= left
        learnt[name] = {"type": str(column.type), "value": found}
        marks = marks.append_column(
            FILLED + name, pa.array([v if m else None for v, m in zip(values, missing.tolist())], column.type)
        )
        figures[name] = {
            "policy": next(iter(_spec(specs[name]))) if isinstance(specs[name], Mapping) else specs[name],
            "missing_before": int(missing.sum()),
            "filled": int((missing & ~left).sum()),
            "dropped": int(left.sum()),
            "missing_after": 0,
            **({} if isinstance(found, Mapping) or found is None else {"value": found}),
        }
    marked = mark(marks, pa.array(gone), "missing")
    return told(marked, figures=figures, fitted={"columns": dict(specs), "fitted": learnt})


def _fitting(fitted: Mapping[str, Any], name: str, column: Column) -> Any:
    if fitted[name]["type"] != str(column.type):
        raise BadInput(
            f"Column {name!r} holds {column.type}; the fitted values are of {fitted[name]['type']}.",
            hint="Convert the column first, or fit the values anew.",
        )
    return fitted[name]["value"]


def _applied(table: pa.Table, marks: pa.Table, names: Sequence[str], blank: bool) -> pa.Table:
    for name in names:
        values = _without_blanks(table[name]) if blank and table[name].type == pa.string() else table[name]
        if values.null_count:
            filled = (
                pc.coalesce(values, marks[FILLED + name])
                if not pa.types.is_nested(values.type)
                else _lists(values, marks, name)
            )
            table = table.set_column(table.column_names.index(name), table.schema.field(name), filled)
    return table


def _lists(values: pa.ChunkedArray, marks: pa.Table, name: str) -> pa.Array:
    pairs = zip(values.to_pylist(), marks[FILLED + name].to_pylist())
    return pa.array([fill if value is None else value for value, fill in pairs], values.type)


def _without_blanks(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0), pa.scalar(None, pa.string()), values)


assert issubclass(Fill, Rewriting), "fill is a barrier that rewrites"
