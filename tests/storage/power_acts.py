"""What loses its power in tests/storage/test_power_cuts.py: `python -m tests.storage.power_acts HOME`.

A home is made; versions are published whose models are cut and written by threads; garbage is collected, a version is erased.
What was acknowledged is marked among the changes of files.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.faults.power import mark
from tests.storage.test_cutting import model

from fourfold.core.nouns import Actor
from fourfold.storage import cutting, erase
from fourfold.storage.collect_garbage import collect_garbage
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")


def main(home: Path) -> None:
    cutting.TENSORS_BYTES, cutting.OWN_BYTES = 1024, 1024
    ledger = Ledger.open(home)
    mark("opened")
    publish(ledger, "first")
    publish(ledger, "second")
    collect_garbage(ledger, actor=OWNER, grace_seconds=0)
    publish(ledger, "third")
    mark("erasing words@2")
    erase.erase(ledger, ["words@2"], actor="owner", reason="")
    mark("erased words@2")
    ledger.move_alias(ledger.version("words@3"), "production", actor=OWNER)
    mark("moved words@3")
    ledger.close()


def publish(ledger: Ledger, text: str) -> None:
    with ledger.run("train", kind="model", name="words", spec={}, actor=OWNER) as run:
        (run.folder / "a.txt").write_text(text * 300)
        tensors = {"same": bytes(range(256)) * 5, "own": text.encode().ljust(8)[:8] * 160}
        (run.folder / "model.safetensors").write_bytes(model(tensors))
    mark(f"published {run.version.ref} {run.version.digest}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
