"""Feeds: RSS and Atom, broken ones too; asked for only where they changed, and never silently empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.data.sites import Reply, Site, serving

from fourfold.core.errors import BadSpec, SourceBlocked
from fourfold.core.nouns import Actor, Version
from fourfold.data.collect import collect
from fourfold.data.connections import known
from fourfold.data.dataset import Dataset
from fourfold.data.extract import extract
from fourfold.data.formats import BadLine, Record
from fourfold.data.formats.feed import Feed as FeedFormat
from fourfold.data.sources.feed import Feed
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
XML = {"Content-Type": "application/rss+xml"}


def rss(*items: str, head: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>茶社周报</title><link>https://tea.example/</link>'
        f"{head}{''.join(items)}</channel></rss>"
    )


def item(n: int, text: str = "", **more: str) -> str:
    body = text or f"第 {n} 期：春茶上市，门店延长营业。"
    extra = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    return (
        f"<item><title>第 {n} 期</title><guid isPermaLink='false'>tea-{n}</guid><link>https://tea.example/{n}</link>"
        f"<pubDate>Mon, 0{n} Sep 2025 08:00:00 +0800</pubDate><dc:creator>茶社</dc:creator><category>茶</category>"
        f"<description>{body}</description>{extra}</item>"
    )


ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Release notes</title><updated>2025-09-02T00:00:00Z</updated>
<entry><title type="html">Version&nbsp;2 &lt;b&gt;is out&lt;/b&gt;</title><id>urn:example:2</id>
<link rel="enclosure" href="https://notes.example/2.zip"/><link href="https://notes.example/2"/>
<author><name>Ada</name></author><category term="release"/><published>2025-09-01T12:00:00Z</published>
<summary>Short.</summary><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Exports are
<b>twice</b> as fast.</p></div></content></entry></feed>"""
RDF = """<?xml version="1.0" encoding="gb2312"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
xmlns="http://purl.org/rss/1.0/"><channel rdf:about="https://old.example/"><title>旧闻</title></channel>
<item rdf:about="https://old.example/1"><title>闭馆</title><link>https://old.example/1</link>
<description>周一闭馆整理书库，周二照常开放。</description></item></rdf:RDF>"""


def read(text: str | bytes) -> list[Record | BadLine]:
    return list(FeedFormat()(text.encode() if isinstance(text, str) else text))


def test_rss_entries_with_their_fields() -> None:
    markup = "<![CDATA[<p>正文<b>更长</b>，含 </item> 字样 &amp; 表情🍵。</p>]]>"
    (one, two) = read(rss(item(1), item(2, "短", **{"content:encoded": markup})))
    assert isinstance(one, Record) and isinstance(two, Record)
    assert one.text == "第 1 期：春茶上市，门店延长营业。"
    assert one.fields == {
        "title": "第 1 期", "url": "https://tea.example/1", "author": "茶社", "date": "2025-09-01T08:00:00+08:00",
        "tags": ["茶"], "feed": "茶社周报", "entry_id": "tea-1",
    }  # fmt: skip
    assert two.text == "正文更长，含 字样 & 表情🍵。"


def test_atom_and_rdf() -> None:
    (one,) = read(ATOM)
    assert isinstance(one, Record)
    assert one.text == "Exports are twice as fast."
    assert one.fields["title"] == "Version 2 <b>is out</b>" and one.fields["url"] == "https://notes.example/2"
    assert one.fields["author"] == "Ada" and one.fields["feed"] == "Release notes" and one.fields["tags"] == ["release"]
    for encoding in ("gb18030", "utf-8"):  # as declared, and against it
        (old,) = read(RDF.encode(encoding))
        assert isinstance(old, Record)
        assert old.text == "周一闭馆整理书库，周二照常开放。" and old.fields["entry_id"] == "https://old.example/1"


