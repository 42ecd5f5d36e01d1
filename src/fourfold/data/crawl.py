"""A crawl: from a few URLs outward, wave by wave, within robots.txt, bounds and budgets.

All pages of one distance are fetched before the next wave is chosen, in the order in which their links were found: so which
pages a bounded crawl takes does not depend on which host was quicker. A crawl that begins again passes the waves that it has
on disk without a request.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from protego import Protego

from fourfold.data.fetching import Fetched, Fetcher
from fourfold.data.links import Page, locations, page_of
from fourfold.data.urls import endless, host_of, normal, origin_of, pattern_of

MAX_SITEMAPS, MAX_SITEMAP_BYTES = 200, 50 << 20  # the protocol's own bound of one file
MAX_ROBOTS_BYTES = 500 << 10  # RFC 9309
MAX_DELAY_SECONDS = 60.0
HTML = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a crawl ends."""

    max_pages: int
    max_bytes: int
    max_depth: int
    max_redirects: int
    pattern_pages: int
    query_pages: int


@dataclass(frozen=True, slots=True)
class Step:
    """A URL to fetch: how many links, and how many redirects in a row, led to it."""

    url: str
    depth: int
    hops: int = 0


@dataclass(slots=True)
class Crawl:
    """The state of a crawl. `pages` holds what came of each URL, in order."""

    fetcher: Fetcher
    bounds: Bounds
    wanted: Callable[[str], bool]
    earlier: Callable[[str], bytes | None]  # the body of the version before
    told: Callable[[int], None]
    pages: dict[str, Fetched] = field(default_factory=dict)
    said: dict[str, Page] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # URL → reason
    unlisted: Counter[str] = field(default_factory=Counter)  # reason → links that were not even noted one by one
    robots: dict[str, Protego | None] = field(default_factory=dict)
    bytes: int = 0
    _seen: set[str] = field(default_factory=set)
    _patterns: Counter[str] = field(default_factory=Counter)
    _bodies: set[str] = field(default_factory=set)

    async def run(self, starts: list[str], sitemaps: bool) -> None:
        """Crawl from `starts`, and from what the sitemaps of their hosts name."""
        await self._know(starts)
        wave = self._admit((Step(url, 0) for url in starts), listed=True)
        if sitemaps:
            named = await self._sitemaps(list(dict.fromkeys(origin_of(url) for url in starts)))
            await self._know(named)
            wave += self._admit((Step(url, 0) for url in named), listed=True)
        while wave:
            await self._fetch(wave)
            found = [step for before in wave for step in self._after(before)]
            await self._know([step.url for step in found])
            wave = self._admit(found, listed=False)

    async def _fetch(self, wave: list[Step]) -> None:
        for begin in range(0, len(wave), 64):
            some = wave[begin : begin + 64]
            if self.bytes > self.bounds.max_bytes:
                self.refused |= {step.url: "byte_limit" for step in some}
                continue
            for found in await asyncio.gather(*(self.fetcher.fetch(step.url) for step in some)):
                self.pages[found.url] = found
                self.bytes += found.size_bytes
            self.told(len(self.pages))

    def body(self, found: Fetched) -> bytes | None:
        """The bytes of a page: fetched now, or by the version before."""
        if found.unchanged:
            return self.earlier(found.url)
        return None if found.digest is None else self.fetcher.store.body(found.digest)

    def _after(self, step: Step) -> Iterable[Step]:
        """Where a page leads."""
        found = self.pages.get(step.url)
        if found is None:
            return
        if found.reason == "redirect" and found.location is not None:
            if step.hops < self.bounds.max_redirects:
                yield Step(found.location, step.depth, step.hops + 1)
            else:
                self.refused[step.url] = "too_many_redirects"
            return
        if not is_html(found) or (body := self.body(found)) is None:
            return
        if (digest := found.digest or found.url) in self._bodies:
            return  # the same page under another address: its links are known
        self._bodies.add(digest)
        page = self.said[step.url] = page_of(body, step.url, found.headers.get("x-robots-tag", ""))
        if page.canonical and page.canonical != step.url:
            yield Step(page.canonical, step.depth)
        if page.follow:
            yield from (Step(link, step.depth + 1) for link in page.links)

    def _admit(self, steps: Iterable[Step], *, listed: bool) -> list[Step]:
        """Those that are new and within all bounds. What is left out is noted with its reason."""
        wave = []
        for step in steps:
            if step.url in self._seen:
                continue
            self._seen.add(step.url)
            reason = self._refusal(step, listed)
            if not reason:
                wave.append(step)
            elif len(self.refused) < 10_000 and reason != "out_of_scope":
                self.refused[step.url] = reason
            else:
                self.unlisted[reason] += 1
        return wave

    def _refusal(self, step: Step, listed: bool) -> str:
        if not self.wanted(step.url):
            return "out_of_scope"
        if step.depth > self.bounds.max_depth:
            return "too_deep"
        if endless(step.url):
            return "endless_path"
        if not self.allowed(step.url):
            return "disallowed"
        pattern = pattern_of(step.url)
        most = self.bounds.query_pages if pattern.endswith("?") else self.bounds.pattern_pages
        if not listed and self._patterns[pattern] >= most:
            return "pattern_limit"
        if self._patterns.total() >= self.bounds.max_pages:
            return "page_limit"
        self._patterns[pattern] += 1
        return ""

    # robots.txt and sitemaps

    def allowed(self, url: str) -> bool:
        """Whether the host's robots.txt lets us fetch a URL. Only of known hosts."""
        rules = self.robots.get(origin_of(url))
        return rules is not None and bool(rules.can_fetch(url, self.fetcher.manners.user_agent))

    async def _know(self, urls: Iterable[str]) -> None:
        """Read robots.txt of hosts that are new (RFC 9309): none there allows everything, one that cannot be had nothing."""
        new = list(dict.fromkeys(origin_of(url) for url in urls if self.wanted(url) and origin_of(url) not in self.robots))
        for origin, found in zip(new, await asyncio.gather(*(self._through(f"{origin}/robots.txt") for origin in new))):
            body = self.body(found)
            if body is None and not 400 <= found.status < 500:
                self.robots[origin] = None
                continue
            rules = self.robots[origin] = Protego.parse((body or b"")[:MAX_ROBOTS_BYTES].decode("utf-8", errors="replace"))
            delay = rules.crawl_delay(self.fetcher.manners.user_agent) or 0.0
            self.fetcher.delays[host_of(f"{origin}/")] = min(float(delay), MAX_DELAY_SECONDS)

    async def _through(self, url: str) -> Fetched:
        """What is at a URL, behind a bounded number of redirects."""
        found = await self.fetcher.fetch(url)
        for _ in range(self.bounds.max_redirects):
            if found.location is None:
                break
            found = await self.fetcher.fetch(found.location)
        return found

    async def _sitemaps(self, origins: list[str]) -> list[str]:
        """URLs that sitemaps name: those of robots.txt, else /sitemap.xml; indexes are followed."""
        waiting = [url for origin in origins for url in self._sitemap_urls(origin)]
        seen: set[str] = set()
        found: dict[str, None] = {}
        while waiting and len(seen) < MAX_SITEMAPS and len(found) < 4 * self.bounds.max_pages:
            url = waiting.pop(0)
            if url in seen or not self.wanted(url) or not self.allowed(url):
                continue
            seen.add(url)
            body = self.body(await self._through(url))
            if body is None:
                continue
            is_index, urls = locations(unzipped(body), url)
            if is_index:
                waiting += urls
            else:
                found |= dict.fromkeys(urls)
        return list(found)

    def _sitemap_urls(self, origin: str) -> list[str]:
        rules = self.robots.get(origin)
        named = [normal(url, f"{origin}/") for url in (rules.sitemaps if rules is not None else ())]
        return [url for url in named if url is not None] or [f"{origin}/sitemap.xml"]


def is_html(found: Fetched) -> bool:
    """Whether a reply says that it is a page; one that says nothing may be."""
    return found.headers.get("content-type", HTML[0]).partition(";")[0].strip().lower() in HTML


def unzipped(data: bytes) -> bytes:
    """A sitemap, unpacked if it is packed; a damaged one as far as it goes, a large one up to the protocol's bound."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return zlib.decompressobj(wbits=31).decompress(data, MAX_SITEMAP_BYTES)
    except zlib.error:
        return b""


def figures(crawl: Crawl) -> dict[str, Any]:
    """What a crawl did, in numbers."""
    return {
        "requests": crawl.fetcher.requests,
        "unchanged": sum(page.unchanged for page in crawl.pages.values()),
        "not_listed": dict(crawl.unlisted),
    }
