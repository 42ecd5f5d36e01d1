"""Keep documents that a language model of one's own finds likely: text as it should be, not lists, code or noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from fourfold.compute.families import FAMILIES
from fourfold.core.errors import BadSpec
from fourfold.data.on_versions import Files
from fourfold.data.steps import mark

COLUMN = "perplexity"


@dataclass(frozen=True, slots=True)
class KeepPerplexity:
    """Writes the column `perplexity`, per token by the n-gram version `model`, and drops what lies outside `least` … `most`
    under "perplexity" (CCNet, Wenzek et al. 2020). A text without words has none, and goes. The version is an input of the
    run.

    Bounds depend on the model: look at the figures of a run with none before you set them.
    """

    model: str
    most: float | None = None
    least: float = 0.0

    ON: ClassVar[str] = "model"

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise BadSpec("keep_perplexity: model is empty.", hint="Name an n-gram version, such as news-words@production.")
        if self.least < 0 or (self.most is not None and self.most <= self.least):
            raise BadSpec(f"keep_perplexity: least ({self.least}) is at least 0 and below most ({self.most}).")

    def __call__(self, table: pa.Table, /) -> pa.Table:
        raise BadSpec(f"The model {self.model} is not open.", hint="Use the step in fourfold clean.")

    def on(self, files: Files, /) -> Opened:
        """The step with its model. Raises BadSpec if that is no language model."""
        if files.meta.get("family") != "ngram":
            raise BadSpec(f"{self.model} is no n-gram model.", hint="Train one: fourfold train NAME DATASET ngram")
        return Opened(FAMILIES.resolve("ngram").load(Path(files.folder)), self.most, self.least)


class Opened:
    """A language model at work."""

    def __init__(self, model: Any, most: float | None, least: float) -> None:
        self._model, self._most, self._least = model, most, least

    def __call__(self, table: pa.Table, /) -> pa.Table:
        found = self._model.perplexity([text or "" for text in table["text"].to_pylist()])
        nothing = found.tokens == 0
        values = 10.0 ** (-found.log10 / np.maximum(found.tokens, 1))
        column = pa.array(np.where(nothing, 0.0, values), pa.float64(), mask=nothing)
        name = table.column_names.index(COLUMN) if COLUMN in table.column_names else None
        table = table.append_column(COLUMN, column) if name is None else table.set_column(name, COLUMN, column)
        out = nothing | (values < self._least)
        if self._most is not None:
            out |= values > self._most
        bounded = self._most is not None or self._least > 0
        return mark(table, pa.array(out & bounded), "perplexity")
