"""Loopback servers that tests crawl: handlers are functions from a request to a reply; every request is noted."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """A reply; `stream` writes the body piece by piece until it ends or the client goes."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/html; charset=utf-8"})
    stream: Iterator[bytes] | None = None


@dataclass
class Site:
    """A running server."""

    answer: Callable[[str, dict[str, str]], Reply]
    url: str = ""
    asked: list[str] = field(default_factory=list)
    sent_bytes: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    came: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, requests: int, seconds: float = 120.0) -> None:
        """Until so many requests have come."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.asked) >= requests, seconds), f"only {len(self.asked)} requests"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients of these tests are killed."""


@contextmanager
def serving(answer: Callable[[str, dict[str, str]], Reply], host: str = "127.0.0.1") -> Iterator[Site]:
    """A site on a free port of `host`."""
    site = Site(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            with site.came:
                site.asked.append(self.path)
                site.came.notify_all()
            with site.lock:
                site.at_once += 1
                site.most_at_once = max(site.most_at_once, site.at_once)
            try:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                self._reply(site.answer(self.path, {":body": body, **{k.lower(): v for k, v in self.headers.items()}}))
            except OSError:
                self.close_connection = True
            finally:
                with site.lock:
                    site.at_once -= 1

        do_POST = do_GET

        def _reply(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.stream is None:
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
                return
            self.send_header("Connection", "close")
            self.end_headers()
            for piece in reply.stream:
                self.wfile.write(piece)
                site.sent_bytes[self.path] += len(piece)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    class Server(_Server):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    server = Server((host, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    shown = f"[{host}]" if ":" in host else host
    site.url = f"http://{shown}:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
