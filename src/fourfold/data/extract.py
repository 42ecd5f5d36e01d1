"""Extract: the raw pages of a collected dataset read anew, otherwise than when they were collected, into a new version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from fourfold.core.build import settings_of
from fourfold.core.errors import BadInput
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.data.collect import collect_into
from fourfold.data.dataset import Dataset
from fourfold.data.formats import FORMATS
from fourfold.data.fragments import place_of, raw_path
from fourfold.data.sources import SOURCES, RawFile
from fourfold.storage.artifacts import room_for
from fourfold.storage.ledger import Ledger

STEP = "extract"


def extract(
    ledger: Ledger,
    actor: Actor,
    name: str,
    dataset: Version,
    *,
    mode: str = "precise",
    rules: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Version:
    """Read the raw files of `dataset` anew into a version of `name`; nothing is collected again.

    `mode` is an extractor, `rules` are CSS selectors of main text by host; other settings stay as they were. Raises BadInput
    for a dataset without raw files, BadSpec for an unknown mode.
    """
    folder = ledger.materialise(dataset)
    before = ledger.find_run(dataset.run_id).spec.get("source")
    if before is None or not (folder / "files.parquet").is_file():
        raise BadInput(
            f"{dataset.ref} holds no raw files.", hint="Name the dataset that was collected: fourfold versions --kind dataset"
        )
    ((kind, settings),) = before.items()
    html = {**settings.get("formats", {}).get("html", {}), "extract": mode, **({"rules": dict(rules)} if rules else {})}
    FORMATS.build({"html": html}, path="extract")
    source = SOURCES.build({kind: {**settings, "formats": {**settings.get("formats", {}), "html": html}}}, path="source")
    spec = {"source": {kind: settings_of(source)}, "mode": mode, "rules": dict(rules or {})}
    with (
        ledger.run(STEP, kind="dataset", name=name, spec=spec, inputs=[dataset], actor=actor, progress=progress) as run,
        room_for(f"the dataset {name}"),
    ):
        run.meta.update(collect_into(run.folder, source, files=raw_files(folder), progress=run.progress))
        run.metrics({key: run.meta[key] for key in ("rows", "files", "bad")})
    return run.version


def raw_files(folder: Path) -> Iterator[RawFile]:
    """The raw files of a collected dataset's folder, with the addresses and times that its rows tell."""
    known: dict[str, tuple[float, dict[str, Any]]] = {}
    for fragment in Dataset(folder).fragments():
        names = pq.read_schema(fragment.path).names
        columns = [column for column in ("source", "fetched_at", "url") if column in names]
        for row in pq.read_table(fragment.path, columns=columns).to_pylist():
            fields = {"url": row["url"]} if row.get("url") else {}
            known.setdefault(raw_path(place_of(row["source"])[0]), (row["fetched_at"].timestamp(), fields))
    for path in pq.read_table(folder / "files.parquet", columns=["path"])["path"].to_pylist():
        fetched_at, fields = known.get(path, (None, {}))
        yield RawFile(path, (folder / "raw" / path).read_bytes(), 0.0, fields=fields, fetched_at=fetched_at)
