"""A followed document for the terminal: its raw bytes, each stage, each change with [-what went-] and {+what came+}."""

from __future__ import annotations

from rich.text import Text

from fourfold.application.cli_print import console, line, plain, short
from fourfold.application.results import DocumentChange, DocumentStage, DocumentWay, Followed, RawOrigin

KEPT = 30  # characters of an unchanged stretch that are shown at each of its ends
DIGITS = 12


def print_followed(found: Followed) -> None:
    """The way of one document, or of all documents of a raw file with what in it became none."""
    if found.raw is not None:
        _raw(found.raw)
    for way in found.ways:
        _way(way, with_raw=found.raw is None)
    for drop in found.drops:
        line(f"line {drop.line}" if drop.line else "the whole file", f"left out: {drop.reason}", drop.detail, style="red")
    if found.raw is not None:
        documents = "document" if found.documents == 1 else "documents"
        line(f"{found.documents:,} {documents}, {found.lost:,} lines left out", f"to {found.dataset}", style="dim")
    if found.note:
        line(found.note, style="yellow")
    line(f"found in {found.seconds * 1000:.0f} ms", style="dim")


def _raw(raw: RawOrigin) -> None:
    where = "/".join(part for part in (raw.dataset, raw.path, raw.place) if part)
    begun = f"line {raw.line}" if raw.line else ""
    state = "as collected" if raw.verified else "NOT what was collected"
    line(
        "raw",
        where,
        begun,
        f"{raw.size_bytes:,} bytes",
        raw.format,
        raw.encoding,
        f"{raw.digest[:DIGITS]} {state}",
        style="bold",
    )
    if raw.excerpt:
        line(f"  {short(raw.excerpt, 120)}")


def _way(way: DocumentWay, *, with_raw: bool) -> None:
    line(way.doc_id, style="bold cyan")
    if with_raw and way.raw is not None:
        _raw(way.raw)
    for stage in way.stages:
        _stage(stage)
    if way.final is not None:
        line("  →", short(way.final.get("text") or "", 120), style="green")


def _stage(stage: DocumentStage) -> None:
    line(f"  {stage.verb}", stage.dataset, stage.run, "" if stage.changes else stage.state)
    for change in stage.changes:
        _change(change)
    if stage.drop is not None:
        line(f"    dropped by {stage.drop.step}: {stage.drop.reason}", stage.drop.detail, style="red")


def _change(change: DocumentChange) -> None:
    shown = Text(f"    {change.step}, {change.column}: ", style="dim")
    for n, (sign, text) in enumerate(change.diff):
        text = plain(text)
        if sign == "-":
            shown.append(f"[-{text}-]", "red")
        elif sign == "+":
            shown.append(f"{{+{text}+}}", "green")
        else:
            begin = "" if n == 0 else text[:KEPT]
            end = "" if n == len(change.diff) - 1 else text[-KEPT:]
            shown.append(text if len(text) <= 2 * KEPT else f"{begin}…{end}", "default")
    console().print(shown)
