"""Whether something may be made or served of versions, by the licence and purpose of the datasets that they come from."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from fourfold.core.config import Settings
from fourfold.core.errors import NotPermitted
from fourfold.core.nouns import Version
from fourfold.storage.terms import terms_of, traits_of

log = logging.getLogger(__name__)

Use = Literal["train", "deploy"]
WORDS = {"train": "trained on", "deploy": "served"}
FORBIDDEN: Mapping[str, tuple[Use, ...]] = {"evaluation only": ("train", "deploy"), "research only": ("deploy",)}


def check_use(versions: Iterable[Version], use: Use, settings: Settings) -> None:
    """Raises NotPermitted, naming the dataset that forbids it; what the home's policy only flags is logged."""
    for version in versions:
        for term in terms_of(version):
            _check_purpose(version, term, use)
            for trait in traits_of(term["licence"]) if "licence" in term else ["undeclared"]:
                _judge(version, term, trait, use, settings)
        if not terms_of(version):
            for dataset in _undeclared(version):
                _judge(version, {"dataset": dataset}, "undeclared", use, settings)


def _undeclared(version: Version) -> Iterator[str]:
    if version.number:  # of one that is only planned nothing is known yet
        yield version.ref


def _check_purpose(version: Version, term: Mapping[str, str], use: Use) -> None:
    purpose = term.get("purpose", "any")
    if use in FORBIDDEN.get(purpose, ()):
        raise NotPermitted(
            f"{version.ref} may not be {WORDS[use]}: the dataset {term['dataset']} was collected for the purpose {purpose!r}.",
            hint=f"Leave {term['dataset']} out, or collect it anew under a purpose that allows it, if you have that right.",
        )


def _judge(version: Version, term: Mapping[str, str], trait: str, use: Use, settings: Settings) -> None:
    setting = f"licence_{trait.replace('-', '_')}"
    policy = getattr(settings, setting)
    licence = term.get("licence", "none")
    if policy == "refuse":
        raise NotPermitted(
            f"{version.ref} may not be {WORDS[use]}: the licence of the dataset {term['dataset']} is {licence} ({trait}).",
            hint=f'Leave {term["dataset"]} out, or set {setting} = "flag" in fourfold.toml if you have the right.',
        )
    if policy == "flag":
        log.warning("%s is %s: licence of %s is %s (%s)", version.ref, WORDS[use], term["dataset"], licence, trait)
