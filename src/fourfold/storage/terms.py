"""Terms of data: the licence and purpose that a dataset was collected under, and what every version made from it inherits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fourfold.core.nouns import Version

KEYS = ("licence", "purpose")
TRAITS = {
    "non-commercial": re.compile(r"(?<![a-z])nc(?![a-z])|non-?\s?commercial|非商业|不得商用", re.IGNORECASE),
    "share-alike": re.compile(r"(?<![a-z])sa(?![a-z])|share-?\s?alike|(?<![a-z])[al]?gpl|odbl|相同方式共享", re.IGNORECASE),
    "no-derivatives": re.compile(r"(?<![a-z])nd(?![a-z])|no-?\s?derivatives|禁止演绎", re.IGNORECASE),
}


def traits_of(licence: str) -> list[str]:
    """Which of TRAITS a licence has, by its usual names (SPDX, Creative Commons)."""
    return [trait for trait, pattern in TRAITS.items() if pattern.search(licence)]


def terms_of(version: Version) -> list[dict[str, str]]:
    """Each dataset whose declared terms bind a version: `dataset`, and `licence`, `purpose` where declared."""
    if "terms" in version.meta:
        return [dict(term) for term in version.meta["terms"]]
    declared = {key: version.meta[key] for key in KEYS if version.kind == "dataset" and key in version.meta}
    return [{"dataset": version.ref, **declared}] if declared else []


def inherited(inputs: Sequence[Version], meta: Mapping[str, Any]) -> dict[str, Any]:
    """The meta of a version made from `inputs`: its own facts, and the terms of all that it was made from."""
    terms = {term["dataset"]: term for version in inputs for term in terms_of(version)}
    if not terms:
        return dict(meta)
    merged: dict[str, Any] = {**meta, "terms": [terms[dataset] for dataset in sorted(terms)]}
    for key in KEYS:
        values = sorted({term[key] for term in terms.values() if key in term})
        if values:
            merged[key] = " AND ".join(values)
    return merged
