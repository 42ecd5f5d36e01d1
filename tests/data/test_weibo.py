"""The source weibo against a loopback platform: pages, since_id, comments, limits, error codes; and exported posts."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.data.platforms import Weibo as Platform
from tests.data.sites import Reply, Site, serving

from fourfold.core.errors import BadInput, BadSpec, FourfoldError, SourceBlocked, SourceExpired
from fourfold.core.nouns import Actor, Version
from fourfold.data.asking import NoAnswer
from fourfold.data.collect import collect
from fourfold.data.connections import Connection, known
from fourfold.data.dataset import Dataset
from fourfold.data.formats import BadLine, Record
from fourfold.data.formats.weibo import Weibo as WeiboFormat
from fourfold.data.sources.weibo import Weibo
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
FIRST = 5_171_000_000_000_000  # ids of posts have 16 digits


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> Platform:
    platform = Platform()
    monkeypatch.setenv("WEIBO_TOKEN", platform.token)
    for n in range(1, 231):  # three pages
        platform.post(FIRST + n, f"#春茶#第 {n} 天，到店有礼🍵")
    return platform


def spec(site: Site, **more: Any) -> dict[str, Any]:
    quick = {"delay_seconds": 0.0, "retry_seconds": 0.0, "attempts": 2, "allow": ["127.0.0.1"], "base": site.url}
    return {"weibo": {"token_env": "WEIBO_TOKEN", **quick, **more}}


def rows(ledger: Ledger, version: Version) -> dict[str, dict[str, Any]]:
    return {row["item_id"]: row for row in Dataset(ledger.materialise(version)).table().to_pylist()}


def drops(ledger: Ledger, version: Version) -> list[tuple[str, str]]:
    table = pq.read_table(ledger.materialise(version) / "drops.parquet").to_pylist()
    return [(row["reason"], row["detail"]) for row in table]


def state(ledger: Ledger) -> Connection:
    (found,) = known(ledger.home / "sources" / "connections")
    return found


def of(user: Platform, path: str) -> list[str]:
    return [one for one in user.asked if one.startswith(path)]


def test_all_posts_then_new_ones(ledger: Ledger, user: Platform) -> None:
    with serving(user) as site:
        first = collect(ledger, ACTOR, "posts", spec(site))
        asked = len(user.asked)
        assert len(of(user, "/2/statuses/user_timeline.json")) == 4  # the last is empty
        user.post(FIRST + 500, "新到明前龙井")
        second = collect(ledger, ACTOR, "posts", spec(site))
        new = user.asked[asked:]
        assert sum("user_timeline" in path for path in new) == 2 and all(f"since_id={FIRST + 230}" in p for p in new[1:])
        third = collect(ledger, ACTOR, "posts", spec(site))  # nothing new: the same posts
    one, two, three = (rows(ledger, version) for version in (first, second, third))
    assert len(one) == 230 and len(two) == 231 and two == three
    post = one[str(FIRST + 3)]
    assert post == two[str(FIRST + 3)]
    assert post["text"] == "#春茶#第 3 天，到店有礼🍵"
    names = ("kind", "user_id", "user", "date", "url", "topics", "reposts", "comments", "likes")
    assert {name: post[name] for name in names} == {
        "kind": "post", "user_id": "1234567890", "user": "暖风茶社", "date": "2025-05-27T17:46:55+08:00",
        "url": f"https://weibo.com/1234567890/{FIRST + 3}", "topics": ["春茶"], "reposts": 2, "comments": 0, "likes": 5,
    }  # fmt: skip


def test_comments_and_their_news(ledger: Ledger, user: Platform) -> None:
    user.posts = user.posts[:2]
    top = user.posts[0]["id"]
    for n in range(120):
        user.comment(top, 9_000 + n, f"评论 {n}")
    with serving(user) as site:
        first = collect(ledger, ACTOR, "posts", spec(site, comments=True))
        user.comment(top, 9_500, '回复<a href="/u/7">@路人</a>:谢谢<img alt="[心]" src="x">')
        user.posts.pop()  # a post that was deleted: its comments cannot be asked for any more
        second = collect(ledger, ACTOR, "posts", spec(site, comments=True))
    one, two = rows(ledger, first), rows(ledger, second)
    assert len(one) == 122 and len(two) == 123
    assert two["9500"]["text"] == "回复@路人:谢谢[心]"
    assert (two["9500"]["kind"], two["9500"]["post_id"], two["9500"]["user"]) == ("comment", str(top), "路人")


def test_comments_may_be_asked_for_later_and_users_do_not_mix(ledger: Ledger, user: Platform) -> None:
    user.posts = user.posts[:2]
    user.comment(user.posts[1]["id"], 9_000, "早就有的评论")
    with serving(user) as site:
        assert len(rows(ledger, collect(ledger, ACTOR, "posts", spec(site)))) == 2
        assert len(rows(ledger, collect(ledger, ACTOR, "posts", spec(site, comments=True)))) == 3
        user.posts = []
        user.post(77, "别人的")
        assert list(rows(ledger, collect(ledger, ACTOR, "posts", spec(site, uid=str(user.uid))))) == ["77"]


def test_more_posts_than_are_wanted_are_told(ledger: Ledger, user: Platform) -> None:
    with serving(user) as site:
        version = collect(ledger, ACTOR, "posts", spec(site, max_posts=150))
    assert len(rows(ledger, version)) == 150
    assert drops(ledger, version) == [("post_limit", "150 of 230 posts were taken")]


@pytest.mark.parametrize(
    ("path", "code", "message", "expected"),
    [
        ("/oauth2/get_token_info", 21327, "expired_token", "expired"),
        ("/oauth2/get_token_info", 21332, "invalid_access_token", "expired"),
        ("/2/statuses/user_timeline.json", 21317, "token rejected", "expired"),
        ("/2/statuses/user_timeline.json", 10014, "Insufficient app permissions!", "blocked"),
        ("/2/statuses/user_timeline.json", 10013, "Invalid weibo user!", "blocked"),
        ("/2/statuses/user_timeline.json", 10004, "IP limit", "blocked"),
        ("/2/statuses/user_timeline.json", 31337, "something new", "blocked"),
    ],
)
def test_refusals_are_told_and_kept(ledger: Ledger, user: Platform, path: str, code: int, message: str, expected: str) -> None:
    user.trouble[path] = (code, message)
    with serving(user) as site, pytest.raises(FourfoldError, match=f"{code} {message.split(' ')[0]}") as raised:
        collect(ledger, ACTOR, "posts", spec(site))
    assert isinstance(raised.value, SourceExpired if expected == "expired" else SourceBlocked)
    assert raised.value.hint
    assert (state(ledger).state, state(ledger).code) == (expected, str(code))
    assert not list(ledger.versions(name="posts"))


def test_rate_limits(ledger: Ledger, user: Platform) -> None:
    user.left = 2
    with serving(user) as site:
        with pytest.raises(SourceBlocked, match="10023") as raised:
            collect(ledger, ACTOR, "posts", spec(site))
        assert "again in 2415 s" in str(raised.value)
        assert state(ledger).state == "blocked"
        user.left, before = 1_000, len(of(user, "/2/statuses/"))
        assert len(rows(ledger, collect(ledger, ACTOR, "posts", spec(site)))) == 230
        assert len(of(user, "/2/statuses/")) - before == 2  # the pages of before were kept

    def after_a_while(path: str, headers: dict[str, str]) -> Reply:
        if "rate_limit_status" in path:
            reply = user(path, headers)
            user.left = 1_000
            return reply
        return user(path, headers)

    user.left, user.reset_seconds = 1, 1
    with serving(after_a_while) as site:  # a second is worth waiting for
        assert len(rows(ledger, collect(ledger, ACTOR, "waited", spec(site)))) == 230


def test_a_busy_platform_is_asked_again(ledger: Ledger, user: Platform) -> None:
    troubles = [(10001, "System error!")]

    def busy_for_once(path: str, headers: dict[str, str]) -> Reply:
        user.trouble = {"/2/statuses/user_timeline.json": troubles.pop()} if "user_timeline" in path and troubles else {}
        return user(path, headers)

    with serving(busy_for_once) as site:
        assert len(rows(ledger, collect(ledger, ACTOR, "posts", spec(site)))) == 230
        troubles += [(10009, "Too many pending tasks, system is busy!")] * 2
        with pytest.raises(SourceBlocked, match="10009"):
            collect(ledger, ACTOR, "posts", spec(site))


def test_an_alarm_before_the_token_ends(ledger: Ledger, user: Platform, caplog: pytest.LogCaptureFixture) -> None:
    user.expire_in = 2 * 86_400
    with serving(user) as site:
        collect(ledger, ACTOR, "posts", spec(site))
        now = state(ledger)
        assert now.state == "expiring" and "expires 20" in caplog.text and "authorise the application anew" in caplog.text
        assert now.expires_at is not None
        (later,) = known(ledger.home / "sources" / "connections", now.expires_at + 1)
        assert later.state == "expired"  # nobody has to ask for that to be seen
        user.expire_in = 0
        with pytest.raises(SourceExpired):
            collect(ledger, ACTOR, "posts", spec(site))
    assert state(ledger).state == "expired"


def test_never_silently_nothing(ledger: Ledger, user: Platform) -> None:
    user.posts, user.kept_back = [], 40
    with serving(user) as site:
        with pytest.raises(BadInput, match="40 posts, and gave none"):
            collect(ledger, ACTOR, "posts", spec(site))
        with pytest.raises(SourceBlocked, match="21335"):
            collect(ledger, ACTOR, "posts", spec(site, uid=42))
    with serving(lambda path, headers: Reply(b"<html>")) as site, pytest.raises(NoAnswer):
        collect(ledger, ACTOR, "posts", spec(site))


def test_no_secret_reaches_the_ledger_the_log_or_an_error(
    ledger: Ledger, user: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(user) as site:
        collect(ledger, ACTOR, "posts", spec(site))
        user.trouble["/2/statuses/user_timeline.json"] = (21327, f"token {user.token} expired")
        with pytest.raises(SourceExpired) as raised:
            collect(ledger, ACTOR, "posts", spec(site))
    told = "\n".join(f"{r.getMessage()} {r.args}" for r in caplog.records) + str(raised.value) + state(ledger).detail
    assert user.token not in told and "***" in str(raised.value)
    assert not [path for path in ledger.home.rglob("*") if path.is_file() and user.token.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    "wrong", [{"token_env": ""}, {"token_file": "x"}, {"timelines": []}, {"max_posts": 0}, {"attempts": 0}]
)
def test_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSpec):
        Weibo(**{"token_env": "X", **wrong})


# ---- exports


def test_exports(ledger: Ledger, user: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    some = user.posts[:2]
    (folder / "page.json").write_text(json.dumps({"statuses": some, "total_number": 2}), encoding="utf-8")
    (folder / "lines.jsonl").write_text("\n".join([json.dumps(one) for one in some] + ["{oops"]), encoding="utf-8")
    (folder / "list.json").write_text(json.dumps(some), encoding="utf-8")
    (folder / "table.csv").write_text("微博id,微博正文,发布时间\n1,今天店休,2025-05-01 10:00\n", encoding="utf-8-sig")
    spec = {"files": {"path": str(folder), "endings": {"json": "weibo", "jsonl": "weibo"}}}
    version = collect(ledger, ACTOR, "export", spec)
    table = Dataset(ledger.materialise(version)).table().to_pylist()
    assert [row["text"] for row in table if row["item_id"] is None] == ["今天店休"]
    assert len(table) == 7
    assert drops(ledger, version) == [("not_weibo", None)]


def test_posts_of_every_kind() -> None:
    long = {"id": 1, "text": "开头…全文", "isLongText": True}
    posts = [
        long,
        {**long, "longText": {"longTextContent": "开头和<br />全部其余"}},
        {"id": 2, "text": "抱歉，此微博已被作者删除", "deleted": "1"},
        {"id": 3, "text": "转发", "retweeted_status": {"id": 4, "text": "原文 &amp; 链接"}},
        {"id": 5, "text": " "},
    ]
    found = list(WeiboFormat()(json.dumps(posts).encode()))
    assert [one.text if isinstance(one, Record) else one.reason for one in found] == [
        "开头…全文", "开头和\n全部其余", "deleted", "转发", "no_text",
    ]  # fmt: skip
    assert isinstance(found[0], Record) and found[0].fields["truncated"] is True
    assert isinstance(found[3], Record) and found[3].fields["reposted"] == "原文 & 链接"
    assert list(WeiboFormat()(b'{"a":')) == [BadLine(1, "not_weibo")]
