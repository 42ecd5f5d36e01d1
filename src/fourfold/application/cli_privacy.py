"""Commands on personal data: detection, reidentify."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, opened
from fourfold.application.cli_specs import part, settings

Dataset = Annotated[str, Parameter(help="A dataset: name, name@3 or name@alias.")]


def detection(
    name: Annotated[str, Parameter(help="Name of the report that it makes.")],
    dataset: Dataset,
    /,
    *,
    detector: Annotated[tuple[str, ...], Parameter(help="A detector; may be repeated. Default: patterns.")] = ("patterns",),
    spans: Annotated[str, Parameter(help="Column of the labels: a JSON list of spans, or BIO tags. Default: spans.")] = "spans",
    split: Annotated[Literal["train", "dev", "test"] | None, Parameter(help="Only this split. Default: all rows.")] = None,
    same: Annotated[tuple[str, ...], Parameter(help="Entities that count as one: CN_MOBILE=PHONE_NUMBER; repeatable.")] = (),
    common: Common = DEFAULT,
) -> None:
    """How well detectors find personal data."""
    merged = {entity: str(other) for entity, other in settings(same).items()}
    with opened(common) as client:
        detectors = [part(one) for one in detector]
        report = client.detection(name, dataset, detectors=detectors, spans=spans, split=split, same=merged or None)

    def text() -> None:
        from fourfold.application.cli_print import line, table

        rows = [
            (entity, f"{q['gold']:,}", f"{q['findings']:,}", f"{q['recall']:.4f}", f"{q['precision']:.4f}")
            for entity, q in report.meta["entities"].items()
        ]
        table(("entity", "labelled", "found", "recall", "precision"), rows, empty="Nothing is labelled, and nothing was found.")
        by = ", ".join([*report.meta["detectors"], *report.meta["versions"]])
        line(f"{report.ref}: {report.meta['rows']:,} rows of {report.meta['dataset']}, found by {by}")

    emit(common, report, text)


def reidentify(
    dataset: Dataset,
    /,
    *pseudonyms: Annotated[str, Parameter(help="Pseudonyms as they stand in its text.")],
    reason: Annotated[str, Parameter(help="Why, for the audit.")],
    common: Common = DEFAULT,
) -> None:
    """What pseudonyms stand for."""
    with opened(common) as client:
        found = client.reidentify(dataset, list(pseudonyms), reason=reason)

    def text() -> None:
        from fourfold.application.cli_print import table

        table(("pseudonym", "stands for"), [(one.pseudonym, one.value or "unknown here") for one in found])

    emit(common, found, text)
