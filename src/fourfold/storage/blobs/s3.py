"""Blobs in a bucket of any S3 service, through obstore: one object each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from fourfold.core.errors import BadInput, Corrupt, NotFound, NotReady
from fourfold.core.extras import need
from fourfold.core.fingerprint import digest_bytes
from fourfold.storage.seal import Seal

DIGEST = re.compile("[0-9a-f]{64}")
URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,62})(?:/(.*?))?/?")


class S3:
    """A bucket, or a folder of one: `s3://bucket/folder`.

    Credentials come from the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or with `credentials="ARCHIVE"`
    ARCHIVE_ACCESS_KEY_ID and ARCHIVE_SECRET_ACCESS_KEY. Objects are never locked or compared before they are written: on a
    replicated service a conditional put lets several writers win, and equal names hold equal bytes anyway.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str = "",
        region: str = "us-east-1",
        credentials: str = "AWS",
        timeout_seconds: float = 30.0,
        seal: Seal | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.obstore = need("obstore", extra="s3", what="A store on S3")
        found = URL.fullmatch(url)
        if found is None:
            raise BadInput(f"{url!r} is no bucket.", hint="Write s3://bucket or s3://bucket/folder.")
        self.url = url
        self.seal = seal
        config: dict[str, Any] = {"region": region, "virtual_hosted_style_request": False}
        for key in ("access_key_id", "secret_access_key", "session_token"):
            if value := environment.get(f"{credentials}_{key.upper()}"):
                config[key] = value
        if endpoint:
            config["endpoint"] = endpoint
        self.store = self.obstore.store.S3Store(
            found[1],
            prefix=found[2] or None,
            config=config,
            client_options={"allow_http": endpoint.startswith("http:"), "timeout": timedelta(seconds=timeout_seconds)},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=timeout_seconds)},
        )

    def put(self, digest: str, data: bytes, /) -> None:
        """Keep `data`; nothing to do if it is there, and whole. Returns when the service has acknowledged it."""
        if self._is_whole(digest):
            return
        with self._told():
            sealed = data if self.seal is None else self.seal.close_up(digest, data)
            self.obstore.put(self.store, _key(digest), sealed, use_multipart=False)

    def put_file(self, digest: str, path: Path, /) -> None:
        """Keep a whole file as one object."""
        self.put(digest, path.read_bytes())

    def get(self, digest: str, /) -> bytes:
        """The bytes, verified. Raises NotFound, Corrupt, or NotReady if the service does not answer."""
        data = self._read(digest)
        if self.seal is not None:
            data = self.seal.open(digest, data)
        if digest_bytes(data) != digest:
            raise Corrupt(f"Chunk {digest[:16]}… in {self.url} is not what was stored.", hint="Run: fourfold storage scrub")
        return data

    def has(self, digest: str, /) -> bool:
        """Whether there is an object of that name; its bytes are not looked at."""
        try:
            with self._told():
                self.obstore.head(self.store, _key(digest))
        except NotFound:
            return False
        return True

    def link(self, digest: str, target: Path, /) -> bool:
        """Never: a bucket is no folder."""
        return False

    def remove(self, digest: str, /) -> None:
        """Delete the object; nothing to do if there is none."""
        try:
            with self._told():
                self.obstore.delete(self.store, _key(digest))
        except NotFound:
            return

    def digests(self) -> Iterator[tuple[str, int]]:
        """Digest and size of every object that is named as a blob, as the service lists them."""
        with self._told():
            for batch in self.obstore.list(self.store, prefix="chunks"):
                for found in batch:
                    name = found["path"].rpartition("chunks/")[2].replace("/", "")
                    if DIGEST.fullmatch(name):
                        yield name, found["size"]

    def free_bytes(self) -> int | None:
        """Nobody can say."""
        return None

    def close(self) -> None:
        """Connections end with the object."""

    def _is_whole(self, digest: str) -> bool:
        if not self.has(digest):
            return False
        try:
            raw = self._read(digest)
            data = raw if self.seal is None else self.seal.open(digest, raw)
        except (NotFound, Corrupt):
            return False
        return digest_bytes(data) == digest and (self.seal is None or self.seal.is_newest(raw))

    def _read(self, digest: str) -> bytes:
        with self._told(f"Chunk {digest[:16]}… is missing from {self.url}."):
            return bytes(self.obstore.get(self.store, _key(digest)).bytes())

    @contextmanager
    def _told(self, missing: str = "There is no such object.") -> Iterator[None]:
        """Turn the library's trouble into ours."""
        trouble = self.obstore.exceptions
        try:
            yield
        except (trouble.NotFoundError, FileNotFoundError) as error:
            raise NotFound(missing, hint="Run: fourfold storage scrub") from error
        except (trouble.PermissionDeniedError, trouble.UnauthenticatedError, PermissionError) as error:
            raise NotReady(f"{self.url} refuses the credentials.", hint="See docs/storage.md for their variables.") from error
        except (trouble.BaseError, OSError) as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise NotReady(f"{self.url} does not answer: {reason[0][:300]}", hint="Run: fourfold storage") from error


def _key(digest: str) -> str:
    return f"chunks/{digest[:2]}/{digest[2:]}"
