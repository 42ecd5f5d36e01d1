"""Feeds (RSS, Atom): their entries, asked for only where they changed, and kept when the feed drops them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from fourfold import __version__
from fourfold.core.errors import BadSpec
from fourfold.core.fingerprint import digest_bytes
from fourfold.data.connections import Connection, State, note, refused, what_to_do
from fourfold.data.egress import Egress, networks_of
from fourfold.data.feeds import Cut, cut, entry_of, text_of_feed
from fourfold.data.fetching import Fetched, Fetcher, Manners, Store, validators_of
from fourfold.data.sources import RawFile, Visit
from fourfold.data.urls import file_path, normal

BLOCKED = frozenset({401, 402, 403, 410, 429, 451})
NOT_PUBLIC = "It needs a sign-in that this source does not do, or asks for patience: try later."


class Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feed or an entry of a version. Of a feed: its validators. Of an entry: its feed, its file, and what it said."""

    url: str
    headers: dict[str, str] = {}
    entry: str = ""
    path: str = ""
    digest: str = ""
    fetched_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Feed:
    """The entries of feeds at `urls`: those of now, and those that earlier visits saw and the feed has dropped since."""

    urls: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()  # networks that are not public and may be reached all the same
    keep_gone: bool = True  # keep entries that the feed no longer lists
    max_redirects: int = 5
    per_host: int = 2
    delay_seconds: float = 0.5
    timeout_seconds: float = 60.0
    attempts: int = 3
    retry_seconds: float = 2.0
    user_agent: str = f"FourfoldBot/{__version__}"
    formats: dict[str, dict[str, Any]] = field(default_factory=dict)
    endings: dict[str, str] = field(default_factory=dict)
    splits: dict[str, Literal["train", "dev", "test"]] = field(default_factory=dict)
    max_file_bytes: int = 32 << 20

    def __post_init__(self) -> None:
        if not self.urls:
            raise BadSpec("urls is empty.", hint='For example: urls=["https://example.com/feed.xml"]')
        for url in self.urls:
            if normal(url) is None:
                raise BadSpec(f"urls: {url!r} is no http or https URL.", hint="For example: https://example.com/feed.xml")
        networks_of(self.allow)
        least = {"max_redirects": 0, "per_host": 1, "attempts": 1, "max_file_bytes": 1, "delay_seconds": 0, "retry_seconds": 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise BadSpec(f"{name} is at least {value}, not {getattr(self, name)}.")
        if self.timeout_seconds <= 0:
            raise BadSpec(f"timeout_seconds is more than 0, not {self.timeout_seconds}.")

    def __call__(self) -> Iterator[RawFile]:
        raise BadSpec("feed is visited, not called.", hint="Run: fourfold collect NAME --source feed --set urls='[URL]'")

    def visit(self, visit: Visit, /) -> Iterator[RawFile]:
        """The entries of each feed, in order of `urls`: those it lists, in its order, then those of before.

        Raises SourceBlocked if no feed answers as a feed.
        """
        before = _remembered(visit)
        urls = list(dict.fromkeys(url for one in self.urls if (url := normal(one))))
        store = Store(visit.state)
        answers = {url: _answer(found, store) for url, found in asyncio.run(self._fetch(urls, before, store)).items()}
        if all(answer.trouble for answer in answers.values()):
            store.forget()
        _judge(visit, answers)
        written: list[Remembered] = []
        for url in urls:
            yield from self._entries(visit, url, answers[url], before.get(url, []), written)
        visit.memory.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in written))

    async def _fetch(self, urls: list[str], before: dict[str, list[Remembered]], store: Store) -> dict[str, Fetched]:
        manners = Manners(
            self.user_agent, self.per_host, self.delay_seconds, self.timeout_seconds, self.attempts, self.retry_seconds,
            self.max_file_bytes,
        )  # fmt: skip
        validators = {url: validators_of(kept[0].headers) for url, kept in before.items() if kept}
        fetcher = Fetcher(Egress(networks_of(self.allow)), store, manners, validators)
        try:
            return dict(zip(urls, await asyncio.gather(*(self._through(fetcher, url) for url in urls))))
        finally:
            await fetcher.close()

    async def _through(self, fetcher: Fetcher, url: str) -> Fetched:
        """What is at the end of a bounded chain of redirects; its validators belong to the first address."""
        validators = fetcher.validators.get(url, {})
        found = await fetcher.fetch(url)
        for _ in range(self.max_redirects):
            if found.reason != "redirect" or found.location is None:
                return found
            fetcher.validators = {**fetcher.validators, found.location: validators}
            found = await fetcher.fetch(found.location)
        return msgspec.structs.replace(found, reason="too_many_redirects") if found.reason == "redirect" else found

    def _entries(
        self, visit: Visit, url: str, answer: Answer, kept: list[Remembered], written: list[Remembered]
    ) -> Iterator[RawFile]:
        old = {one.entry: one for one in kept if one.entry}
        listed: dict[str, Remembered] = {}
        if answer.pieces is not None:
            for entry, item in _listed(url, answer.found.fetched_at, answer.pieces, old):
                if isinstance(item, RawFile):
                    yield item
                if entry is not None:
                    listed.setdefault(entry.entry, entry)
        if answer.trouble:
            yield RawFile(url, None, answer.found.fetched_at, answer.trouble, answer.found.detail)
        if answer.pieces is None or self.keep_gone:
            listed |= {id: one for id, one in old.items() if id not in listed}
        headers = kept[0].headers if kept and answer.pieces is None else answer.found.headers
        written += [Remembered(url, headers), *listed.values()]
        yield from _again(visit, [one for one in listed.values() if old.get(one.entry) is one])


