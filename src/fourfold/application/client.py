"""The SDK: every act of the platform as a typed method, the same on a home folder and over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from fourfold.application.client_home import HomeTransport
from fourfold.application.client_http import HttpTransport
from fourfold.application.sdk.annotations import Annotations
from fourfold.application.sdk.asking import Answer, Asking
from fourfold.application.sdk.backups import Backups
from fourfold.application.sdk.datasets import Datasets
from fourfold.application.sdk.deployments import Deployments
from fourfold.application.sdk.keeping import Keeping
from fourfold.application.sdk.keys import Keys
from fourfold.application.sdk.models import Models
from fourfold.application.sdk.privacy import Privacy
from fourfold.application.sdk.search import Search
from fourfold.application.sdk.stores import Stores
from fourfold.application.sdk.things import Things
from fourfold.application.sdk.whole import Whole
from fourfold.core.config import default_home
from fourfold.core.errors import BadSpec
from fourfold.core.progress import Progress, silent

__all__ = ["Answer", "Client"]


class Client(
    Asking, Datasets, Annotations, Privacy, Models, Deployments, Things, Keys, Backups, Keeping, Stores, Search, Whole
):
    """A hand on a platform: `Client(home="…")` opens a folder of this machine, `Client(url="…", token="ff_…")` asks a server.

    Without either: FOURFOLD_URL with FOURFOLD_TOKEN if set, else FOURFOLD_HOME, else ~/.fourfold. `progress` is told how far
    long acts are. Every error is a FourfoldError of the same class and code either way. Use it in a `with` block, or `close()`
    it.
    """

    def __init__(
        self,
        *,
        home: Path | str | None = None,
        url: str | None = None,
        token: str | None = None,
        progress: Progress = silent,
    ) -> None:
        if home is not None and url is not None:
            raise BadSpec("Give a home or a URL, not both.", hint="A home is a folder of this machine; a URL is a server.")
        url = url or (os.environ.get("FOURFOLD_URL") if home is None else None)
        if url:
            transport = HttpTransport(url, token or os.environ.get("FOURFOLD_TOKEN", ""), progress)
        else:
            transport = HomeTransport(default_home() if home is None else Path(home).expanduser().absolute(), progress)
        super().__init__(transport)

    def close(self) -> None:
        """Let go of the home or the connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
