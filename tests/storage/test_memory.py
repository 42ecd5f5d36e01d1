"""Publishing and laying out a version takes the memory of a few chunks, however large it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_BYTES = 512_000_000

# argv: home, bytes. The file is sparse: it reads as zeros and takes no room, and as one chunk it is stored once.
PROGRAM = """
import json, re, sys
from pathlib import Path
from fourfold.core.nouns import Actor
from fourfold.storage.ledger import Ledger

ledger = Ledger.open(Path(sys.argv[1]))
with ledger.run("train", kind="model", name="huge", spec={}, actor=Actor("key_owner", "owner", "admin")) as run:
    with (run.folder / sys.argv[3]).open("wb") as file:
        file.truncate(int(sys.argv[2]))
chunks = ledger.manifest(run.version).files[0].chunks
# not getrusage: that counts the process that forked this one, too
peak = 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps({"size": sum(c.size_bytes for c in chunks), "chunks": len(chunks), "peak": peak}))
ledger.close()
"""


@pytest.mark.parametrize("size", [1 << 30, pytest.param(100 * 10**9, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_a_large_version_takes_little_memory(tmp_path: Path, size: int) -> None:
    command = [sys.executable, "-c", PROGRAM, tmp_path / "home", str(size), "huge.bin"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["size"] == size
    assert found["chunks"] >= size >> 24  # none larger than 16 MiB
    assert found["peak"] <= LIMIT_BYTES
