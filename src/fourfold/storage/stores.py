"""The stores of a home as one: a primary and replicas. Reads fall through to the next store and repair the one that failed."""

from __future__ import annotations

import contextlib
import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fourfold.core.errors import Corrupt, FourfoldError, NotFound, NotReady
from fourfold.storage import states, store_rows
from fourfold.storage.blobs import Blobs
from fourfold.storage.database import Database

log = logging.getLogger(__name__)

REST_SECONDS = 30.0  # how long a store that does not answer is left alone, as long as others do
Opened = dict[str, Blobs]  # name → store, the primary first


class Stores:
    """A blob store over others. A chunk counts as put once `acknowledgements` of them (at most as many as there are) have it.

    `is_erased` says which chunks may not come back; `is_moved` which of them the primary need not have.
    """

    def __init__(
        self,
        opened: Opened,
        *,
        acknowledgements: int = 1,
        is_erased: Callable[[str], bool] = lambda digest: False,
        is_moved: Callable[[str], bool] = lambda digest: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.opened = opened
        self.acknowledgements = acknowledgements
        self.is_erased = is_erased
        self.is_moved = is_moved
        self.clock = clock
        self.resting: dict[str, float] = {}  # store → until when
        self.lock = threading.Lock()
        self.known: list[store_rows.Store] = []
        self.repaired = 0

    @classmethod
    def of_home(cls, home: Path, database: Database) -> Stores:
        """The stores that the ledger names; `refresh()` follows what others change."""

        def is_moved(digest: str) -> bool:
            with database.read() as connection:
                return store_rows.moved(connection, digest)

        made = cls({}, is_moved=is_moved, is_erased=lambda digest: states.is_erased(database, digest))
        made.refresh(home, database)
        return made

    def refresh(self, home: Path, database: Database) -> list[str]:
        """Open the stores that were added meanwhile and let go of those that were removed; returns the names of all."""
        with database.read() as connection:
            known, self.acknowledgements = store_rows.all_stores(connection), store_rows.acknowledgements(connection)
        with self.lock:
            before = {store.name: store.settings for store in self.known}
            opened = {
                store.name: self.opened[store.name]
                if before.get(store.name) == store.settings
                else store_rows.open_blobs(store, home)
                for store in known
            }
            self.opened, self.known = opened, known
        return list(opened)

    @property
    def primary(self) -> Blobs:
        """The store that is asked first."""
        return next(iter(self.opened.values()))

    def put(self, digest: str, data: bytes, /) -> None:
        """Keep bytes in every store that answers. Raises what the stores raised if too few acknowledged."""
        self._everywhere(lambda blobs: blobs.put(digest, data))

    def put_file(self, digest: str, path: Path, /) -> None:
        """Keep a file in every store that answers. Raises what the stores raised if too few acknowledged."""
        self._everywhere(lambda blobs: blobs.put_file(digest, path))

    def get(self, digest: str, /) -> bytes:
        """The bytes from the first store that has the right ones; those before it are repaired from them.

        Raises NotFound for an erased chunk, else Corrupt or NotFound if no store has the right bytes, NotReady if none answers.
        """
        if self.is_erased(digest):
            raise NotFound(f"Chunk {digest[:16]}… was erased.", hint="What was forgotten is not brought back.")
        wrong: dict[str, Blobs] = {}
        errors: list[FourfoldError | OSError] = []
        for name, blobs in self._in_order():
            try:
                data = blobs.get(digest)
            except (NotFound, Corrupt) as error:
                errors.append(error)
                wrong[name] = blobs
            except (NotReady, OSError) as error:
                errors.append(error)
                self._rest(name, error)
            else:
                self._repair(digest, data, wrong, errors)
                return data
        raise next((error for error in errors if isinstance(error, Corrupt)), errors[0])

    def has(self, digest: str, /) -> bool:
        """Whether some store has something under that digest."""
        return any(self._ask(name, lambda blobs=blobs: blobs.has(digest)) for name, blobs in self._in_order())

    def link(self, digest: str, target: Path, /) -> bool:
        """A file of the bytes without copying, if the first store can give one. The reader verifies it."""
        return not self.is_erased(digest) and self.primary.link(digest, target)

    def remove(self, digest: str, /) -> None:
        """Forget the bytes in every store. Raises what a store raised that did not: it is to be done again."""
        for blobs in self.opened.values():
            blobs.remove(digest)

    def digests(self) -> Iterator[tuple[str, int]]:
        """What any store lists, each digest once, in order. A store that does not answer raises."""
        last = ""
        for digest, size in heapq.merge(*(sorted(blobs.digests()) for blobs in self.opened.values())):
            if digest != last:
                yield digest, size
            last = digest

    def free_bytes(self) -> int | None:
        """How much more fits into each of them, as far as they know."""
        known = [free for blobs in self.opened.values() if (free := blobs.free_bytes()) is not None]
        return min(known, default=None)

    def close(self) -> None:
        """Close them all."""
        for blobs in self.opened.values():
            blobs.close()

    def _everywhere(self, put: Callable[[Blobs], None]) -> None:
        acknowledged, errors = 0, []
        for name, blobs in self._in_order():
            if self._rests(name) and acknowledged >= self._wanted():
                continue  # scrubbing brings it what it misses
            try:
                put(blobs)
                acknowledged += 1
            except (FourfoldError, OSError) as error:
                errors.append(error)
                self._rest(name, error)
        if acknowledged < self._wanted():
            raise errors[0]

    def _wanted(self) -> int:
        return max(1, min(self.acknowledgements, len(self.opened)))

    def _repair(self, digest: str, data: bytes, wrong: Opened, errors: list[FourfoldError | OSError]) -> None:
        """Write right bytes, which were verified, over wrong or missing ones; where that fails the next reader tries again."""
        if not wrong:
            return
        missing = all(isinstance(error, NotFound) for error in errors)
        if self.is_erased(digest) or (missing and self.is_moved(digest)):
            return
        for name, blobs in wrong.items():
            with contextlib.suppress(FourfoldError, OSError):
                blobs.put(digest, data)
                self.repaired += 1
                log.warning("chunk repaired", extra={"chunk": digest, "store": name})

    def _in_order(self) -> list[tuple[str, Blobs]]:
        """Those that answer first; the resting are asked last."""
        opened = list(self.opened.items())
        return sorted(opened, key=lambda each: self._rests(each[0])) if self.resting else opened

    def _ask(self, name: str, question: Callable[[], bool]) -> bool:
        try:
            return question()
        except (NotReady, OSError) as error:
            self._rest(name, error)
            return False

    def _rests(self, name: str) -> bool:
        return self.resting.get(name, 0.0) > self.clock()

    def _rest(self, name: str, error: Exception) -> None:
        log.warning("store fails", extra={"store": name, "error": str(error)})
        if isinstance(error, NotReady):
            self.resting[name] = self.clock() + REST_SECONDS
