"""URLs and links: one spelling each; what a page says to a crawler."""

from __future__ import annotations

import pytest

from fourfold.data.links import locations, page_of
from fourfold.data.urls import endless, file_path, normal, pattern_of


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://Example.COM:80/a/../b/./c#top", "http://example.com/b/c"),
        ("https://example.com:443", "https://example.com/"),
        ("https://例子.测试/新闻?q=天气", "https://xn--fsqu00a.xn--0zwm56d/%E6%96%B0%E9%97%BB?q=%E5%A4%A9%E6%B0%94"),
        ("http://example.com/%7euser/%E6%96%B0", "http://example.com/~user/%E6%96%B0"),
        ("http://example.com/?b=2&a=1&utm_source=x&PHPSESSID=9", "http://example.com/?a=1&b=2"),
        ("http://example.com/shop;jsessionid=A1B2?x=1", "http://example.com/shop?x=1"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("ftp://example.com/", None),
        ("javascript:alert(1)", None),
        ("http://user@example.com/", None),
        ("http://[::1/", None),
        ("http://example.com:99999/", None),
        ("http://example.com/" + "a" * 3000, None),
    ],
)
def test_one_spelling(url: str, expected: str | None) -> None:
    assert normal(url) == expected
    if expected is not None:
        assert normal(expected) == expected


def test_paths_that_grow() -> None:
    assert endless("http://e.com/a/b/a/b/a/b")
    assert not endless("http://e.com/2026/01/01/a/b")
    assert endless("http://e.com" + "/d" * 20)
    assert pattern_of("http://e.com/2026/11?m=1&y=2") == "e.com/0/0?"


def test_files_of_pages_are_apart() -> None:
    urls = [
        "http://e.com/a",
        "http://e.com/a.html",
        "http://e.com/a/",
        "http://e.com/A",
        "http://e.com/a?x=1",
        "http://e.com/..x",
    ]
    assert len({file_path(url, ".html").lower() for url in urls}) == len(urls)
    assert all(part not in ("", ".", "..") for url in urls for part in file_path(url, ".html").split("/"))


def test_what_a_page_says() -> None:
    data = b"""<html><head><base href="/sub/"><link rel=canonical href="http://e.com/c"><meta name="robots" content="noindex">
    </head><!-- <a href="/comment"> --><script>"<a href='/script'>"</script><a href='x?a=1&amp;b=2'>x</a><a class=k href=y>y</a>
    <a rel=nofollow href=/no>no</a><a href="mailto:a@e.com">m</a><A HREF="x?b=2&a=1">same</A><!-- open <a href=/late>"""
    page = page_of(data, "http://e.com/")
    assert page.links == ("http://e.com/sub/x?a=1&b=2", "http://e.com/sub/y")
    assert (page.canonical, page.keep, page.follow) == ("http://e.com/c", False, True)
    assert page_of(b"<a href=/x>", "http://e.com/", robots="none").keep is False


def test_sitemaps_however_broken() -> None:
    index = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><s:sitemapindex><s:loc>/a.xml</s:loc><loc>/b&amp;c'
    assert locations(index, "http://e.com/") == (True, ["http://e.com/a.xml", "http://e.com/b&c"])
    assert locations(b"http://e.com/1\nhttp://e.com/2\n", "http://e.com/") == (False, ["http://e.com/1", "http://e.com/2"])
