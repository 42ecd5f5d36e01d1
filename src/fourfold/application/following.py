"""Documents followed for people: which datasets there are behind one, and each change as a diff."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Sequence
from typing import Any

from fourfold.application.answers import dataset_chain
from fourfold.application.results import DocumentChange, DocumentDrop, DocumentStage, DocumentWay, Followed, RawOrigin
from fourfold.core.errors import BadInput, Erased, NotFound
from fourfold.core.nouns import Version
from fourfold.data.folding import CHARACTER
from fourfold.data.follow import Chain, Drop, Passed, Raw, Stage, Way
from fourfold.storage.ledger import Ledger

PIECE = re.compile(rf"[{CHARACTER}]|[^\W{CHARACTER}]+|\s|[^\w\s]")
MOST_PIECES = 5_000  # of a text that is compared by words; a longer one is compared by lines
MOST_WAYS = 200


def follow(ledger: Ledger, version: Version, thing: str, *, limit: int) -> Followed:
    """The way of a document, or of every document of a raw file, to `version`. Raises NotFound, Erased."""
    begun = time.perf_counter()
    if not 1 <= limit <= MOST_WAYS:
        raise BadInput(f"limit is between 1 and {MOST_WAYS}, not {limit}.")
    chain, note = open_chain(ledger, version)
    lost: list[Drop] = []
    if thing.startswith("doc_"):
        raw, ways = None, [chain.follow(thing)]
    else:
        raw, ways, lost = chain.of_file(thing)
    runs = {v.ref: v for v in [version, *dataset_chain(ledger, version)]}
    shown = [_way(ledger, runs, way) for way in ways[:limit]]
    drops = [_drop(drop) for drop in lost[:limit]]
    return Followed(version.ref, thing, _raw(raw), shown, len(ways), drops, len(lost), note, time.perf_counter() - begun)


def open_chain(ledger: Ledger, version: Version) -> tuple[Chain, str]:
    """A dataset with all that it was made from, and what is to be said of what is gone."""
    if version.kind != "dataset":
        raise BadInput(
            f"{version.ref} is no dataset but of the kind {version.kind}.", hint="Run: fourfold versions --kind dataset"
        )
    passed: list[Passed] = []
    gone: list[str] = []
    for one in [version, *dataset_chain(ledger, version)]:
        try:
            folder = ledger.materialise(one)
        except (Erased, NotFound) as error:
            if one.id == version.id:
                raise
            gone.append(error.message)
            continue
        run = ledger.find_run(one.run_id)
        inputs = tuple(each.ref for each in ledger.inputs(one) if each.kind == "dataset")
        passed.append(Passed(one.ref, folder, run.verb, run.spec, inputs))
    there = {one.ref for one in passed}
    for one in passed:
        one.inputs = tuple(ref for ref in one.inputs if ref in there)
    return Chain(passed), " ".join(gone)


def _way(ledger: Ledger, versions: dict[str, Version], way: Way) -> DocumentWay:
    last = way.stages[-1]
    return DocumentWay(way.doc_id, _raw(way.raw), [_stage(ledger, versions[s.dataset], s) for s in way.stages], last.row)


def _stage(ledger: Ledger, version: Version, stage: Stage) -> DocumentStage:
    run = ledger.find_run(version.run_id)
    state = "dropped" if stage.row is None else "changed" if stage.changes else "unchanged" if run.inputs else "collected"
    changes = [DocumentChange(c.step, c.column, c.before, c.after, diff(c.before, c.after)) for c in stage.changes]
    drop = None if stage.drop is None else _drop(stage.drop)
    return DocumentStage(version.ref, run.verb, run.id, stage.doc_id, state, changes, drop)


def _drop(drop: Drop) -> DocumentDrop:
    return DocumentDrop(drop.step, drop.reason, drop.detail, drop.line)


def _raw(raw: Raw | None) -> RawOrigin | None:
    if raw is None:
        return None
    return RawOrigin(
        raw.dataset,
        raw.path,
        raw.place,
        raw.line,
        raw.digest,
        raw.size_bytes,
        raw.verified,
        raw.format,
        raw.encoding,
        raw.excerpt,
    )


def diff(before: Any, after: Any) -> list[tuple[str, str]]:
    """What stayed (=), went (-) and came (+), in order; values that are no text go and come whole."""
    if not isinstance(before, str) or not isinstance(after, str):
        return [(sign, str(value)) for sign, value in (("-", before), ("+", after)) if value is not None]
    one, other = _pieces(before), _pieces(after)
    found: list[tuple[str, str]] = []
    for what, a, b, c, d in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if what == "equal":
            found.append(("=", "".join(one[a:b])))
            continue
        found += [(sign, text) for sign, text in (("-", "".join(one[a:b])), ("+", "".join(other[c:d]))) if text]
    return found


def _pieces(text: str) -> Sequence[str]:
    pieces = PIECE.findall(text) if len(text) <= 20 * MOST_PIECES else []
    return pieces if pieces and len(pieces) <= MOST_PIECES else text.splitlines(keepends=True)
