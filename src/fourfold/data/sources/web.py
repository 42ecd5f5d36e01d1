"""Web sites: pages by their links and sitemaps, politely, incrementally, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from fourfold import __version__
from fourfold.core.errors import BadSpec
from fourfold.data.connections import Connection, State, note, what_to_do
from fourfold.data.crawl import Bounds, Crawl
from fourfold.data.egress import Egress, networks_of
from fourfold.data.fetching import Fetched, Fetcher, Manners, Store, validators_of
from fourfold.data.globs import fits
from fourfold.data.sources import RawFile, Visit
from fourfold.data.urls import file_path, host_of, normal
from fourfold.data.warc import read_warc, write_warc

ENDINGS = {
    "text/html": ".html", "application/xhtml+xml": ".html", "text/plain": ".txt", "text/markdown": ".md", "text/csv": ".csv",
    "application/pdf": ".pdf", "application/json": ".json", "application/x-ndjson": ".jsonl", "application/epub+zip": ".epub",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
}  # fmt: skip


class Remembered(msgspec.Struct, frozen=True):
    """A page of a version: where its bytes lie, and what asks for it only if it changed."""

    url: str
    path: str
    headers: dict[str, str]
    fetched_at: float


@dataclass(frozen=True, slots=True)
class Web:
    """Pages under `start`, and on the same hosts, as their robots.txt allows."""

    start: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()  # beside those of start; `*.example.com` fits those below
    include: tuple[str, ...] = ()  # patterns of paths: only these become documents, the others are passed through
    exclude: tuple[str, ...] = ()  # patterns of paths that are not fetched
    sitemaps: bool = True
    allow: tuple[str, ...] = ()  # networks that are not public and may be reached all the same
    warc_in: str = ""  # read this archive instead of the network
    warc_out: bool = False  # the version holds crawl.warc.gz, too
    max_pages: int = 10_000
    max_bytes: int = 10 << 30
    max_depth: int = 12
    max_redirects: int = 5
    pattern_pages: int = 2_000  # of one pattern: paths that differ in digits only
    query_pages: int = 100  # the same, of paths with a query
    per_host: int = 2
    delay_seconds: float = 0.5  # between requests to a host, at least; robots.txt may ask for more
    timeout_seconds: float = 60.0
    attempts: int = 3
    retry_seconds: float = 2.0
    user_agent: str = f"FourfoldBot/{__version__}"
    formats: dict[str, dict[str, Any]] = field(default_factory=dict)
    endings: dict[str, str] = field(default_factory=dict)
    splits: dict[str, Literal["train", "dev", "test"]] = field(default_factory=dict)
    max_file_bytes: int = 10 << 20

    def __post_init__(self) -> None:
        if bool(self.start) == bool(self.warc_in):
            raise BadSpec("web needs one of start and warc_in.", hint="For example: start=https://example.com/")
        for url in self.start:
            if normal(url) is None:
                raise BadSpec(f"start: {url!r} is no http or https URL.", hint="For example: https://example.com/")
        networks_of(self.allow)
        least = dict.fromkeys(("max_pages", "max_bytes", "per_host", "attempts", "max_file_bytes", "query_pages"), 1)
        for name, value in (least | {"max_depth": 0, "max_redirects": 0, "delay_seconds": 0, "retry_seconds": 0}).items():
            if getattr(self, name) < value:
                raise BadSpec(f"{name} is at least {value}, not {getattr(self, name)}.")
        if self.timeout_seconds <= 0:
            raise BadSpec(f"timeout_seconds is more than 0, not {self.timeout_seconds}.")

    def __call__(self) -> Iterator[RawFile]:
        raise BadSpec("web is visited, not called.", hint="Run: fourfold collect NAME --source web --set start=URL")

    def visit(self, visit: Visit) -> Iterator[RawFile]:
        """The pages, in the order in which they were found, then what was left out and why."""
        if self.warc_in:
            yield from self._archived()
            return
        before = _remembered(visit)
        crawl = asyncio.run(self._crawl(visit, before))
        kept = dict(self._kept(crawl))
        if not kept:
            crawl.fetcher.store.forget()  # a site that was down is asked again
        self._note(visit, crawl)
        written: list[Remembered] = []
        for url, path in kept.items():
            found = crawl.pages[url]
            body = crawl.body(found)
            at = before[url].fetched_at if found.unchanged else found.fetched_at
            headers = {**before[url].headers, **found.headers} if found.unchanged else found.headers
            written.append(Remembered(url, path, headers, at))
            yield RawFile(path, body, at, "" if body is not None else "lost", fields={"url": url}, fetched_at=at)
        for url, reason, detail in self._left_out(crawl, kept):
            yield RawFile(url, None, 0.0, reason, detail)
        visit.memory.write_bytes(b"".join(msgspec.json.encode(page) + b"\n" for page in written))
        if self.warc_out:
            pages = ((crawl.pages[url], body) for url in kept if (body := crawl.body(crawl.pages[url])) is not None)
            write_warc(visit.memory.parent / "crawl.warc.gz", pages)

    def _note(self, visit: Visit, crawl: Crawl) -> None:
        """Whether each start was answered."""
        for url in dict.fromkeys(url for start in self.start if (url := normal(start))):
            found = crawl.pages.get(url)
            reason = crawl.refused.get(url, "") or (found.reason if found is not None and found.reason != "redirect" else "")
            state: State = "blocked" if reason else "ok"
            detail, at = found.detail if found is not None else "", visit.now()
            note(visit.connection, Connection("web", url, state, at, at, code=reason, detail=detail, next=what_to_do(reason)))

    async def _crawl(self, visit: Visit, before: dict[str, Remembered]) -> Crawl:
        manners = Manners(
            self.user_agent, self.per_host, self.delay_seconds, self.timeout_seconds, self.attempts, self.retry_seconds,
            self.max_file_bytes,
        )  # fmt: skip
        bounds = Bounds(
            self.max_pages, self.max_bytes, self.max_depth, self.max_redirects, self.pattern_pages, self.query_pages
        )

        def earlier(url: str) -> bytes | None:
            path = visit.previous.raw / before[url].path if visit.previous is not None and url in before else None
            return path.read_bytes() if path is not None and path.is_file() else None

        validators = {url: validators_of(page.headers) for url, page in before.items() if earlier(url) is not None}
        fetcher = Fetcher(Egress(networks_of(self.allow)), Store(visit.state), manners, validators)
        crawl = Crawl(fetcher, bounds, self._wanted, earlier, lambda n: visit.progress(n, None, "pages"))
        try:
            await crawl.run([url for start in self.start if (url := normal(start))], self.sitemaps)
        finally:
            await fetcher.close()
        return crawl

    def _wanted(self, url: str) -> bool:
        host = host_of(url)
        own = {host_of(normal(start) or "") for start in self.start}
        if host not in own and not any(host == one or (one[:2] == "*." and host.endswith(one[1:])) for one in self.hosts):
            return False
        return not any(fits(urlsplit(url).path.lstrip("/"), pattern.lstrip("/")) for pattern in self.exclude)

    def _kept(self, crawl: Crawl) -> Iterator[tuple[str, str]]:
        """URL and path of each page that becomes a file: the first of equal ones, and the canonical one."""
        bodies: set[str] = set()
        for url, found in crawl.pages.items():
            if self._refusal(crawl, url, found):
                continue
            digest = found.digest or url
            if digest not in bodies:
                bodies.add(digest)
                yield url, file_path(url, _ending(found, url))

    def _refusal(self, crawl: Crawl, url: str, found: Fetched) -> str:
        if found.reason or (found.digest is None and not found.unchanged):
            return found.reason or "lost"
        said = crawl.said.get(url)
        if said is not None and not said.keep:
            return "noindex"
        if said is not None and said.canonical not in (None, url) and _stands(crawl, said.canonical):
            return "not_canonical"
        path = urlsplit(url).path.lstrip("/")
        if self.include and not any(fits(path, pattern.lstrip("/")) for pattern in self.include):
            return "not_included"
        return ""

    def _left_out(self, crawl: Crawl, kept: dict[str, str]) -> Iterator[tuple[str, str, str]]:
        for url, found in crawl.pages.items():
            if url not in kept and url not in crawl.refused:
                yield url, self._refusal(crawl, url, found) or "same_page", found.detail
        for url, reason in crawl.refused.items():
            yield url, reason, ""
        for reason, n in crawl.unlisted.items():
            yield "(links)", reason, f"{n} links"

    def _archived(self) -> Iterator[RawFile]:
        for found, body in read_warc(Path(self.warc_in).expanduser(), self.max_file_bytes):
            url = normal(found.url) or found.url
            path = file_path(url, _ending(found, url))
            reason = "" if body is not None else "too_large"
            yield RawFile(path, body, found.fetched_at, reason, fields={"url": url}, fetched_at=found.fetched_at)


def _stands(crawl: Crawl, canonical: str | None) -> bool:
    """Whether a canonical address is a page that was fetched, and that names no other one in turn."""
    if canonical is None or canonical not in crawl.pages:
        return False
    found, said = crawl.pages[canonical], crawl.said.get(canonical)
    return not found.reason and (said is None or said.canonical in (None, canonical))


def _ending(found: Fetched, url: str) -> str:
    kind = found.headers.get("content-type", "text/html").partition(";")[0].strip().lower()
    name = urlsplit(url).path.rpartition("/")[2]
    return ENDINGS.get(kind) or (f".{name.rpartition('.')[2][:10]}" if "." in name else ".bin")


def _remembered(visit: Visit) -> dict[str, Remembered]:
    """Pages of the version before, by URL."""
    if visit.previous is None or not visit.previous.memory.is_file():
        return {}
    lines = visit.previous.memory.read_bytes().splitlines()
    return {page.url: page for page in (msgspec.json.decode(line, type=Remembered) for line in lines)}
