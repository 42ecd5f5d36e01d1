"""The source web: a loopback site with every trap, killed in the middle; what is asked for again and what is not."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.data.sites import Reply, Site, serving

from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Actor, Version
from fourfold.data.collect import collect
from fourfold.data.connections import connections_folder, known
from fourfold.data.sources import RawFile, Visit
from fourfold.data.sources.web import Web
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
SECTIONS, ARTICLES, ORPHANS = 20, 98, 19  # with the front page 20 + 20 × 98 + 19 + 1 = 2,000 pages
ROBOTS = b"User-agent: *\nDisallow: /private/\nDisallow: /*.cgi\nSitemap: /sitemap-index.xml\n"
PER_HOST = 4
BOMB = gzip.compress(bytes(50 << 20))
WEATHER = "<p>今天天气怎么样，我们去公园。</p>".encode("gb18030")  # under a header that says otherwise


def page(title: str, *links: str, head: str = "") -> Reply:
    body = "".join(f'<a href="{link}">{link}</a> ' for link in links)
    return Reply(f"<html><head><title>{title}</title>{head}</head><body><p>{title}</p>{body}</body></html>".encode())


def front(path: str) -> Reply:
    traps = (
        "/calendar?month=1", "/shop?color=1", "/loop/x/", "/private/secret.html", "/run.cgi", "/r/loop", "/chain/0", "/huge",
        "/bomb", "/print/s/0/a0.html", "/noindex", "/gone", "/broken", "/?sid=1", "/;jsessionid=A1", "/?utm_source=x", "/gb",
        "/to-metadata", "/to-canary", "mailto:a@example.com", "javascript:void(0)", "http://elsewhere.example/", "/trickle",
    )  # fmt: skip
    return page("front", *(f"/s/{k}/?PHPSESSID={len(path)}" for k in range(SECTIONS)), *traps)


def section(path: str) -> Reply:
    k = path.split("/")[2]
    return page(f"section {k}", "../../", *(f"a{n}.html?sessionid={k}{n}" for n in range(ARTICLES)))


def article(path: str) -> Reply:
    return page(f"article {path}", "./", "/", f"/s/0/;jsessionid={abs(hash(path))}")


def endless(path: str) -> Reply:
    """A calendar, facets of a shop, a relative link: new pages with new content without end."""
    match path.partition("?")[0]:
        case "/calendar":
            month = int(path.rpartition("=")[2])
            return page(f"month {month}", f"/calendar?month={month + 1}", f"/calendar?month={month - 1}")
        case "/shop":
            return page(f"shop {path}", *(f"{path}&f{n}=1" for n in range(10)))
        case _:
            return page(f"loop {path}", "x/")


def special(site: str, canary: str) -> dict[str, Reply]:
    redirects = {
        "/r/loop": "/r/loop2", "/r/loop2": "/r/loop", "/to-metadata": "http://169.254.169.254/latest/", "/to-canary": canary,
    }  # fmt: skip
    index = f"<sitemapindex><sitemap><loc>{site}/sitemap-1.xml.gz</loc></sitemap><loc>{site}/sitemap-broken.xml"
    orphans = "".join(f"<url><loc>{site}/orphan/{n}.html</loc></url>" for n in range(ORPHANS))
    return {
        **{path: Reply(b"", 302, {"Location": target}) for path, target in redirects.items()},
        "/robots.txt": Reply(ROBOTS, headers={"Content-Type": "text/plain"}),
        "/sitemap-index.xml": Reply(index.encode(), headers={"Content-Type": "application/xml"}),
        "/sitemap-1.xml.gz": Reply(gzip.compress(f"<urlset>{orphans}</urlset>".encode()), headers={}),
        "/bomb": Reply(BOMB, headers={"Content-Type": "text/html", "Content-Encoding": "gzip"}),
        "/print/s/0/a0.html": page("printed", "/", head='<link rel="canonical" href="/s/0/a0.html">'),
        "/noindex": page("not for you", "/only-from-noindex", head='<meta name="robots" content="noindex">'),
        "/only-from-noindex": page("found behind noindex"),
        "/gb": Reply(WEATHER, headers={"Content-Type": "text/html; charset=iso-8859-1"}),
        "/broken": Reply(b"", 500),
    }  # fmt: skip


def big_site(canary: str) -> Any:
    def answer(path: str, headers: dict[str, str]) -> Reply:
        known = special(f"http://{headers['host']}", canary)
        if path in known:
            return known[path]
        if path == "/":
            return front(path)
        if path.startswith("/chain/"):
            return Reply(b"", 302, {"Location": f"/chain/{int(path.rpartition('/')[2]) + 1}"})
        if path in ("/huge", "/trickle"):
            return Reply(stream=(b"x" * (1 << 16) for _ in range(1 << 14)))
        if path.startswith(("/calendar", "/shop", "/loop/")):
            return endless(path)
        if path.startswith("/s/"):
            return section(path) if path.endswith("/") else article(path)
        if path.startswith("/orphan/"):
            return page(f"orphan {path}")
        return Reply(b"", 404)

    return answer


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


def settings(site: Site, **more: Any) -> dict[str, Any]:
    quick = {"delay_seconds": 0.0, "retry_seconds": 0.0, "attempts": 1, "per_host": PER_HOST, "allow": ["127.0.0.1"]}
    return {"start": [f"{site.url}/"], "endings": {"html": "txt"}, **quick, **more}


def drops(ledger: Ledger, version: Version) -> dict[str, str]:
    rows = pq.read_table(ledger.materialise(version) / "drops.parquet").to_pylist()
    return {row["source"]: row["reason"] for row in rows}


def urls(ledger: Ledger, version: Version) -> list[str]:
    folder = ledger.materialise(version)
    return [url for path in sorted(folder.glob("fragment-*.parquet")) for url in pq.read_table(path)["url"].to_pylist()]


CRAWLER = """
import json, sys
from pathlib import Path
from fourfold.core.nouns import Actor
from fourfold.data.collect import collect
from fourfold.storage.ledger import Ledger
ledger = Ledger.open(Path(sys.argv[1]))
collect(ledger, Actor("key_1", "Tessa", "admin"), "site", {"web": json.loads(sys.argv[2])})
ledger.close()
"""


@pytest.mark.parametrize(("sections", "articles", "pages"), [(8, 20, 188), pytest.param(20, 98, 2000, marks=pytest.mark.soak)])
def test_a_site_with_every_trap_and_two_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: int, articles: int, pages: int
) -> None:
    monkeypatch.setitem(globals(), "SECTIONS", sections)
    monkeypatch.setitem(globals(), "ARTICLES", articles)
    with serving(lambda path, headers: Reply(b"caught"), "127.0.0.2") as canary, serving(big_site(canary.url + "/")) as site:
        wanted = settings(site, query_pages=40, max_file_bytes=1 << 20, timeout_seconds=60.0)
        command = [sys.executable, "-c", CRAWLER, str(tmp_path / "home"), json.dumps(wanted)]
        for requests in (pages * 3 // 10, pages * 7 // 10):
            with subprocess.Popen(command) as crawler:
                site.wait_for(requests)
                os.kill(crawler.pid, signal.SIGKILL)
        subprocess.run(command, check=True, timeout=280)
        asked, at_canary, most = Counter(site.asked), canary.asked, site.most_at_once
        sent = site.sent_bytes["/huge"]
    ledger = Ledger.open(tmp_path / "home")
    try:
        version = ledger.version("site")
        found = {url.removeprefix(site.url) for url in urls(ledger, version)}
        dropped = {source.removeprefix(site.url): reason for source, reason in drops(ledger, version).items()}
    finally:
        ledger.close()
    right = {"/", *(f"/s/{k}/" for k in range(SECTIONS)), *(f"/orphan/{n}.html" for n in range(ORPHANS))}
    right |= {f"/s/{k}/a{n}.html" for k in range(SECTIONS) for n in range(ARTICLES)}
    assert len(right) == pages
    assert right <= found
    others = found - right - {"/gb", "/only-from-noindex"}
    assert all(path.startswith(("/calendar?", "/shop?", "/loop/")) for path in others)
    families = Counter(path.strip("/").partition("?")[0].partition("/")[0] for path in others)
    assert families["calendar"] <= 40
    assert families["shop"] <= 40
    assert families["loop"] <= 3
    assert not [path for path in asked if path.startswith("/private") or path.endswith(".cgi")]
    assert not [path for path in asked if "sid" in path.lower() or "session" in path.lower() or "utm_" in path]
    again = sum(n - 1 for n in asked.values())
    assert again <= 2 * PER_HOST, {path: n for path, n in asked.items() if n > 1}
    assert most <= PER_HOST + 2 * PER_HOST, "connections of killed crawlers end a moment later"
    assert at_canary == []
    assert sent < 64 << 20, "a page of 1 GB is cut off"
    assert len([path for path in asked if path.startswith("/chain/")]) == 6
    reasons = {
        "/private/secret.html": "disallowed", "/run.cgi": "disallowed", "/huge": "too_large", "/bomb": "too_large",
        "/print/s/0/a0.html": "not_canonical", "/noindex": "noindex", "/gone": "status_404", "/broken": "status_500",
        "/to-metadata": "redirect", "/to-canary": "redirect", "/chain/5": "too_many_redirects", "/r/loop": "redirect",
    }  # fmt: skip
    assert {path: dropped.get(path) for path in reasons} == reasons
    assert not (tmp_path / "home" / "sources" / "state").exists() or not list((tmp_path / "home/sources/state").iterdir())
    print(f"pages {len(right & found)} of {len(right)}, requests {asked.total()}, again {again}, canary {len(at_canary)}")


def test_a_second_visit_asks_only_for_what_changed(ledger: Ledger) -> None:
    texts = {"/": "front", "/a": "alpha", "/b": "beta"}
    unchanged: list[str] = []

    def answer(path: str, headers: dict[str, str]) -> Reply:
        if path not in texts:
            return Reply(b"", 404)
        tag = f'"{texts[path]}"'
        if headers.get("if-none-match") == tag:
            unchanged.append(path)
            return Reply(b"", 304, {"ETag": tag})
        reply = page(texts[path], *texts)
        reply.headers["ETag"] = tag
        return reply

    with serving(answer) as site:
        first = collect(ledger, ACTOR, "site", {"web": settings(site)})
        texts["/b"] = "beta, mended"
        second = collect(ledger, ACTOR, "site", {"web": settings(site)})
        unchanged.sort()
        assert unchanged == ["/", "/a"]
        del texts["/a"]
        third = collect(ledger, ACTOR, "site", {"web": settings(site)})
        assert urls(ledger, third) == [f"{site.url}/", f"{site.url}/b"]
    assert urls(ledger, first) == urls(ledger, second) and len(urls(ledger, first)) == 3
    before, after = (pq.read_table(ledger.materialise(v) / "fragment-00000.parquet").to_pylist() for v in (first, second))
    assert [a["fetched_at"] == b["fetched_at"] for a, b in zip(before, after)] == [True, True, False]
    assert [a["doc_id"] == b["doc_id"] for a, b in zip(before, after)] == [True, True, False]


def test_no_robots_to_be_had_is_no_permission(ledger: Ledger) -> None:
    with serving(lambda path, headers: Reply(b"", 503) if path == "/robots.txt" else page("x")) as site:
        with pytest.raises(BadInput, match="disallowed"):
            collect(ledger, ACTOR, "site", {"web": settings(site)})
        assert site.asked == ["/robots.txt"]


def test_a_site_that_was_down_is_told_and_asked_again(ledger: Ledger) -> None:
    pages = {"/robots.txt": Reply(b"", 404), "/": Reply(b"", 503), "/sitemap.xml": Reply(b"", 404)}
    with serving(lambda path, headers: pages[path]) as site:
        with pytest.raises(BadInput, match="status_503"):
            collect(ledger, ACTOR, "site", {"web": settings(site)})
        states = known(connections_folder(ledger.home))
        assert [(one.source, one.account, one.state, one.code) for one in states] == [
            ("web", f"{site.url}/", "blocked", "status_503")
        ]
        pages["/"] = page("front")
        assert urls(ledger, collect(ledger, ACTOR, "site", {"web": settings(site)})) == [f"{site.url}/"]
        assert [one.state for one in known(connections_folder(ledger.home))] == ["ok"]


def test_limits_hold_and_say_so(ledger: Ledger) -> None:
    with serving(lambda path, headers: page(path, *(f"{path}{n}" for n in "abcde"))) as site:
        version = collect(ledger, ACTOR, "pages", {"web": settings(site, max_pages=7, sitemaps=False)})
        assert len(urls(ledger, version)) == 7
        assert "page_limit" in drops(ledger, version).values()
        deep = collect(ledger, ACTOR, "deep", {"web": settings(site, max_depth=1, sitemaps=False)})
        assert len(urls(ledger, deep)) == 6
        assert "too_deep" in drops(ledger, deep).values()


def test_a_delay_is_kept_between_requests(ledger: Ledger) -> None:
    robots = b"User-agent: *\nCrawl-delay: 0.2\n"
    with serving(lambda path, headers: Reply(robots) if path == "/robots.txt" else page(path, "/a", "/b")) as site:
        begun = time.monotonic()
        collect(ledger, ACTOR, "site", {"web": settings(site, sitemaps=False, per_host=1)})
        assert time.monotonic() - begun >= 0.4, "three pages: two delays between them"


def test_an_archive_goes_out_and_comes_in_again(ledger: Ledger, tmp_path: Path) -> None:
    with serving(lambda path, headers: page(path, "/a", "/b")) as site:
        live = collect(ledger, ACTOR, "live", {"web": settings(site, warc_out=True, sitemaps=False)})
    archive = ledger.materialise(live) / "crawl.warc.gz"
    again = collect(ledger, ACTOR, "again", {"web": {"warc_in": str(archive), "endings": {"html": "txt"}}})
    assert urls(ledger, again) == urls(ledger, live)
    raw = {path.name: path.read_bytes() for path in (ledger.materialise(live) / "raw").rglob("*") if path.is_file()}
    assert raw == {p.name: p.read_bytes() for p in (ledger.materialise(again) / "raw").rglob("*") if p.is_file()}
    (tmp_path / "no.warc").write_bytes(b"not an archive at all\r\n\r\n")
    with pytest.raises(BadInput):
        collect(ledger, ACTOR, "bad", {"web": {"warc_in": str(tmp_path / "no.warc")}})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "start and warc_in"),
        ({"start": ("ftp://example.com/",)}, "no http or https URL"),
        ({"start": ("http://user:pw@example.com/",)}, "no http or https URL"),
        ({"start": ("http://example.com/",), "allow": ("intranet",)}, "no address or network"),
        ({"start": ("http://example.com/",), "per_host": 0}, "per_host is at least 1"),
    ],
)
def test_settings_that_cannot_be(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSpec, match=said):
        Web(**given)


def test_a_cut_line_of_the_journal_is_fetched_again(tmp_path: Path) -> None:
    with serving(lambda path, headers: page(path, "/a")) as site:
        visit = Visit(tmp_path / "state", tmp_path / "memory.jsonl")
        source = Web(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings(site, sitemaps=False).items()})

        def pages() -> list[RawFile]:
            return [file for file in source.visit(visit) if file.data is not None]

        first = pages()
        journal = tmp_path / "state" / "journal.jsonl"
        journal.write_bytes(journal.read_bytes()[:-20])
        asked = len(site.asked)
        assert [file.data for file in pages()] == [file.data for file in first]
        assert site.asked[asked:] == ["/a"]
        assert [file.data for file in pages()] == [file.data for file in first]
        assert len(site.asked) == asked + 1