def test_what_is_broken_costs_itself_only() -> None:
    found = read(
        rss(item(1), "<item><title>坏</b></title></item>", item(2, "A & B 50% <i>"), item(3, "x\x00\x08y &copy; &foo;"))
    )
    assert [type(one) for one in found] == [Record, BadLine, BadLine, Record]
    assert [one.reason for one in found if isinstance(one, BadLine)] == ["bad_entry", "bad_entry"]
    assert isinstance(found[3], Record) and found[3].text == "xy © &foo;"
    whole = rss(item(1), item(2))
    cut_short = read(whole[: whole.index("tea-2")])
    assert [one.reason if isinstance(one, BadLine) else one.fields["entry_id"] for one in cut_short] == ["tea-1", "cut_off"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<html><body>Please sign in</body></html>", "not_feed"),
        ("", "not_feed"),
        ('<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss><channel><item><title>&b;</title></item></channel></rss>',
         "own_entities"),
        ("<rss><channel><item><guid>1</guid></item></channel></rss>", "no_text"),
    ],
)  # fmt: skip
def test_what_is_no_feed(text: str, reason: str) -> None:
    assert [(one.reason if isinstance(one, BadLine) else one) for one in read(text)] == [reason]


# ---- the source


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


def settings(*urls: str, **more: Any) -> dict[str, Any]:
    quick = {"delay_seconds": 0.0, "retry_seconds": 0.0, "attempts": 1, "allow": ["127.0.0.1"]}
    return {"feed": {"urls": list(urls), **quick, **more}}


def rows(ledger: Ledger, version: Version) -> dict[str, dict[str, Any]]:
    return {row["entry_id"]: row for row in Dataset(ledger.materialise(version)).table().to_pylist()}


def reasons(ledger: Ledger, version: Version) -> list[str]:
    return pq.read_table(ledger.materialise(version) / "drops.parquet")["reason"].to_pylist()


def test_later_visits_ask_for_what_changed_and_keep_what_was_dropped(ledger: Ledger) -> None:
    state = {"text": rss(item(2), item(1)), "tag": '"1"'}
    tags: list[str | None] = []

    def answer(path: str, headers: dict[str, str]) -> Reply:
        if path == "/moved":
            return Reply(b"", 301, {"Location": "/feed.xml"})
        tags.append(headers.get("if-none-match"))
        if headers.get("if-none-match") == state["tag"]:
            return Reply(b"", 304, {"ETag": state["tag"]})
        return Reply(state["text"].encode(), 200, {**XML, "ETag": state["tag"]})

    with serving(answer) as site:
        spec = settings(f"{site.url}/moved")
        first = collect(ledger, ACTOR, "news", spec)
        second = collect(ledger, ACTOR, "news", spec)  # 304
        assert tags == [None, '"1"']
        state |= {"text": rss(item(3), item(2, "第 2 期，更正。"), head="<lastBuildDate>now</lastBuildDate>"), "tag": '"2"'}
        third = collect(ledger, ACTOR, "news", spec)
    one, two, three = (rows(ledger, version) for version in (first, second, third))
    assert one == two and list(one) == ["tea-2", "tea-1"]
    assert set(three) == {"tea-1", "tea-2", "tea-3"}
    assert three["tea-1"] == one["tea-1"]  # the same document, though the feed has dropped it: same id, time, digest
    assert three["tea-2"]["text"] == "第 2 期，更正。" and three["tea-2"]["doc_id"] != one["tea-2"]["doc_id"]
    again = extract(ledger, ACTOR, "news-again", third)
    assert {row["doc_id"] for row in rows(ledger, again).values()} == {row["doc_id"] for row in three.values()}


def test_entries_without_an_id_and_with_the_same_one(ledger: Ledger) -> None:
    bare = [f"<item><title>快讯</title><description>第 {n} 条快讯。</description></item>" for n in (1, 2)]
    text = rss(*bare, item(1), item(1, "旧的一版"))
    with serving(lambda path, headers: Reply(text.encode(), 200, XML)) as site:
        spec = settings(f"{site.url}/feed")
        first = collect(ledger, ACTOR, "news", spec)
        second = collect(ledger, ACTOR, "news", spec)
    found = [Dataset(ledger.materialise(version)).table()["text"].to_pylist() for version in (first, second)]
    assert sorted(found[0]) == sorted(found[1]) == ["第 1 期：春茶上市，门店延长营业。", "第 1 条快讯。", "第 2 条快讯。"]
    assert reasons(ledger, first) == ["same_entry"]


