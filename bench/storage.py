"""What it takes to publish 1 GiB of safetensors, side by side with `cp` and fsync of it; and what a second version adds.

    python bench/storage.py [--json FILE] [--mib 1024] [--times 3]

The model has random tensors of 1 MiB. `cp` and publish are timed by turns; a publish digests the file twice (BLAKE3, SHA-256),
cuts it at its tensors, and syncs every chunk. New bytes are those that the store grew by, as a share of the model.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from fourfold.core.nouns import Actor
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_bench", "bench", "admin")
TENSOR_BYTES = 1 << 20


def header(count: int, note: str) -> bytes:
    """The head of safetensors with `count` tensors of TENSOR_BYTES."""
    tensors = {
        f"layers.{i}.weight": {
            "dtype": "U8",
            "shape": [TENSOR_BYTES],
            "data_offsets": [i * TENSOR_BYTES, (i + 1) * TENSOR_BYTES],
        }
        for i in range(count)
    }
    text = json.dumps({"__metadata__": {"note": note}, **tensors}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write_model(path: Path, count: int, changed: set[int], note: str) -> None:
    """A model of random tensors, the same each time but for those that are `changed`."""
    with path.open("wb") as file:
        file.write(header(count, note))
        for i in range(count):
            file.write(np.random.default_rng([i, i in changed]).bytes(TENSOR_BYTES))


def copied(source: Path, target: Path) -> float:
    """Seconds of `cp` and fsync."""
    begun = time.perf_counter()
    shutil.copyfile(source, target)
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    seconds = time.perf_counter() - begun
    target.unlink()
    return seconds


def published(ledger: Ledger, source: Path) -> float:
    """Seconds from a run's finished files to the committed version."""
    with ledger.run("train", kind="model", name="large", spec={}, actor=OWNER) as run:
        source.rename(run.folder / "model.safetensors")
        begun = time.perf_counter()
    return time.perf_counter() - begun


def stored(home: Path) -> int:
    """Bytes in the blob store."""
    return sum(path.stat().st_size for path in (home / "blobs").rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    random = np.random.default_rng(1)
    pairs, more = [], {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        folder = Path(name)
        for i in range(options.times):
            write_model(folder / "model", options.mib, set(), "first")
            os.sync()
            seconds = copied(folder / "model", folder / "copy")
            with_ledger = Ledger.open(folder / f"home{i}")
            pairs.append((seconds, published(with_ledger, folder / "model")))
            if i == 0:
                changed = set(random.choice(options.mib, options.mib * 2 // 100, replace=False).tolist())
                for what, note in (("2 % changed", "first"), ("2 % changed, header longer", "second " * 1000)):
                    before = stored(folder / "home0")
                    write_model(folder / "model", options.mib, changed, note)
                    published(with_ledger, folder / "model")
                    more[what] = (stored(folder / "home0") - before) / (options.mib << 20)
                    changed = {(j + 1) % options.mib for j in changed}
            with_ledger.close()
            shutil.rmtree(folder / f"home{i}")
    cp, publish = (statistics.median(pair[k] for pair in pairs) for k in (0, 1))
    rows: list[dict[str, Any]] = [
        {"what": "cp and fsync", "seconds": cp, "rounds": [pair[0] for pair in pairs]},
        {"what": "publish", "seconds": publish, "speed of cp": cp / publish, "rounds": [pair[1] for pair in pairs]},
        *({"what": f"a second version, {what}", "new bytes, %": share * 100} for what, share in more.items()),
    ]
    for row in rows:
        print(json.dumps(row))
    if options.json:
        load = f"load {os.getloadavg()[1]:.1f} of the last five minutes"
        result = {
            "title": f"Storage: a model of {options.mib} MiB",
            "note": __doc__,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {load}",
            "date": time.strftime("%Y-%m-%d"),
            "rows": rows,
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
