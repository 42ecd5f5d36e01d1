"""The proxy does to connections what it says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from tests.faults.proxy import Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1 << 16):
                    connection.sendall(data)
            except ConnectionError:
                pass

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    found = Proxy(echo)
    yield found
    found.close()


def connect(proxy: Proxy, seconds: float = 20) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), seconds)


def test_it_passes_bytes_and_the_end(proxy: Proxy) -> None:
    with connect(proxy) as near:
        near.sendall(b"hello")
        near.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: near.recv(100), b"")) == b"hello"


def test_it_cuts_refuses_and_forgives(proxy: Proxy) -> None:
    with connect(proxy) as near:
        near.sendall(b"a")
        assert near.recv(1) == b"a"
        assert proxy.cut() == 2
        with pytest.raises(ConnectionError):
            near.recv(1)
    proxy.weather.refuse = True
    with pytest.raises(ConnectionError), connect(proxy) as near:
        near.recv(1)
        raise ConnectionError("an orderly end is a refusal too")
    proxy.weather.refuse = False
    with connect(proxy) as near:
        near.sendall(b"a")
        assert near.recv(1) == b"a"


def test_it_cuts_after_a_number_of_bytes(proxy: Proxy) -> None:
    proxy.weather.cut_after_bytes = 3
    with connect(proxy) as near:
        near.sendall(b"abcdef")
        got = b""
        with pytest.raises(ConnectionError):
            while data := near.recv(10):
                got += data
            raise ConnectionError("an orderly end cuts too")
        assert len(got) <= 3


@pytest.mark.parametrize("how", ["silent", "drop"])
def test_half_open_and_dropping_connections_say_nothing(proxy: Proxy, how: str) -> None:
    setattr(proxy.weather, how, True)
    with connect(proxy, 0.3) as near:
        near.sendall(b"a")
        with pytest.raises(TimeoutError):
            near.recv(1)


def test_delay_and_bandwidth_change_no_byte(proxy: Proxy) -> None:
    proxy.weather.delay_seconds = 0.01
    proxy.weather.bytes_per_second = 1e6
    with connect(proxy) as near:
        near.sendall(bytes(range(256)) * 100)
        near.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: near.recv(1 << 16), b"")) == bytes(range(256)) * 100
