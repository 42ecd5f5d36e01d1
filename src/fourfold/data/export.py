"""Export: a dataset as one file in a format that others read, kept as a version, so that it is known what went out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow.parquet as pq

from fourfold.core.build import settings_of
from fourfold.core.errors import BadInput
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.core.registry import split_spec
from fourfold.data.dataset import Dataset
from fourfold.data.exports import EXPORTERS
from fourfold.storage.artifacts import room_for
from fourfold.storage.ledger import Ledger

Spec = str | Mapping[str, Any]


def export(
    ledger: Ledger,
    actor: Actor,
    name: str,
    dataset: Version,
    format: Spec,
    *,
    split: str | None = None,
    progress: Progress = silent,
) -> Version:
    """A version of `name` (kind report) that holds one file, named in its meta, with the documents of `dataset` or of a
    split.

    Its meta counts the documents, and under `skipped` those that the format cannot hold, by reason. Raises BadSpec for an
    unknown format or setting, BadInput for a dataset that lacks a column of the format, and if nothing could be written.
    """
    exporter = EXPORTERS.build(format, path="export.format")
    format_name, _ = split_spec(format, path="export.format")
    spec = {"format": {format_name: settings_of(exporter)}, "split": split}
    with (
        ledger.run("export", kind="report", name=name, spec=spec, inputs=[dataset], actor=actor, progress=progress) as run,
        room_for(f"the export of {dataset.ref}"),
    ):
        source = Dataset(ledger.materialise(dataset), split)
        file = f"{dataset.name.replace('/', '-')}{f'-{split}' if split else ''}.{exporter.ending}"
        skipped = exporter(source, run.folder / file)
        rows = sum(
            pq.read_metadata(fragment.path).num_rows if split is None else len(fragment.table(["doc_id"]))
            for fragment in source.fragments()
        )
        if rows <= sum(skipped.values()):
            reasons = ", ".join(f"{count} × {reason}" for reason, count in skipped.items()) or "there are none"
            raise BadInput(
                f"No document of {dataset.ref} can be written as {format_name}: {reasons}.", hint="Choose another format."
            )
        written = rows - sum(skipped.values())
        run.meta.update({"dataset": dataset.ref, "format": format_name, "split": split, "file": file})
        run.meta.update({"rows": written, "skipped": skipped})
        run.metrics({"rows": written})
    return run.version
