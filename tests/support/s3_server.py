"""A small S3 service in this process: objects of one account, path style. It checks no signature and can be made to fail."""

from __future__ import annotations

import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class S3Server(ThreadingHTTPServer):
    """`objects` maps `/bucket/key` to bytes: look at them and spoil them as you like. While `down`, every answer is 503."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.down = False
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """PUT, GET, HEAD, DELETE of an object; ListObjectsV2 without pages; DeleteObjects."""

    protocol_version = "HTTP/1.1"
    server: S3Server

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        if not self._is_down():
            self.server.objects[self._path()] = data
            self._answer(200)

    def do_GET(self) -> None:
        if not self._is_down():
            query = parse_qs(urlsplit(self.path).query)
            self._list(query) if "list-type" in query else self._object()

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        if not self._is_down():
            self.server.objects.pop(self._path(), None)
            self._answer(204)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if not self._is_down():
            bucket = self._path().rstrip("/")
            keys = [part.partition("</Key>")[0] for part in body.split("<Key>")[1:]]
            for key in keys:
                self.server.objects.pop(f"{bucket}/{key}", None)
            deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
            self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

    def _object(self) -> None:
        data = self.server.objects.get(self._path())
        if data is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._answer(200, data)

    def _list(self, query: dict[str, list[str]]) -> None:
        bucket, prefix = self._path().rstrip("/"), query.get("prefix", [""])[0]
        found = sorted(key for key in self.server.objects if key.startswith(f"{bucket}/{prefix}"))
        rows = "".join(
            f"<Contents><Key>{escape(key.removeprefix(bucket + '/'))}</Key><Size>{len(self.server.objects[key])}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>x</ETag></Contents>"
            for key in found
        )
        self._answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode())

    def _is_down(self) -> bool:
        if self.server.down:
            self._answer(503, b"<Error><Code>SlowDown</Code></Error>")
        return self.server.down

    def _path(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("last-modified", formatdate(0, usegmt=True))
        self.send_header("etag", '"x"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
