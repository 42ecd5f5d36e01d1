"""The SDK by topic: each file has the typed methods of the acts of one, and `client.Client` has them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from fourfold.application.results import FileEntry

T = TypeVar("T")


class Transport(Protocol):
    """A way to a platform: this machine's home, or HTTP."""

    def do(self, act: str, arguments: dict[str, Any], /) -> bytes: ...
    def file(self, ref: str, path: str, /) -> Path: ...
    def fetch(self, ref: str, entry: FileEntry, target: Path, /) -> None: ...
    def ask(self, deployment: str, task: str, body: dict[str, Any], /) -> bytes: ...
    def close(self) -> None: ...


class Line:
    """What every method works with: a way to a platform, and the type of what comes back."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _do(self, act: str, arguments: dict[str, Any], result: type[T]) -> T:
        return msgspec.json.decode(self._transport.do(act, arguments), type=result)
