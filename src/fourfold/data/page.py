"""What a page says of itself: title, author, date, language and address, from its head, its rule, or its script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import urlsplit

from fourfold.core.extras import need

KANA = re.compile("[\u3040-\u30ff]")
HANGUL = re.compile("[\uac00-\ud7af]")
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
FIRST_EASTERN = "\u3040"  # below it stand no kana, no Han characters, no Hangul
DATE = re.compile(
    r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})(?:\s*日)?(?:[T\s]+(\d{1,2}:\d{2}(?::\d{2})?)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?)?"
)
TITLES = ("og:title", "twitter:title", "dc.title", "headline")
AUTHORS = ("author", "article:author", "dc.creator", "byl", "parsely-author", "sailthru.author")
DATES = (
    "article:published_time",
    "datepublished",
    "publishdate",
    "pubdate",
    "date",
    "dc.date",
    "og:published_time",
    "parsely-pub-date",
)
MAX_SAMPLE = 4000  # characters that tell the language
MAX_HEAD = 1 << 18  # characters among which a page's head is looked for
ATTRIBUTE = re.compile(r"([\w:-]+)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)")
META = re.compile(r"<meta\b[^>]{0,4000}>", re.IGNORECASE)
LINK = re.compile(r"<link\b[^>]{0,2000}>", re.IGNORECASE)
ROOT = re.compile(r"<html\b[^>]{0,2000}>", re.IGNORECASE)
TIME = re.compile(r"<time\b[^>]{0,500}datetime[^>]{0,200}>", re.IGNORECASE)
LINKED = re.compile(r"<script\b[^>]{0,200}ld\+json[^>]{0,200}>(.{0,200000}?)</script", re.IGNORECASE | re.DOTALL)
H1 = re.compile(r"<h1\b[^>]{0,1000}>(.{0,2000}?)</h1", re.IGNORECASE | re.DOTALL)
TITLE = re.compile(r"<title\b[^>]{0,200}>([^<]{0,2000})", re.IGNORECASE)
TAG = re.compile(r"<[^>]{0,2000}>")
BYLINE = re.compile(r"=[\"'](?:author|byline|writer)[\"'][^>]{0,300}>(.{0,300}?)</", re.IGNORECASE | re.DOTALL)
DATED = re.compile(
    r"=[\"'](?:date|time|pubtime|publish-time|post-date)[\"'][^>]{0,300}>(.{0,200}?)</", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Rule:
    """Where pages of one kind keep what counts: CSS selectors. A rule without `host` fits any page in which `text` is found."""

    text: str
    host: str = ""
    title: str = ""
    author: str = ""
    date: str = ""


# Pages whose makers are known. One line each.
RULES = (
    Rule("#js_content", title="#activity-name", author="#js_name", date="#publish_time"),  # WeChat official accounts
)


def rule_of(rules: Mapping[str, str], url: str, select: Any) -> Rule | None:
    """The rule that fits a page: one's own by host, one's own for any host, else a known one. `select(css)` finds a node."""
    host = (urlsplit(url).hostname or "").lower()
    mine = [name for name in rules if name != "*" and (host == name or host.endswith(f".{name}"))]
    own = [Rule(rules[name]) for name in sorted(mine, key=len, reverse=True)]
    own += [Rule(rules["*"])] if "*" in rules else []
    return next((rule for rule in (*own, *RULES) if (not rule.host or rule.host == host) and select(rule.text)), None)


def may_have_rule(rules: Mapping[str, str], html: str) -> bool:
    """Whether it is worth a look: finding a node takes as long as all the rest of `fast`."""
    return bool(rules) or any(rule.text.lstrip("#.") in html for rule in RULES)


def language_of(text: str, declared: str = "") -> str:
    """ISO 639-1 of a text: by its script where that says all, else as declared, else as guessed; "" where nothing tells.

    The script goes first: pages made from an English template declare English whatever they hold.
    """
    sample = text[:MAX_SAMPLE]
    letters = sum(map(str.isalpha, sample))
    if not letters:
        return ""
    if max(sample) >= FIRST_EASTERN:
        if len(HANGUL.findall(sample)) > 0.3 * letters:
            return "ko"
        kana, han = len(KANA.findall(sample)), len(HAN.findall(sample))
        if kana + han > 0.3 * letters:
            return "ja" if kana > 0.1 * (kana + han) else "zh"
    declared = declared.partition("-")[0].partition("_")[0].strip().lower()
    if len(declared) == 2 and declared not in ("zh", "ja", "ko"):
        return declared
    lang = need("resiliparse.parse.lang", extra="documents", what="Telling a page's language")
    found, distance = lang.detect_fast(sample)
    return found if found != "unknown" and distance <= 1200 else ""


def date_of(value: str) -> str:
    """The first date in a string as ISO 8601, with its time if that follows; "" where there is none."""
    for year, month, day, clock, zone in DATE.findall(value):
        if 1970 <= int(year) <= 2100 and 1 <= int(month) <= 12 and 1 <= int(day) <= 31:
            hour = f"T{clock.zfill(5) if clock.count(':') == 1 else clock.zfill(8)}{zone}" if clock else ""
            return f"{year}-{int(month):02}-{int(day):02}{hour}"
    return ""


def head_of(html: str) -> dict[str, str]:
    """Title, author, date, url and declared language (`declared`) of a page, from its markup.

    By patterns, not by a parsed tree: walking a tree from Python takes longer than finding its main text.
    """
    head = html[:MAX_HEAD]
    metas: dict[str, str] = {}
    for tag in META.findall(head):
        values = _attributes(tag)
        name = values.get("property") or values.get("name") or values.get("itemprop") or ""
        if name and values.get("content", "").strip():
            metas.setdefault(name.strip().lower(), values["content"].strip())
    linked = linked_data(LINKED.findall(html)) if "ld+json" in html else {}
    canonical = next(
        (values.get("href", "") for tag in LINK.findall(head) if (values := _attributes(tag)).get("rel") == "canonical"), ""
    )
    root = ROOT.search(head)
    found = {
        "title": _first(metas, TITLES) or linked.get("title", "") or _heading(html),
        "author": _person(_first(metas, AUTHORS)) or linked.get("author", "") or _shown(BYLINE, html),
        "date": date_of(_first(metas, DATES)) or date_of(linked.get("date", "")) or date_of(_stamp(html)),
        "url": canonical or metas.get("og:url", ""),
        "declared": (_attributes(root[0]).get("lang", "") if root else "") or metas.get("og:locale", ""),
    }
    return {name: clean(value) for name, value in found.items() if value and value.strip()}


def linked_data(scripts: Iterable[str]) -> dict[str, str]:
    """Title, author and date of the first article in JSON-LD scripts; what is broken in them is passed over."""
    for script in scripts:
        try:
            value = json.loads(script)
        except (ValueError, RecursionError):
            continue
        for item in _items(value):
            if "datePublished" in item or "headline" in item:
                author = item.get("author")
                author = author[0] if isinstance(author, list) and author else author
                name = author.get("name") if isinstance(author, Mapping) else author
                pairs = {"title": item.get("headline"), "author": name, "date": item.get("datePublished")}
                return {key: value for key, value in pairs.items() if isinstance(value, str)}
    return {}


def clean(value: str) -> str:
    """One line without the characters that no text holds."""
    return " ".join(value.replace("\x00", "").split())


def _items(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for item in value[:20]:
            yield from _items(item)
    elif isinstance(value, Mapping):
        yield value
        yield from _items(value.get("@graph"))


def _first(metas: Mapping[str, str], names: Iterable[str]) -> str:
    return next((metas[name] for name in names if name in metas), "")


def _person(value: str) -> str:
    return "" if value.startswith(("http://", "https://")) else value


def _attributes(tag: str) -> dict[str, str]:
    return {name.lower(): unescape(value.strip("\"'")) for name, value in ATTRIBUTE.findall(tag)}


def _inner(markup: str) -> str:
    return clean(unescape(TAG.sub(" ", markup)))


def _heading(html: str) -> str:
    headings = [text for text in map(_inner, H1.findall(html)) if text]
    title = TITLE.search(html[:MAX_HEAD])
    return headings[0] if len(headings) == 1 else _inner(title[1]) if title else ""


def _shown(pattern: re.Pattern[str], html: str) -> str:
    found = pattern.search(html)
    text = re.sub(r"^(?:作者|文|记者|来源|by)\s*[:\uff1a/|]?\s*", "", _inner(found[1]), flags=re.IGNORECASE) if found else ""
    return text if 0 < len(text) <= 60 else ""


def _stamp(html: str) -> str:
    found = TIME.search(html)
    return _attributes(found[0]).get("datetime", "") if found else _shown(DATED, html)
