"""The acts of a home of this machine: straight into its ledger, as its own command line."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from fourfold.application.client_http import HttpTransport
from fourfold.application.downloads import download, of_file
from fourfold.application.own_key import COMMAND_LINE, own_token
from fourfold.application.results import FileEntry
from fourfold.application.serving.home import Status, status_of
from fourfold.core.config import read_settings
from fourfold.core.errors import NotReady, NotSignedIn
from fourfold.core.progress import Progress
from fourfold.storage.ledger import Ledger

PATIENCE_SECONDS = 3.0  # a front learns of a new key within 2 s


class HomeTransport:
    """A home's platform in this process. What it answers has gone through JSON, so that it equals what comes over HTTP."""

    def __init__(self, home: Path, progress: Progress) -> None:
        from fourfold.application.platform import Platform  # loads what every act needs; a client of a URL does without

        self.home = home
        settings = read_settings(home)
        self.ledger = Ledger.open(home)
        self.platform = Platform(self.ledger, COMMAND_LINE, settings, progress=progress)

    def do(self, act: str, arguments: dict[str, Any], /) -> bytes:
        """Call the platform's method."""
        return msgspec.json.encode(getattr(self.platform, act)(**arguments))

    def file(self, ref: str, path: str, /) -> Path:
        """The file itself."""
        return self.platform.version_file(ref, path)

    def fetch(self, ref: str, entry: FileEntry, target: Path, /) -> None:
        """Copy a file of a version to `target`."""
        download(of_file(self.file(ref, entry.path)), entry, target, self.platform.progress)

    def ask(self, deployment: str, task: str, body: dict[str, Any], /) -> bytes:
        """Ask the server that runs on this home, with the home's own key. Raises NotReady if none runs."""
        server = HttpTransport(self._server().address, own_token(self.ledger))
        until = time.monotonic() + PATIENCE_SECONDS
        try:
            while True:
                try:
                    return server.ask(deployment, task, body)
                except NotSignedIn:  # the key is good: the front has not heard of it yet
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.1)
        finally:
            server.close()

    def _server(self) -> Status:
        status = status_of(self.home)
        if status is None:
            raise NotReady(f"Nothing serves {self.home}.", hint="Run: fourfold up")
        return status

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()
