"""Egress: nothing that is not public is connected to, however it is spelt, resolved or redirected to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import httpx
import pytest
from tests.data.sites import Reply, Site, serving

from fourfold.core.errors import BadSpec
from fourfold.data.egress import Egress, EgressRefused, Resolve, networks_of, permitted


@pytest.fixture
def canary() -> Iterator[Site]:
    """Hears every address of this machine; nothing may reach it."""
    with serving(lambda path, headers: Reply(b"caught"), "0.0.0.0") as site:
        yield site


def get(url: str, *, allow: Sequence[str] = (), resolve: Resolve | None = None) -> httpx.Response:
    egress = Egress(networks_of(allow)) if resolve is None else Egress(networks_of(allow), resolve)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=egress.transport(), trust_env=False, timeout=30) as client:
            return await client.get(url, follow_redirects=True)

    return asyncio.run(ask())


SPELT = (
    "127.0.0.1", "127.0.0.2", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "0.0.0.0", "0", "localhost",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:0:0]", "[::1]", "[::]", "１２７.０.０.１",
)  # fmt: skip


@pytest.mark.parametrize("host", SPELT)
def test_no_spelling_of_this_machine_reaches_the_canary(canary: Site, host: str) -> None:
    port = canary.url.rpartition(":")[2]
    with pytest.raises((EgressRefused, httpx.ConnectError, httpx.InvalidURL)):
        get(f"http://{host}:{port}/")
    assert canary.asked == []


def test_the_canary_would_be_heard(canary: Site) -> None:
    port = canary.url.rpartition(":")[2]
    assert get(f"http://2130706433:{port}/", allow=["127.0.0.0/8"]).content == b"caught"
    assert canary.asked == ["/"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
        "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::7f00:1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "fec0::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "not an address",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not permitted(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_that_are(address: str) -> None:
    assert permitted(address)


def test_the_allow_list_opens_what_it_names_and_no_more() -> None:
    allow = networks_of(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])
    assert [permitted(a, allow) for a in ("10.9.9.9", "127.0.0.1", "fd00::1", "::ffff:127.0.0.1")] == [True] * 4
    assert [permitted(a, allow) for a in ("11.0.0.1", "127.0.0.2", "192.168.0.1", "0.0.0.0")] == [True] + [False] * 3
    with pytest.raises(BadSpec, match="intranet"):
        networks_of(["intranet.example.com"])


def test_a_name_with_one_bad_address_is_refused(canary: Site) -> None:
    port = canary.url.rpartition(":")[2]

    async def mixed(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", "127.0.0.1"]

    with pytest.raises(EgressRefused, match=r"rebind.example.com is 127.0.0.1"):
        get(f"http://rebind.example.com:{port}/", resolve=mixed)
    assert canary.asked == []


def test_the_address_that_was_judged_is_the_one_connected_to(canary: Site) -> None:
    """A server of names that answers otherwise the second time is asked once per connection, and its answer is what is used."""
    answers = iter(["127.0.0.1", "127.0.0.2", "169.254.169.254"])
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return [next(answers)]

    with serving(lambda path, headers: Reply(b"", 302, {"Location": path + "x", "Connection": "close"}), "127.0.0.1") as site:
        port = site.url.rpartition(":")[2]
        with pytest.raises(EgressRefused, match=r"127\.0\.0\.2"):
            get(f"http://rebind.example.com:{port}/", allow=["127.0.0.1"], resolve=rebinding)
        assert site.asked == ["/"]
    assert asked == ["rebind.example.com"] * 2
    assert canary.asked == []


@pytest.mark.parametrize("host", [h for h in SPELT if h not in ("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1")])
def test_a_redirect_is_judged_like_any_other(canary: Site, host: str) -> None:
    port = canary.url.rpartition(":")[2]
    with serving(lambda path, headers: Reply(b"", 302, {"Location": f"http://{host}:{port}/"}), "127.0.0.9") as site:
        with pytest.raises((EgressRefused, httpx.HTTPError)):
            get(site.url, allow=["127.0.0.9"])
        assert site.asked == ["/"]
    assert canary.asked == []
