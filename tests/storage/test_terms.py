"""Terms of data: what a version inherits from the datasets that it is made from."""

from __future__ import annotations

import pytest

from fourfold.core.nouns import Version
from fourfold.storage.terms import inherited, terms_of, traits_of


def dataset(name: str, **meta: object) -> Version:
    return Version("", name, 1, "dataset", "", "", 0.0, 0, meta)


@pytest.mark.parametrize(
    ("licence", "traits"),
    [
        ("CC-BY-4.0", []),
        ("MIT", []),
        ("CC-BY-NC-SA-4.0", ["non-commercial", "share-alike"]),
        ("cc by-nd 4.0", ["no-derivatives"]),
        ("AGPL-3.0-only", ["share-alike"]),
        ("仅供研究，非商业用途", ["non-commercial"]),
        ("Sandbox Incorporated", []),
    ],
)
def test_traits_of_licences(licence: str, traits: list[str]) -> None:
    assert traits_of(licence) == traits


def test_terms_are_inherited_through_every_step_and_joined() -> None:
    a, b = dataset("a", licence="MIT"), dataset("b", licence="CC-BY-NC-4.0", purpose="research only")
    joined = dataset("c", **inherited([a, b], {"rows": 2}))
    assert joined.meta == {
        "rows": 2,
        "licence": "CC-BY-NC-4.0 AND MIT",
        "purpose": "research only",
        "terms": [
            {"dataset": "a@1", "licence": "MIT"},
            {"dataset": "b@1", "licence": "CC-BY-NC-4.0", "purpose": "research only"},
        ],
    }
    assert inherited([joined], {})["terms"] == joined.meta["terms"]
    assert terms_of(dataset("plain", rows=1)) == []
    assert inherited([dataset("plain")], {"licence": "unknown"}) == {"licence": "unknown"}
