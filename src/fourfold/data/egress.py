"""Egress: connections of ours to addresses that others named. Every one is checked, on every hop, after DNS.

A name is resolved once, each of its addresses is judged, and the connection goes to the very address that was judged: a name
that resolves otherwise a moment later (DNS rebinding) gains nothing. What is not plainly public is refused, unless `allow` says
otherwise: loopback, private and link-local networks, metadata services, and IPv4 addresses that hide in IPv6 ones.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpcore
import httpx

from fourfold.core.errors import BadSpec, NotPermitted

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
COMPATIBLE = ipaddress.IPv6Network("::/96")
# Public by the registry, and a way into a cloud's inside nonetheless, or nobody's host.
NEVER_PUBLIC: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in ("168.63.129.16/32", "192.88.99.0/24", "100.64.0.0/10", "192.0.0.0/24", "fec0::/10", "2001::/23", "5f00::/16")
)


class EgressRefused(NotPermitted):
    """A connection to an address that is not public, and that no allow-list names."""

    code = "egress_refused"


def networks_of(allow: Iterable[str]) -> tuple[Network, ...]:
    """Networks of an allow-list such as `["10.0.0.0/8", "127.0.0.1"]`. Raises BadSpec for a name."""
    found = []
    for text in allow:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise BadSpec(f"allow: {text!r} is no address or network ({error}).", hint="For example: 10.0.0.0/8") from error
    return tuple(found)


def embedded(address: Address) -> list[Address]:
    """The address, and the IPv4 addresses that it leads to: mapped, compatible, 6to4, Teredo, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    found: list[Address] = [address]
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if any(address in network for network in (*NAT64, COMPATIBLE)) and int(address) > 1:
        found.append(low)
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found += address.teredo
    return found


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet could be meant by it."""
    if any(address in network for network in NEVER_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved and not address.is_unspecified


def permitted(text: str, allow: Sequence[Network] = ()) -> bool:
    """Whether a connection to an address, written as the resolver writes it, may be made."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    every = embedded(address)
    if any(one in network for one in every for network in allow if network.version == one.version):
        return True
    return all(is_public(one) for one in every)


async def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host as the system resolves it, in its order. Numbers of every notation are addresses to it, too."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Egress:
    """What may be connected to. One object serves every client that goes where others say."""

    allow: tuple[Network, ...] = ()
    resolve: Resolve = field(default=resolve)

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Addresses of a host, all of them permitted. Raises EgressRefused if one is not, OSError if there is none."""
        found = await self.resolve(host, port)
        if not found:
            raise OSError(f"{host} has no address")
        for address in found:
            if not permitted(address, self.allow):
                raise EgressRefused(
                    f"{host} is {address}, which is not a public address.",
                    hint=f'If it is meant, name it in the allow-list: allow: ["{address}"].',
                )
        return found

    def transport(self, *, verify: ssl.SSLContext | bool = True, connections: int = 100) -> httpx.AsyncBaseTransport:
        """A transport for httpx.AsyncClient that connects through this guard, and through no proxy and no socket file."""
        context = httpx.create_ssl_context(verify=verify)
        pool = httpcore.AsyncConnectionPool(
            ssl_context=context, max_connections=connections, keepalive_expiry=5.0, network_backend=_Guarded(self)
        )
        transport = httpx.AsyncHTTPTransport(verify=context)
        transport._pool = pool  # httpx has no argument for it; httpcore has
        return transport


class _Guarded(httpcore.AsyncNetworkBackend):
    """Connects to addresses that an Egress permits. TLS still checks the certificate against the name."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._inner: Any = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._egress.addresses(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} is not resolved in time") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that is none
            raise httpcore.ConnectError(str(error)) from error
        failed: Exception | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        assert failed is not None
        raise failed

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise EgressRefused(f"{path} is a socket of this machine.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
