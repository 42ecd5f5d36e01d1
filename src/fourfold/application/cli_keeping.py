"""Commands on what is kept and what goes: collect-garbage, fsck, erase, remove, hold."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, opened

Version = Annotated[str, Parameter(help="The version, such as words@3.")]
Reason = Annotated[str, Parameter(help="Why, for the record.")]


def collect_garbage(
    *,
    dry_run: Annotated[bool, Parameter(help="Only say what would be condemned and deleted, and why.")] = False,
    grace_hours: Annotated[float, Parameter(help="Hours between condemning a chunk and deleting it. Default: 24.")] = 24.0,
    common: Common = DEFAULT,
) -> None:
    """Delete what no version keeps."""
    with opened(common) as client:
        sweep = client.collect_garbage(grace_seconds=grace_hours * 3600, dry_run=dry_run)

    def text() -> None:
        from fourfold.application.cli_print import line, size, table

        rows = [(one.chunk[:16], size(one.size_bytes), one.fate, one.reason) for one in sweep.chunks]
        table(("chunk", "size", "", "why"), rows, empty="No garbage.")
        would = "would be " if dry_run else ""
        line(
            f"{sweep.kept} of {sweep.listed} chunks kept,", f"{sweep.condemned} {would}condemned,", f"{sweep.waiting} waiting,"
        )
        line(f"{sweep.deleted} {would}deleted ({size(sweep.deleted_bytes)})")

    emit(common, sweep, text)


def fsck(*, common: Common = DEFAULT) -> int:
    """Read everything that a home vouches for."""
    with opened(common) as client:
        examined = client.fsck()

    def text() -> None:
        from fourfold.application.cli_print import line, table

        rows = [(one.check, one.thing, one.problem, one.hint) for one in examined.findings]
        table(("check", "thing", "problem", "next"), rows, empty="All is well.")
        if rows:
            line(f"{len(rows)} findings.")

    emit(common, examined, text)
    return 1 if examined.findings else 0


def erase(
    versions: Annotated[list[str], Parameter(help="The versions, such as words@3.")],
    /,
    *,
    reason: Reason,
    common: Common = DEFAULT,
) -> None:
    """Erase versions for good."""
    with opened(common) as client:
        receipt = client.erase(versions, reason=reason)

    def text() -> None:
        from fourfold.application.cli_print import line

        line("erased", ", ".join(receipt.versions), f"{len(receipt.chunks)} chunks, receipt {receipt.receipt}")

    emit(common, receipt, text)


def remove(version: Version, /, *, reason: Reason, common: Common = DEFAULT) -> None:
    """Give up a version's files."""
    with opened(common) as client:
        kept = client.remove(version, reason=reason)
    emit(common, kept, lambda: print(kept.ref, kept.state))


def hold(
    version: Version,
    /,
    *,
    reason: Reason,
    release: Annotated[bool, Parameter(help="End the hold.")] = False,
    common: Common = DEFAULT,
) -> None:
    """Put a version under legal hold."""
    with opened(common) as client:
        kept = client.hold(version, reason=reason, release=release)
    emit(common, kept, lambda: print(kept.ref, "held" if kept.held else "not held"))
