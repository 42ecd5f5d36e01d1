"""A ledger on which nothing happens: what a verb would do there is noted, and the verb ends before it does it.

So a plan asks the verbs themselves what their runs would be (permission, settings and inputs are checked on the way), and can
never disagree with them about what an unchanged stage is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fourfold.core.nouns import Actor, Kind, Version
from fourfold.core.progress import Progress, silent
from fourfold.storage.ledger import Ledger
from fourfold.storage.runs import OpenRun


@dataclass(slots=True)  # not frozen: what handles an exception on its way sets its traceback
class Rehearsed(Exception):
    """The run that a verb wanted to open. It is raised, so that the verb ends there."""

    verb: str
    name: str
    kind: Kind | None
    spec: Mapping[str, Any]
    inputs: tuple[Version, ...]


class Rehearsal(Ledger):
    """Reads like the ledger that it stands for; `imagined` versions are found, too, by their `name@number`."""

    def __init__(self, ledger: Ledger, imagined: Mapping[str, Version]) -> None:
        self.home, self.database, self.blobs, self.materialised = (
            ledger.home,
            ledger.database,
            ledger.blobs,
            ledger.materialised,
        )
        self.claim = ledger.claim
        self.imagined = imagined

    @contextmanager
    def run(
        self,
        verb: str,
        *,
        name: str,
        spec: Mapping[str, Any],
        actor: Actor,
        kind: Kind | None = None,
        inputs: Sequence[Version] = (),
        progress: Progress = silent,
    ) -> Iterator[OpenRun]:
        """Raises Rehearsed."""
        raise Rehearsed(verb, name, kind, spec, tuple(inputs))
        yield

    def version(self, ref: str) -> Version:
        """An imagined version, else the ledger's."""
        return self.imagined[ref] if ref in self.imagined else super().version(ref)


def imagine(name: str, kind: Kind) -> Version:
    """A version that a planned stage will leave: number 0, no content."""
    return Version("", name, 0, kind, "", "", 0.0, 0)


def is_imagined(version: Version) -> bool:
    """Whether it stands for one that is yet to be made."""
    return version.number == 0
