"""A ledger on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fourfold.core.nouns import Actor, Version
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")


@pytest.fixture
def ledger(tmp_path: Path, database_url: str) -> Iterator[Ledger]:
    """An empty home."""
    opened = Ledger.open(tmp_path / "home", url=database_url)
    yield opened
    opened.close()


class Publisher:
    """Publishes small versions."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def __call__(
        self,
        name: str = "words",
        content: str = "hello",
        *,
        inputs: tuple[Version, ...] = (),
        kind: str = "model",
        **meta: object,
    ) -> Version:
        spec = {"content": content}
        with self.ledger.run("train", kind=kind, name=name, spec=spec, inputs=inputs, actor=OWNER) as run:  # type: ignore[arg-type]
            (run.folder / "weights.txt").write_text(content)
            run.meta.update(meta)
        return run.version


@pytest.fixture
def publish(ledger: Ledger) -> Publisher:
    """Publish a version: `publish(name, content, inputs=…)`."""
    return Publisher(ledger)
