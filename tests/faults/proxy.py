"""A TCP proxy of loopback that can be told to break what passes through it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass


@dataclass(slots=True)
class Weather:
    """How connections fare, from now on: what is changed takes effect on the next piece of data."""

    refuse: bool = False  # a new connection is reset at once
    silent: bool = False  # half open: accepted, kept, and nothing passes in either direction
    drop: bool = False  # what is sent is swallowed, the connection lives
    delay_seconds: float = 0.0  # before each piece of at most 64 KiB
    bytes_per_second: float = 0.0  # of each direction of each connection; 0: no limit
    cut_after_bytes: int | None = None  # of one direction of one connection, then both are reset


class Proxy:
    """Listens on a free port of loopback (`port`) and passes bytes to `to_port`, as `weather` says."""

    def __init__(self, to_port: int) -> None:
        self.to_port, self.weather = to_port, Weather()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def cut(self) -> int:
        """Reset all connections that there are; how many sockets that were."""
        with self._lock:
            found = list(self._open)
        for one in found:
            self._reset(one)
        return len(found)

    def close(self) -> None:
        """Stop listening, reset everything, end all threads."""
        self._closed.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def _begin(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="proxy", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            if self.weather.refuse:
                self._reset(near)
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.to_port), 5)
            except OSError:
                self._reset(near)
                continue
            far.settimeout(None)
            with self._lock:
                self._open |= {near, far}
            self._begin(self._pump, near, far)
            self._begin(self._pump, far, near)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if not self._wait(len(data)):
                    break
                if self.weather.drop:
                    continue
                cut = self.weather.cut_after_bytes
                target.sendall(data if cut is None else data[: max(0, cut - passed)])
                passed += len(data)
                if cut is not None and passed >= cut:
                    self._reset(source)
                    self._reset(target)
                    return
            with self._lock:
                orderly = {source, target} <= self._open
            if orderly:
                target.shutdown(socket.SHUT_WR)  # the other direction may still have something to say
                return
        self._reset(source)
        self._reset(target)

    def _wait(self, size: int) -> bool:
        weather = self.weather
        pause = weather.delay_seconds + (size / weather.bytes_per_second if weather.bytes_per_second else 0.0)
        if pause:
            self._closed.wait(pause)
        while self.weather.silent and not self._closed.is_set():
            time.sleep(0.02)
        return not self._closed.is_set()

    def _reset(self, one: socket.socket) -> None:
        with self._lock:
            self._open.discard(one)
        with suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
            one.shutdown(socket.SHUT_RD)  # wakes the thread that reads; the other side is told by close
        with suppress(OSError):
            one.close()