def test_entries_that_are_gone_may_go(ledger: Ledger) -> None:
    texts = [rss(item(1)), rss(item(2))]
    with serving(lambda path, headers: Reply(texts[0].encode(), 200, XML)) as site:
        spec = settings(f"{site.url}/feed", keep_gone=False)
        collect(ledger, ACTOR, "news", spec)
        del texts[0]
        assert list(rows(ledger, collect(ledger, ACTOR, "news", spec))) == ["tea-2"]


def test_a_feed_that_fails_is_told_and_the_others_go_on(ledger: Ledger) -> None:
    pages = {"/a": Reply(rss(item(1)).encode(), 200, XML), "/b": Reply(b"", 403), "/c": Reply(b"<html>sign in</html>")}

    def answer(path: str, headers: dict[str, str]) -> Reply:
        return pages.get(path, Reply(b"", 404))

    with serving(answer) as site:
        urls = [f"{site.url}/{name}" for name in "abc"]
        version = collect(ledger, ACTOR, "news", settings(*urls))
        assert list(rows(ledger, version)) == ["tea-1"]
        assert sorted(reasons(ledger, version)) == ["not_feed", "status_403"]
        states = {one.account: (one.state, one.code) for one in known(ledger.home / "sources" / "connections")}
        assert states == {urls[0]: ("ok", ""), urls[1]: ("blocked", "status_403"), urls[2]: ("blocked", "not_feed")}
        pages["/a"] = Reply(b"<html>Please sign in</html>")
        with pytest.raises(SourceBlocked, match="No feed answered"):
            collect(ledger, ACTOR, "news", settings(*urls))
        hints = {one.code: one.next for one in known(ledger.home / "sources" / "connections")}
        assert "sign-in" in hints["status_403"] and "sign-in" in hints["not_feed"]
    assert ledger.version("news").ref == version.ref  # no version without rows, and none of old rows alone


def test_redirects_without_end_and_private_addresses(ledger: Ledger) -> None:
    def loop(path: str, headers: dict[str, str]) -> Reply:
        return Reply(b"", 302, {"Location": f"/{int(path.strip('/')) + 1}"})

    with serving(loop) as site:
        with pytest.raises(SourceBlocked, match="too_many_redirects"):
            collect(ledger, ACTOR, "news", settings(f"{site.url}/1"))
        assert len(site.asked) == 6
    metadata = Reply(b"", 302, {"Location": "http://169.254.169.254/latest/"})
    with serving(lambda path, headers: metadata) as site, pytest.raises(SourceBlocked, match="egress_refused"):
        collect(ledger, ACTOR, "news", settings(f"{site.url}/"))


def test_a_killed_visit_does_not_ask_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    site: Site
    with serving(lambda path, headers: Reply(rss(item(1)).encode(), 200, XML)) as site:
        spec = settings(f"{site.url}/feed")
        with monkeypatch.context() as broken:
            broken.setattr("fourfold.data.collect.write_table", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                collect(ledger, ACTOR, "news", spec)
        collect(ledger, ACTOR, "news", spec)
        assert len(site.asked) == 1


def test_a_feed_that_was_down_is_asked_again(ledger: Ledger) -> None:
    replies = [Reply(b"", 503), Reply(rss(item(1)).encode(), 200, XML)]
    with serving(lambda path, headers: replies.pop(0)) as site:
        with pytest.raises(SourceBlocked, match="status_503"):
            collect(ledger, ACTOR, "news", settings(f"{site.url}/feed"))
        assert list(rows(ledger, collect(ledger, ACTOR, "news", settings(f"{site.url}/feed")))) == ["tea-1"]


@pytest.mark.parametrize("wrong", [{"urls": []}, {"urls": ["ftp://x/"]}, {"attempts": 0}, {"timeout_seconds": 0}])
def test_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSpec):
        Feed(**{"urls": ["https://x.example/"], **wrong})
