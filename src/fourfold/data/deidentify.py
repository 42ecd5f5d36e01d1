"""De-identify: personal data in a dataset found and masked, replaced, hashed or dropped, into a new version."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.core.build import settings_of
from fourfold.core.errors import BadInput, BadSpec, did_you_mean
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.core.registry import split_spec
from fourfold.data.columns import number_as_text, text_columns
from fourfold.data.dataset import Dataset
from fourfold.data.detectors import DETECTORS, Detector
from fourfold.data.fragments import STRINGS, Log, columns_of, place_of, write_table
from fourfold.data.on_versions import files_of, opened, pinned
from fourfold.data.pseudonyms import make_key, write_map
from fourfold.data.scrub import KEY_BYTES, Action, Actions, Scrubbed, Scrubber
from fourfold.storage.artifacts import room_for
from fourfold.storage.ledger import Ledger

STEP = "deidentify"
REASON = "personal_data"
Spec = str | Mapping[str, Any]


def deidentify(
    ledger: Ledger,
    actor: Actor,
    name: str,
    dataset: Version,
    *,
    detectors: Sequence[Spec] = ("patterns",),
    action: Action = "mask",
    actions: Mapping[str, str] | None = None,
    secret: bytes | None = None,
    keys: Path | None = None,
    progress: Progress = silent,
) -> Version:
    """Find personal data in all text of `dataset`, and make a version of `name` in which `actions` (per entity, else `action`)
    have been taken.

    `secret` is what pseudonyms and hashes are made with, and is kept nowhere. Without one, one is drawn and thrown away:
    equal values still get equal pseudonyms within the version, and nobody can link them to others or find them by trial.
    With `keys`, a folder apart, the secret is the key of `name` there, and the version holds a map, sealed with that key, by
    which `reidentify` turns pseudonyms back.
    Raises BadSpec for an unknown detector, setting or action, BadInput if no row is left.
    """
    parts, on = pinned(ledger, build_detectors(detectors))
    taken = build_actions(action, actions or {}, secret, reversible=keys is not None)
    check_entities(taken, [part for _, part in parts])
    spec = {
        "detectors": [{detector: settings_of(part)} for detector, part in parts],
        "action": action,
        "actions": dict(taken.by_entity),
        **({"reversible": True} if keys is not None else {}),
    }
    with (
        ledger.run(STEP, kind="dataset", name=name, spec=spec, inputs=[dataset, *on], actor=actor, progress=progress) as run,
        room_for(f"the dataset {name}"),
    ):
        source, files = Dataset(ledger.materialise(dataset)), files_of(ledger, on)
        working = [opened(part, files) for _, part in parts]
        if keys is not None:
            taken = replace(taken, key=make_key(keys, name))
        run.meta.update(deidentify_into(source, run.folder, working, taken, progress=run.progress))
        run.meta["detected_by"] = [name for name, _ in parts] + [version.ref for version in on]
        if taken.originals is not None:
            write_map(run.folder, taken.originals, taken.key)
            run.meta["pseudonyms"] = len(taken.originals)
        run.metrics({key: run.meta[key] for key in ("rows", "rows_before", "findings")})
    return run.version


def build_detectors(detectors: Sequence[Spec]) -> list[tuple[str, Detector]]:
    """Names and parts of the detectors. Raises BadSpec with the path of what is wrong."""
    if not detectors:
        raise BadSpec("deidentify.detectors is empty.", hint=f"Name at least one: {', '.join(DETECTORS.names())}.")
    paths = [f"deidentify.detectors[{i}]" for i in range(len(detectors))]
    return [(split_spec(spec, path=path)[0], DETECTORS.build(spec, path=path)) for spec, path in zip(detectors, paths)]


def build_actions(action: str, actions: Mapping[str, str], secret: bytes | None = None, *, reversible: bool = False) -> Actions:
    """The actions with their key. Raises BadSpec for an action that does not exist, or if nothing of it can be turned back."""
    known = get_args(Action)
    for path, value in (("action", action), *((f"actions.{entity}", value) for entity, value in actions.items())):
        if value not in known:
            raise BadSpec(
                f"deidentify.{path}: there is no action {value!r}.{did_you_mean(value, known)}",
                hint=f"Known: {', '.join(known)}.",
            )
    if secret is not None and len(secret) != KEY_BYTES:
        raise BadSpec(f"The secret has {len(secret)} bytes.", hint=f"It must have {KEY_BYTES}.")
    if reversible and not {"replace", "hash"} & {action, *actions.values()}:
        raise BadSpec(
            "deidentify: nothing of this can be turned back.", hint="Choose the action replace or hash for some entity."
        )
    key = secret or secrets.token_bytes(KEY_BYTES)
    return Actions(action, dict(actions), key, {} if reversible else None)  # type: ignore[arg-type]


def check_entities(actions: Actions, detectors: Sequence[Detector]) -> None:
    """Raises BadSpec for an action on what none of the detectors finds: a slip of the pen would leave the data as it is."""
    known = list(dict.fromkeys(entity for detector in detectors for entity in detector.entities))
    for entity in actions.by_entity:
        if entity not in known:
            raise BadSpec(
                f"deidentify.actions.{entity}: no detector finds {entity!r}.{did_you_mean(entity, known)}",
                hint=f"Known: {', '.join(known)}.",
            )


def deidentify_into(
    dataset: Dataset, folder: Path, detectors: Sequence[Detector], actions: Actions, *, progress: Progress = silent
) -> dict[str, Any]:
    """Write the de-identified fragments and the logs into `folder`; the figures for the version's meta.

    All strings, lists of strings and numbers are looked at, provenance apart. A column of numbers in which something is found
    becomes one of strings. Raises BadInput if no row is left.
    """
    log, scrubber = Log(), Scrubber(detectors, actions)
    paths = [fragment.path for fragment in dataset.fragments()]
    total, before, written = sum(pq.read_metadata(path).num_rows for path in paths), 0, []
    as_text: set[str] = set()
    for path in paths:
        table = pq.read_table(path)
        before += len(table)
        table = _table(table, scrubber, log, as_text)
        if len(table):
            written.append(folder / path.name)
            write_table(table, written[-1])
        progress(before, total, "rows")
    for path in written:
        table = pq.read_table(path)
        if any(table[name].type != pa.string() for name in as_text):
            write_table(_numbers_as_text(table, as_text), path)
    figures = log.write(folder)
    if not written:
        raise BadInput(f"Each of the {before} rows holds personal data of a kind that is dropped.", hint="Mask it instead.")
    return {
        "rows": sum(pq.read_metadata(path).num_rows for path in written),
        "rows_before": before,
        "columns": columns_of(pq.read_schema(written[0])),
        "findings": {entity: dict(columns) for entity, columns in sorted(scrubber.findings.items())},
        **figures,
    }


def _table(table: pa.Table, scrubber: Scrubber, log: Log, as_text: set[str]) -> pa.Table:
    drops: dict[int, str] = {}
    counts: dict[str, list[int]] = {}
    scrubbed = table
    for name, values, kind, done in _columns(table, scrubber):
        drops = {**done.drops, **drops}
        if any(done.counts):
            counts[name] = done.counts
            scrubbed = scrubbed.set_column(scrubbed.column_names.index(name), name, pa.array(values, kind))
            if kind != table[name].type:
                as_text.add(name)
    for name, found in counts.items():
        rows = [i for i, count in enumerate(found) if count and i not in drops]
        log.change(STEP, name, table["doc_id"].take(pa.array(rows, pa.int64())), [found[i] for i in rows])
    for i in sorted(drops):
        path, line = place_of(table["source"][i].as_py())
        log.drop(path, line, table["doc_id"][i].as_py(), STEP, REASON, drops[i])
    return scrubbed.filter(pa.array([i not in drops for i in range(len(table))], pa.bool_())) if drops else scrubbed


Column = tuple[str, list[Any], pa.DataType, Scrubbed]  # name, values after, their type, counts


def _columns(table: pa.Table, scrubber: Scrubber) -> Iterator[Column]:
    """Every column that can hold personal data, scrubbed."""
    names = text_columns(table.schema)
    replaced: list[dict[str, str]] = [{} for _ in range(len(table))]
    if "tokens" in names:
        yield from _sentences(table, scrubber, replaced)
    for name in names:
        if name == "tokens" or (name == "text" and "tokens" in names):
            continue
        if table.schema.field(name).type == STRINGS:
            done = _lists(table[name].to_pylist(), name, scrubber, replaced)
            yield name, done.values, STRINGS, done
        else:
            done = scrubber.column(name, table[name].to_pylist())
            yield name, done.values, pa.string(), done
    for field in table.schema:
        if field.type in (pa.int64(), pa.float64()):
            done = scrubber.column(
                field.name, [None if v is None else number_as_text(v) for v in table[field.name].to_pylist()]
            )
            yield field.name, done.values, pa.string(), done


def _sentences(table: pa.Table, scrubber: Scrubber, replaced: list[dict[str, str]]) -> Iterator[Column]:
    """`text` and `tokens`, in step. `replaced` takes what each row's replaced tokens became, by their lower-case forms."""
    texts, lists = table["text"].to_pylist(), table["tokens"].to_pylist()
    done = scrubber.column("text", [text if tokens is None else None for text, tokens in zip(texts, lists)])
    values = list(done.values)
    for i, (text, tokens) in enumerate(zip(texts, lists)):
        if tokens is None:
            continue
        values[i], lists[i], found = scrubber.sentence(text, tokens)
        scrubber.note(done, i, "text", found)
        replaced[i].update((old.lower(), new) for old, new in zip(tokens, lists[i]) if old != new)
    yield "text", values, pa.string(), done
    counts = [len(found) for found in replaced]
    yield "tokens", lists, STRINGS, Scrubbed([], counts)


def _lists(lists: list[list[str] | None], name: str, scrubber: Scrubber, replaced: list[dict[str, str]]) -> Scrubbed:
    """A column of lists, item by item; one that spells a replaced token of its row, as a lemma does, goes with it."""
    distinct = sorted({item for items in lists for item in items or () if item})
    alone = scrubber.column(name, distinct)
    becomes = {old: (new, alone.drops.get(i)) for i, (old, new) in enumerate(zip(distinct, alone.values)) if alone.counts[i]}
    done = Scrubbed([], [0] * len(lists))
    values: list[Any] = []
    for row, items in enumerate(lists):
        after: list[str | None] = []
        for item in items or ():
            new, entity = becomes.get(item, (item, None))
            new = replaced[row].get(item.lower(), new) if item else new
            done.counts[row] += new != item
            if entity:
                done.drops.setdefault(row, entity)
            after.append(new)
        values.append(None if items is None else after)
    done.values = values
    return done


def _numbers_as_text(table: pa.Table, names: set[str]) -> pa.Table:
    for name in names:
        if table[name].type != pa.string():
            values = [None if v is None else number_as_text(v) for v in table[name].to_pylist()]
            table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.string()))
    return table