@dataclass(frozen=True, slots=True)
class Answer:
    """What a feed's address gave: its pieces, or None where it did not change, or the trouble."""

    found: Fetched
    pieces: Cut | None = None
    trouble: str = ""


def _answer(found: Fetched, store: Store) -> Answer:
    if found.digest is None:
        return Answer(found, trouble=found.reason)
    pieces = cut(text_of_feed(store.body(found.digest)))
    return Answer(found, trouble=pieces) if isinstance(pieces, str) else Answer(found, pieces)


def _judge(visit: Visit, answers: dict[str, Answer]) -> None:
    """Note how each feed answered. Raises SourceBlocked if none did."""
    failed = []
    for url, answer in answers.items():
        state: State = "blocked" if answer.trouble else "ok"
        next = NOT_PUBLIC if answer.found.status in BLOCKED else what_to_do(answer.trouble)
        at = visit.now()
        connection = Connection(
            "feed", url, state, at, at, code=answer.trouble, detail=answer.found.detail, next=next
        )  # fmt: skip
        note(visit.connection, connection)
        failed += [connection] if answer.trouble else []
    if len(failed) == len(answers):
        first = failed[0]
        raise refused(first, f"No feed answered ({len(failed)} of {len(answers)} failed; {first.account}: {first.code}).")


def _listed(url: str, at: float, pieces: Cut, old: dict[str, Remembered]) -> Iterator[tuple[Remembered | None, RawFile | None]]:
    """What a feed lists: entries, with their files where they are new or changed; and what could not be read."""
    for n in range(pieces.broken):
        yield None, RawFile(f"{url}#cut-{n + 1}", None, at, "cut_off")
    seen: set[str] = set()
    for line, source in pieces.entries:
        entry = entry_of(pieces, source)
        if entry is None:
            yield None, RawFile(f"{url}#{line}", None, at, "bad_entry")
            continue
        digest = digest_bytes(source.encode("utf-8", "replace"))
        id = entry.id or digest
        if id in seen:
            yield None, RawFile(f"{url}#{line}", None, at, "same_entry")  # the first is the newer one
            continue
        seen.add(id)
        known = old.get(id)
        if known is not None and known.digest == digest:
            yield known, None
            continue
        path = file_path(f"{url}#{id}", ".feed")
        yield Remembered(url, {}, id, path, digest, at), RawFile(path, pieces.alone(source), at, fetched_at=at)


def _again(visit: Visit, entries: list[Remembered]) -> Iterator[RawFile]:
    """Entries of the version before, as they lie there."""
    for one in entries:
        path = visit.previous.raw / one.path if visit.previous is not None else None
        data = path.read_bytes() if path is not None and path.is_file() else None
        yield RawFile(one.path, data, one.fetched_at, "" if data is not None else "lost", fetched_at=one.fetched_at)


def _remembered(visit: Visit) -> dict[str, list[Remembered]]:
    """By feed: the feed itself, then its entries, as the version before left them."""
    found: dict[str, list[Remembered]] = {}
    if visit.previous is not None and visit.previous.memory.is_file():
        for line in visit.previous.memory.read_bytes().splitlines():
            one = msgspec.json.decode(line, type=Remembered)
            found.setdefault(one.url, []).append(one)
    return found
