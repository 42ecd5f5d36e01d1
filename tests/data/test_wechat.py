"""The source wechat against a loopback platform: pages, tokens, error codes, quotas, and what it says before it ends."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.data.platforms import Wechat as Platform
from tests.data.sites import Reply, Site, serving

from fourfold.core.errors import BadInput, BadSpec, FourfoldError, NotFound, SourceBlocked, SourceExpired
from fourfold.core.nouns import Actor, Version
from fourfold.data.asking import NoAnswer
from fourfold.data.collect import collect
from fourfold.data.connections import Connection, known
from fourfold.data.dataset import Dataset
from fourfold.data.formats import BadLine, Member
from fourfold.data.formats.wechat import Wechat as WechatFormat
from fourfold.data.sources.wechat import Wechat
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Platform:
    platform = Platform()
    monkeypatch.setenv("TEA_SECRET", platform.secret)
    for n in range(1, 46):  # three pages
        platform.post(f"id-{n}", 1_700_000_000 + n, {"title": f"第 {n} 期", "content": f"<p>第 {n} 期：春茶上市🍵。</p>"})
    return platform


def spec(site: Site, platform: Platform, **more: Any) -> dict[str, Any]:
    quick = {"delay_seconds": 0.0, "retry_seconds": 0.0, "attempts": 2, "allow": ["127.0.0.1"], "base": site.url}
    return {"wechat": {"app_id": platform.app_id, "secret_env": "TEA_SECRET", **quick, **more}}


def rows(ledger: Ledger, version: Version) -> list[dict[str, Any]]:
    return Dataset(ledger.materialise(version)).table().to_pylist()


def state(ledger: Ledger) -> Connection:
    (found,) = known(ledger.home / "sources" / "connections")
    return found


def test_articles_with_their_fields(ledger: Ledger) -> None:
    platform = Platform()
    platform.post(
        "id-1", 1_700_000_000,
        {"title": "端午放假", "author": "暖风茶社", "digest": "休息三天", "url": "https://mp.weixin.qq.com/s/a",
         "content": '<section style="visibility: hidden"><p>各位茶友：</p><p>门店休息三天。</p></section>',
         "content_source_url": "https://tea.example/1"},
        {"title": "作废", "content": "<p>旧价目</p>", "is_deleted": True},
        {"title": "新茶", "content": "<p>明前龙井到店。</p>"},
    )  # fmt: skip
    platform.material.append({**platform.published[0], "media_id": "m-1"})
    del platform.material[0]["article_id"]
    (ledger.home / "secret").write_text(platform.secret + "\n")
    with serving(platform) as site:
        wanted = spec(site, platform, secret_env="", secret_file=str(ledger.home / "secret"), what=["published", "material"])
        version = collect(ledger, ACTOR, "tea", wanted)
    found = rows(ledger, version)
    assert [row["text"] for row in found] == ["各位茶友：\n\n门店休息三天。", "明前龙井到店。"] * 2
    assert {name: found[0][name] for name in ("title", "author", "summary", "url", "original_url", "date", "message_id")} == {
        "title": "端午放假", "author": "暖风茶社", "summary": "休息三天", "url": "https://mp.weixin.qq.com/s/a",
        "original_url": "https://tea.example/1", "date": "2023-11-14T22:13:20+00:00", "message_id": "id-1",
    }  # fmt: skip
    assert found[2]["message_id"] == "m-1"
    drops = pq.read_table(ledger.materialise(version) / "drops.parquet")["reason"].to_pylist()
    assert drops == ["deleted", "deleted"]
    raw = (ledger.materialise(version) / "raw" / "published" / "id-1.wechat").read_bytes()
    assert json.loads(raw.decode(), strict=False)["content"]["news_item"][1]["title"] == "作废"  # as the platform gave it


def test_later_visits_ask_for_texts_of_what_changed_only(ledger: Ledger, account: Platform) -> None:
    with serving(account) as site:
        first = collect(ledger, ACTOR, "tea", spec(site, account))
        assert account.asked["/cgi-bin/freepublish/batchget"] == 3
        account.post("id-46", 1_800_000_000, {"title": "新", "content": "<p>新的一期。</p>"})
        del account.published[-1]  # taken down
        second = collect(ledger, ACTOR, "tea", spec(site, account))
        assert account.asked["/cgi-bin/freepublish/batchget"] == 3 + 3 + 1
    one, two = ({row["message_id"]: row for row in rows(ledger, version)} for version in (first, second))
    assert len(one) == len(two) == 45
    assert set(two) - set(one) == {"id-46"} and set(one) - set(two) == {"id-1"}
    assert two["id-7"] == one["id-7"]
    assert state(ledger).state == "ok"


def test_a_token_that_ends_is_renewed(ledger: Ledger, account: Platform) -> None:
    account.token_seconds = 10  # ends at once: a new one for each page
    with serving(account) as site:
        collect(ledger, ACTOR, "tea", spec(site, account))
        assert account.asked["/cgi-bin/stable_token"] == 3
    account.token_seconds = 7200
    stolen = [2]

    def other_program(path: str, headers: dict[str, str]) -> Reply:
        """Another program of the account takes a new token between two pages."""
        stolen[0] -= 1
        if stolen[0] == 0:
            account.valid = {"token-of-somebody-else"}
        return account(path, headers)

    with serving(other_program) as site:
        assert len(rows(ledger, collect(ledger, ACTOR, "other", spec(site, account)))) == 45


@pytest.mark.parametrize(
    ("path", "code", "message", "expected"),
    [
        ("/cgi-bin/stable_token", 40125, "invalid appsecret", "expired"),
        ("/cgi-bin/stable_token", 40013, "invalid appid", "blocked"),
        ("/cgi-bin/stable_token", 40164, "invalid ip 203.0.113.9, not in whitelist", "blocked"),
        ("/cgi-bin/stable_token", 40243, "appsecret is frozen", "blocked"),
        ("/cgi-bin/freepublish/batchget", 40001, "invalid credential", "expired"),
        ("/cgi-bin/freepublish/batchget", 42001, "access_token expired", "expired"),
        ("/cgi-bin/freepublish/batchget", 45009, "reach max api daily quota limit", "blocked"),
        ("/cgi-bin/freepublish/batchget", 48001, "api unauthorized", "blocked"),
        ("/cgi-bin/freepublish/batchget", 50002, "user limited", "blocked"),
        ("/cgi-bin/freepublish/batchget", 45011, "api minute-quota reach limit", "blocked"),
        ("/cgi-bin/freepublish/batchget", -1, "system error", "blocked"),
        ("/cgi-bin/freepublish/batchget", 99999, "something new", "blocked"),
    ],
)
def test_refusals_are_told_and_kept(
    ledger: Ledger, account: Platform, path: str, code: int, message: str, expected: str
) -> None:
    account.trouble[path] = (code, message)
    with serving(account) as site, pytest.raises(FourfoldError, match=message.split(" ")[0]) as raised:
        collect(ledger, ACTOR, "tea", spec(site, account))
    assert isinstance(raised.value, SourceExpired if expected == "expired" else SourceBlocked)
    assert raised.value.hint
    kept = state(ledger)
    assert (kept.source, kept.account, kept.state, kept.code) == ("wechat", account.app_id, expected, str(code))
    assert not list(ledger.versions(name="tea"))


def test_a_quota_that_ends_in_the_middle_costs_nothing_twice(ledger: Ledger, account: Platform) -> None:
    account.quota = 2
    with serving(account) as site:
        with pytest.raises(SourceBlocked, match="45009"):
            collect(ledger, ACTOR, "tea", spec(site, account))
        assert state(ledger).state == "blocked"
        account.quota = 100
        version = collect(ledger, ACTOR, "tea", spec(site, account))
        assert account.quota == 99  # the third page alone
    assert len(rows(ledger, version)) == 45
    assert state(ledger).state == "ok"


COLLECTOR = """
import json, sys
from pathlib import Path
from fourfold.core.nouns import Actor
from fourfold.data.collect import collect
from fourfold.storage.ledger import Ledger
ledger = Ledger.open(Path(sys.argv[1]))
collect(ledger, Actor("key_1", "Tessa", "admin"), "tea", json.loads(sys.argv[2]))
"""


def test_a_killed_visit_goes_on_where_it_was(ledger: Ledger, account: Platform) -> None:
    free = threading.Event()

    def stops_at_the_third_page(path: str, headers: dict[str, str]) -> Reply:
        if '"offset":40' in headers[":body"].replace(" ", ""):
            free.wait(120)
        return account(path, headers)

    with serving(stops_at_the_third_page) as site:
        wanted = spec(site, account)
        with subprocess.Popen([sys.executable, "-c", COLLECTOR, str(ledger.home), json.dumps(wanted)]) as collector:
            site.wait_for(4)  # a token and three pages
            os.kill(collector.pid, signal.SIGKILL)
        free.set()
        version = collect(ledger, ACTOR, "tea", wanted)
        pages = [path for path in site.asked if "batchget" in path]
    assert len(rows(ledger, version)) == 45
    assert len(pages) == 4  # the third page alone was asked for twice


def test_never_silently_nothing(ledger: Ledger, account: Platform) -> None:
    account.published, account.kept_back = [], 12
    with serving(account) as site:
        with pytest.raises(BadInput, match="12 items of published, and gave 0"):
            collect(ledger, ACTOR, "tea", spec(site, account))
        account.kept_back = 0
        with pytest.raises(BadInput):  # nothing was published
            collect(ledger, ACTOR, "tea", spec(site, account))
        account.post("id-1", 1, {"title": "一", "content": "<p>第一期。</p>"})
        assert len(rows(ledger, collect(ledger, ACTOR, "tea", spec(site, account)))) == 1


def test_replies_that_are_none(ledger: Ledger, account: Platform) -> None:
    with serving(lambda path, headers: Reply(b"<html>gateway</html>")) as site, pytest.raises(NoAnswer, match="no reply"):
        collect(ledger, ACTOR, "tea", spec(site, account))

    def raw_controls(path: str, headers: dict[str, str]) -> Reply:
        return Reply(account(path, headers).body.replace("春".encode(), b"\x08"), 200, {})  # it does, now and then

    with serving(raw_controls) as site:
        texts = [row["text"] for row in rows(ledger, collect(ledger, ACTOR, "tea", spec(site, account)))]
        assert texts[0] == "第 45 期： 茶上市🍵。"
    with serving(lambda path, headers: Reply(b"", 502)) as site:
        with pytest.raises(NoAnswer, match="status 502"):
            collect(ledger, ACTOR, "tea", spec(site, account))
        assert len(site.asked) == 2
    with serving(account) as site, pytest.raises(NoAnswer, match="not a public address"):
        collect(ledger, ACTOR, "tea", spec(site, account, allow=[]))
    assert (state(ledger).state, state(ledger).code) == ("blocked", "no_answer")


def test_no_secret_reaches_the_ledger_the_log_or_an_error(
    ledger: Ledger, account: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(account) as site:
        collect(ledger, ACTOR, "tea", spec(site, account))
        account.trouble["/cgi-bin/freepublish/batchget"] = (45009, f"quota of {account.tokens[0]} and {account.secret}")
        with pytest.raises(SourceBlocked) as raised:
            collect(ledger, ACTOR, "tea", spec(site, account))
    secrets = [account.secret, *account.tokens]
    kept = [path for path in ledger.home.rglob("*") if path.is_file()]
    assert len(kept) > 5
    told = "\n".join(f"{r.getMessage()} {r.args}" for r in caplog.records) + str(raised.value) + state(ledger).detail
    for word in secrets:
        assert word not in told
        assert not [path for path in kept if word.encode() in path.read_bytes()]


def test_an_alarm_before_the_account_ends(ledger: Ledger, account: Platform, caplog: pytest.LogCaptureFixture) -> None:
    with serving(account) as site:
        collect(ledger, ACTOR, "tea", spec(site, account, expires="2999-01-01"))
        assert state(ledger).state == "ok"
        collect(ledger, ACTOR, "tea", spec(site, account, expires="2999-01-01", warn_days=1e6))
        assert state(ledger).state == "expiring"
        assert "expires 2999-01-01" in caplog.text and "verified anew" in caplog.text
        collect(ledger, ACTOR, "tea", spec(site, account, expires="2001-01-01"))
        assert "is past: set the new day" in caplog.text
        assert state(ledger).state == "ok"  # it answered


@pytest.mark.parametrize(
    "wrong",
    [{"app_id": ""}, {"what": []}, {"secret_env": ""}, {"secret_file": "x"}, {"expires": "soon"}, {"attempts": 0}],
)
def test_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSpec):
        Wechat(**{"app_id": "wx1", "secret_env": "X", **wrong})


def test_secrets_that_are_not_there(ledger: Ledger, account: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEA_SECRET")
    with serving(account) as site, pytest.raises(NotFound, match="TEA_SECRET"):
        collect(ledger, ACTOR, "tea", spec(site, account))


def test_what_is_no_message() -> None:
    assert list(WechatFormat()(b"<html>")) == [BadLine(1, "not_wechat")]
    assert list(WechatFormat()(b"{}")) == [BadLine(1, "no_text")]
    (one,) = WechatFormat()(b'{"content": {"news_item": [{"title": "x", "content": " "}]}}')
    assert one == Member("1.html", None, "no_text", {"title": "x"})
