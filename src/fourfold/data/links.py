"""What a page says to a crawler: links, its canonical address, what robots shall not do. In linear time, whatever it holds."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from fourfold.data.decode import encoding_of
from fourfold.data.urls import normal

TAG = re.compile(r"<(a|area|link|base|meta)\s([^<>]{1,4096})>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"([a-zA-Z-]{1,32})\s{0,8}=\s{0,8}(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))")
# Where what looks like a tag is none.
SKIPPED = (("<!--", "-->"), ("<script", "</script"), ("<style", "</style"))
LOC = re.compile(r"<(?:\w{1,20}:)?loc>\s{0,99}(?:<!\[CDATA\[)?([^<\]]{1,4096})")
MAX_LINKS = 5_000


@dataclass(frozen=True, slots=True)
class Page:
    """Links in order, each once, as normal URLs."""

    links: tuple[str, ...]
    canonical: str | None
    keep: bool  # False: noindex
    follow: bool  # False: nofollow


def page_of(data: bytes, url: str, robots: str = "") -> Page:
    """What an HTML page says. `robots` is its X-Robots-Tag header. The bytes decide about the encoding, not the header."""
    text = _plain(data.decode(encoding_of(data, "auto"), errors="replace"))
    base, canonical, asked = url, None, [robots.lower()]
    found: dict[str, None] = {}
    for tag, attributes in _tags(text):
        match tag:
            case "base" if "href" in attributes and base == url:
                base = normal(attributes["href"], url) or url
            case "link" if attributes.get("rel", "").lower() == "canonical":
                canonical = normal(attributes.get("href", ""), base)
            case "meta" if attributes.get("name", "").lower() == "robots":
                asked.append(attributes.get("content", "").lower())
            case "a" | "area" if "href" in attributes and "nofollow" not in attributes.get("rel", "").lower():
                link = normal(attributes["href"], base)
                if link is not None and len(found) < MAX_LINKS:
                    found[link] = None
    said = ",".join(asked)
    none = re.search(r"\bnone\b", said) is not None
    return Page(tuple(found), canonical, not (none or "noindex" in said), not (none or "nofollow" in said))


def _tags(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for match in TAG.finditer(text):
        attributes = {}
        for name, double, single, bare in ATTRIBUTE.findall(match[2]):
            attributes.setdefault(name.lower(), html.unescape(double or single or bare))
        yield match[1].lower(), attributes


def _plain(text: str) -> str:
    """The page without comments, scripts and styles. One that is not closed reaches to the end."""
    for begin, end in SKIPPED:
        lower = text.lower() if len(text) == len(text.lower()) else text
        parts, at = [], 0
        while (found := lower.find(begin, at)) >= 0:
            parts.append(text[at:found])
            closed = lower.find(end, found + len(begin))
            if closed < 0:
                at = len(text)
                break
            at = closed + len(end)
        text = "".join([*parts, text[at:]])
    return text


def locations(data: bytes, url: str) -> tuple[bool, list[str]]:
    """Whether a sitemap is an index of others, and the URLs it names. Read without an XML parser: many are broken."""
    text = data.decode("utf-8", errors="replace")
    if "<" not in text[:1000]:  # the plain form: a URL a line
        found = [normal(line, url) for line in text.splitlines()[:50_000]]
        return False, [one for one in found if one is not None]
    found = [normal(html.unescape(loc), url) for loc in LOC.findall(text)[:50_000]]
    return re.search(r"<(?:\w{1,20}:)?sitemapindex\b", text) is not None, [one for one in found if one is not None]
