"""The terms that a dataset is collected under: how its licence and purpose are declared."""

from __future__ import annotations

from typing import Literal, get_args

from fourfold.core.errors import BadSpec, did_you_mean

Purpose = Literal["any", "research only", "evaluation only"]
MAX_LICENCE = 200


def terms(licence: str | None, purpose: str | None) -> dict[str, str]:
    """What is declared, for the version's meta. Raises BadSpec for a purpose that means nothing: it would bind nobody."""
    known = get_args(Purpose)
    if purpose is not None and purpose not in known:
        raise BadSpec(
            f"collect.purpose: there is no purpose {purpose!r}.{did_you_mean(purpose, known)}",
            hint=f"Known: {', '.join(known)}.",
        )
    if licence is not None and not 0 < len(licence.strip()) <= MAX_LICENCE:
        raise BadSpec(f"collect.licence is a name of 1 to {MAX_LICENCE} characters.", hint="For example: CC-BY-SA-4.0")
    declared = {"licence": licence, "purpose": purpose}
    return {key: value.strip() for key, value in declared.items() if value is not None}
