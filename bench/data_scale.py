"""Cleaning and de-identifying from 10 MB to 1 GB on one core: throughput and peak memory, each size in a process of its own.

python bench/data_scale.py [--json FILE] [--megabytes 10 100 1000]

Steps: normalise, keep_languages, gopher_quality, drop_near_duplicates, then deidentify with patterns: as many passes as the
product makes, files read and written included. The texts are drawn by a seeded generator from the English treebank of the
test data (FOURFOLD_TEST_DATA, else ../shared/data), a tenth of them near-duplicates. Throughput is by CPU seconds. Memory is
anonymous memory (RssAnon, looked at twenty times a second); what is mapped from files, which the kernel may take back,
stands beside it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fourfold.data.clean import build_steps, clean_into
from fourfold.data.dataset import Dataset
from fourfold.data.deidentify import build_actions, deidentify_into
from fourfold.data.detectors.patterns import Patterns
from fourfold.data.fragments import FragmentWriter

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FOURFOLD_TEST_DATA", ROOT.parent / "shared" / "data"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}
STEPS = ["normalise", "keep_languages", "gopher_quality", "drop_near_duplicates"]


def texts(size_bytes: int) -> Iterator[str]:
    """Texts of about that many bytes together."""
    rng, lines, size = np.random.default_rng(1), [], 0
    for path in sorted((DATA / "ud-english-ewt").glob("*train*.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines += [line.partition("# text = ")[2].strip() for line in file if line.startswith("# text = ")]
    text = ""
    while size < size_bytes:
        if text and rng.random() < 0.1:
            at = int(rng.integers(len(text)))
            text = text[:at] + text[at + 10 :]
        else:
            sentences = [lines[i] for i in rng.integers(len(lines), size=int(rng.integers(5, 35)))]
            breaks = rng.random(len(sentences)) < 0.25
            text = "".join(s + ("\n" if b else " ") for s, b in zip(sentences, breaks)).strip()
            if rng.random() < 0.1:
                text += f" Call 138{int(rng.integers(10**8)):08} or write to n{int(rng.integers(1000))}@mail.example."
        size += len(text.encode())
        yield text


def generate(folder: Path, size_bytes: int) -> int:
    """A dataset's folder; rows."""
    writer = FragmentWriter(folder)
    for i, text in enumerate(texts(size_bytes)):
        row = {"doc_id": f"doc_{i:016}", "text": text, "source": f"a.txt#{i}", "source_digest": "0" * 64, "fetched_at": None}
        writer.add(row, len(text.encode()))
    writer.close()
    return writer.rows


class Watch(threading.Thread):
    """The peak of anonymous memory in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.start()

    def run(self) -> None:
        while True:
            status = Path("/proc/self/status").read_text()
            self.peak = max(self.peak, int(status.partition("RssAnon:")[2].split()[0]) << 10)
            time.sleep(0.05)


def measure(source: Path, folder: Path) -> dict[str, float]:
    """CPU seconds and memory of one size."""
    watch = Watch()
    (folder / "clean").mkdir()
    (folder / "safe").mkdir()
    started = time.process_time()
    cleaned = clean_into(Dataset(source), folder / "clean", build_steps(STEPS))
    safe = deidentify_into(Dataset(folder / "clean"), folder / "safe", [Patterns()], build_actions("mask", {}))
    seconds = time.process_time() - started
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return {"seconds": seconds, "peak": watch.peak, "rss": rss, "rows": cleaned["rows_before"], "left": safe["rows"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--generate", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(*chosen.measure)))
        return
    if chosen.generate:
        print(generate(Path(chosen.generate[0]), int(float(chosen.generate[1]) * 1e6)))
        return
    rows = []
    for megabytes in chosen.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "in").mkdir()
            again = [sys.executable, __file__]
            subprocess.run([*again, "--generate", f"{folder}/in", str(megabytes)], check=True, env=ENVIRONMENT)
            done = subprocess.run(
                [*again, "--measure", f"{folder}/in", folder], check=True, env=ENVIRONMENT, capture_output=True
            )
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append(
            {
                "MB": megabytes,
                "documents": found["rows"],
                "left": found["left"],
                "CPU s": found["seconds"],
                "MB/s": megabytes / found["seconds"],
                "peak memory, MB": found["peak"] / 1e6,
                "with mapped files, MB": found["rss"] / 1e6,
            }
        )
        print(rows[-1], flush=True)
    if chosen.json:
        load = f"load {os.getloadavg()[0]:.1f}"
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {load}"
        document = {
            "title": "Cleaning by size",
            "note": __doc__,
            "machine": machine,
            "date": time.strftime("%Y-%m-%d"),
            "rows": rows,
        }
        chosen.json.write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
