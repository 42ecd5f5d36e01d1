"""A model version that embeds, as what an index asks for: texts in, vectors out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fourfold.compute.families import FAMILIES
from fourfold.compute.tasks import EmbedOptions, TextInput
from fourfold.core.errors import BadInput
from fourfold.core.nouns import Version
from fourfold.storage.ledger import Ledger


class Embedding:
    """A model that is open: called with texts, it gives an array of shape (texts, dimensions) with rows of length 1."""

    def __init__(self, ledger: Ledger, version: Version) -> None:
        """Raises BadInput if the version is no model, or one that does not embed."""
        if version.kind != "model" or "embed" not in version.meta.get("tasks", ()):
            raise BadInput(f"{version.ref} does not embed.", hint="Train one that does: fourfold train NAME DATASET lsa")
        self._model = FAMILIES.resolve(version.meta["family"]).load(ledger.materialise(version))

    def __call__(self, texts: Sequence[str], /) -> np.ndarray:
        results = self._model.embed([TextInput(text) for text in texts], EmbedOptions())
        return np.array([result.embedding for result in results], np.float32)

    def close(self) -> None:
        """Let go of the model."""
        self._model.close()
