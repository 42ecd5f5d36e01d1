"""Pages: their main text by each extractor, what they say of themselves, their encoding, and what hostile ones cost."""

from __future__ import annotations

import gzip
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.data.overlap import CHINESE, overlap

from fourfold.core.errors import BadSpec
from fourfold.data.extraction_child import Asked, Child, child
from fourfold.data.extractors import EXTRACTORS, Page
from fourfold.data.extractors.precise import Precise
from fourfold.data.formats import BadLine, Record
from fourfold.data.formats.html import Html
from fourfold.data.markup import html_encoding
from fourfold.data.page import date_of, head_of, language_of

PARAGRAPHS = (
    "本市图书馆从下月起延长开放时间，周末的闭馆时间由下午五点改为晚上九点，方便上班的读者借书和还书。",
    "馆方表示，延长开放的第一个月将统计各时段的人数，再决定是否在暑期增加自习座位，并在一楼开设儿童阅览区。",
    "读者可以在馆内的自助机上续借图书，也可以拨打服务台电话办理，逾期的图书从今年起不再收取费用，但会暂停借阅。",
)
PAGE = f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>图书馆延长开放 - 晨报</title>
<meta property="og:title" content="图书馆延长开放"><meta name="author" content="周晓"><link rel="canonical" href="https://paper.example/a/1">
<meta property="article:published_time" content="2025-03-02T08:30:00+08:00"></head><body>
<nav><a href="/">首页</a> <a href="/city">城市</a> <a href="/sport">体育</a></nav>
<article><h1>图书馆延长开放</h1>{"".join(f"<p>{text}</p>" for text in PARAGRAPHS)}
<table><tr><th>时段</th><th>人数</th></tr><tr><td>上午</td><td>320</td></tr></table>
<pre><code>print("延长")</code></pre></article>
<aside class="related"><a href="/x">相关阅读：地铁末班车推迟</a></aside><footer>版权所有 晨报社</footer></body></html>"""


def record(data: str | bytes, **settings: Any) -> Record | BadLine:
    (found,) = Html(**settings)(data.encode() if isinstance(data, str) else data)
    return found


@pytest.mark.parametrize("mode", ["fast", "precise"])
def test_main_text_with_its_fields(mode: str) -> None:
    found = record(PAGE, extract=mode)
    assert isinstance(found, Record)
    for text in PARAGRAPHS:
        assert text in found.text
    assert "320" in found.text and 'print("延长")' in found.text  # tables and code are kept
    assert "相关阅读" not in found.text and "版权所有" not in found.text and "首页" not in found.text
    assert found.fields["title"] == "图书馆延长开放"
    assert found.fields["author"] == "周晓"
    assert found.fields["date"].startswith("2025-03-02")
    assert found.fields["url"] == "https://paper.example/a/1"
    assert found.fields["lang"] == "zh"  # whatever the page declares


@pytest.mark.parametrize("mode", EXTRACTORS.names())
@pytest.mark.parametrize(
    "html", ["", "<html>", "<html><body></body></html>", "<script>x=1</script>", "<!-- -->", "<frameset></frameset>"]
)
def test_a_page_of_nothing_is_counted(mode: str, html: str) -> None:
    found = list(Html(mode)(html.encode()))  # type: ignore[arg-type]
    assert found == ([BadLine(1, "no_main_text")] if html else [])


def test_whole_keeps_everything() -> None:
    found = record(PAGE, extract="whole")
    assert isinstance(found, Record)
    assert "首页" in found.text and "版权所有" in found.text


OFFICIAL = """<html><head><title></title><meta property="og:title" content="错的"></head><body>
<h1 id="activity-name"> 端午放假通知 </h1><a id="js_name">暖风茶社</a><em id="publish_time">2025年5月28日 09:00</em>
<div id="js_content" style="visibility: hidden; opacity: 0;"><section><p>各位茶友：</p><p>门店休息三天。</p></section></div>
<div class="qr_code">扫码关注</div></body></html>"""


@pytest.mark.parametrize("mode", ["fast", "precise"])
def test_official_accounts_by_their_rule(mode: str) -> None:
    found = record(OFFICIAL, extract=mode)
    assert isinstance(found, Record)
    assert found.text == "各位茶友：\n\n门店休息三天。"
    assert {k: found.fields[k] for k in ("title", "author", "date")} == {
        "title": "端午放假通知",
        "author": "暖风茶社",
        "date": "2025-05-28T09:00",
    }


@pytest.mark.parametrize("mode", ["fast", "precise"])
def test_rules_of_ones_own(mode: str) -> None:
    html = "<html><body><div class='junk'>广告</div><div class='post'>短。</div><div class='post'>二。</div></body></html>"
    url = "https://help.shop.example/1"
    for rules in ({"shop.example": ".post", "other.example": ".junk"}, {"*": ".post"}):
        found = record(html, extract=mode, rules=rules, url=url)
        assert isinstance(found, Record)
        assert found.text.split() == ["短。", "二。"]
        assert found.fields["url"] == url


# ---- encodings


@pytest.mark.parametrize(
    ("declared", "true", "expected"),
    [
        ("gb2312", "utf-8", "utf-8"),
        ("utf-8", "gb18030", "gb18030"),
        ("gbk", "gb18030", "gb18030"),
        ("iso-8859-1", "utf-8", "utf-8"),
        ("nonsense", "utf-8", "utf-8"),
    ],
)
def test_a_wrong_charset_does_no_harm(declared: str, true: str, expected: str) -> None:
    data = PAGE.replace('charset="utf-8"', f'charset="{declared}"').encode(true)
    assert html_encoding(data) == expected
    found = record(data)
    assert isinstance(found, Record)
    assert PARAGRAPHS[0] in found.text


def test_western_page_as_declared() -> None:
    assert html_encoding('<meta charset="windows-1252">café “quoted” naïve'.encode("cp1252")) == "cp1252"


@pytest.mark.parametrize("mode", EXTRACTORS.names())
def test_nuls_emoji_and_rare_planes(mode: str) -> None:
    rare = "龘𠮷𪚥🧧👨‍👩‍👧"
    found = record(PAGE.replace("本市图书馆", f"\x00本市{rare}图书馆\x00"), extract=mode)
    assert isinstance(found, Record)
    assert f"本市{rare}图书馆" in found.text and "\x00" not in found.text


@pytest.mark.parametrize("mode", ["fast", "precise"])
def test_broken_markup(mode: str) -> None:
    broken = PAGE.replace("</p>", "").replace("</article>", "</div></b>").replace("<table>", "<table><table><tr>")
    found = record(broken[: broken.index("</pre>")], extract=mode)
    assert isinstance(found, Record)
    assert PARAGRAPHS[2] in found.text


def test_large_and_deep_pages() -> None:
    assert record(b"<p>" + b"a" * (17 << 20)) == BadLine(1, "page_too_large", f"{(17 << 20) + 3} bytes")
    for deep in ("<div>" * 20_000 + PARAGRAPHS[0], "<b>" * 20_000 + PARAGRAPHS[0] + "</b>" * 20_000):
        assert record(deep) == BadLine(1, "page_too_deep")
    assert isinstance(record(f"<article><p>{PARAGRAPHS[0]}</p></article>" + "<p></p>" * 20_000), Record)


# ---- the child process


def test_a_page_that_hangs_costs_that_page_only(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Child()
    try:
        assert not isinstance(found.ask(Asked(PAGE, "", {}), 60), str)
        process = found._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)  # it hangs
        assert found.ask(Asked(PAGE, "", {}), 0.2) == "timeout"
        assert not isinstance(found.ask(Asked(PAGE, "", {}), 60), str)
        assert found._process is not None
        found._process.kill()
        found._process.wait()
        assert not isinstance(found.ask(Asked(PAGE, "", {}), 60), str)  # a dead one is replaced
    finally:
        found.close()


def test_precise_settings() -> None:
    with pytest.raises(BadSpec):
        Precise(timeout_seconds=0)
    assert isinstance(Precise()(PAGE), Page)
    assert child() is child()


# ---- what a page says of itself


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("发布于2024年2月9日 8:05", "2024-02-09T08:05"),
        ("2024/2/9", "2024-02-09"),
        ("2024-02-09T08:05:01Z", "2024-02-09T08:05:01Z"),
        ("20240209", ""),
        ("9024-13-41", ""),
    ],
)
def test_dates(text: str, expected: str) -> None:
    assert date_of(text) == expected


def test_linked_data() -> None:
    value = {"@graph": [{"@type": "WebSite"}, {"headline": "题", "author": [{"name": "赵"}], "datePublished": "2023-01-02"}]}
    script = '<script type="application/ld+json">'
    html = f"<html>{script}{{bad</script>{script}{json.dumps(value)}</script>"
    assert head_of(html) == {"title": "题", "author": "赵", "date": "2023-01-02"}


def test_head_from_what_is_shown() -> None:
    head = '<html lang="zh-CN"><title>t</title><h1>大 <b>题</b></h1>'
    html = head + '<span class="author">作者：钱 &amp; 孙</span><i class="date">2022年1月3日</i>'
    assert head_of(html) == {"title": "大 题", "author": "钱 & 孙", "date": "2022-01-03", "declared": "zh-CN"}


@pytest.mark.parametrize(
    ("text", "declared", "expected"),
    [
        ("今天天气怎么样", "en", "zh"),
        ("今日はいい天気ですね", "en", "ja"),
        ("오늘 날씨가 좋습니다", "", "ko"),
        ("The weather is fine", "en-GB", "en"),
        (
            "The library will be open for longer hours on weekends, and readers may return books until nine in the evening.",
            "",
            "en",
        ),
        ("123", "en", ""),
    ],
)
def test_languages(text: str, declared: str, expected: str) -> None:
    assert language_of(text, declared) == expected


# ---- on pages with gold text


@pytest.mark.parametrize(("mode", "least"), [("fast", 0.88), ("precise", 0.93)])
def test_chinese_pages(mode: str, least: float) -> None:
    pages = sorted((Path(__file__).parent / "chinese_pages").glob("*.html"))
    assert len(pages) == 40
    pairs = []
    for page in pages:
        found = record(page.read_bytes(), extract=mode)
        text = found.text if isinstance(found, Record) else ""
        pairs.append((page.with_suffix(".txt").read_text(encoding="utf-8"), text))
        if page.stem.startswith("official"):
            assert overlap(pairs[-1:], CHINESE).f1 == 1.0, page.stem  # their rule is known
    assert overlap(pairs, CHINESE).f1 >= least


@pytest.mark.parametrize(("mode", "least"), [("fast", 0.92), ("precise", 0.955)])
def test_article_extraction(public_data: Path, mode: str, least: float) -> None:
    folder = public_data / "article-extraction"
    truth = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
    pairs = []
    for name, page in truth.items():
        found = record(gzip.decompress((folder / "html" / f"{name}.html.gz").read_bytes()), extract=mode, url=page["url"])
        pairs.append((page["articleBody"], found.text if isinstance(found, Record) else ""))
    assert overlap(pairs).f1 >= least
