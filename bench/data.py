"""Cleaning beside datatrove: CPU seconds of each stage on one core, the same texts, in one run; medians of the rounds.

    python bench/data.py [--json FILE] [--rounds 3] [--megabytes 3] [--peer PYTHON]

The texts are drawn by a seeded generator from the English treebank of the test data (FOURFOLD_TEST_DATA, else
../shared/data), a tenth of them near-duplicates, a tenth with a phone number and an address. Stages are the same filters with
their default settings. "Personal data" is e-mail and IP addresses in datatrove; in Fourfold these and identity, card and phone
numbers. datatrove's FineWeb filter has one rule more, which counts words. Its language filter
wants to download a model, so that stage has no peer and stands outside the totals. Of near-duplicate removal datatrove
computes only the signatures here, Fourfold all of it.
datatrove runs in build/peers/datatrove, made when first needed, or in the environment of --peer.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from fourfold.data.deidentify import build_actions
from fourfold.data.detectors.patterns import Patterns
from fourfold.data.scrub import Scrubber
from fourfold.data.steps import STEPS, Barrier

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FOURFOLD_TEST_DATA", ROOT.parent / "shared" / "data"))
PEER = ROOT / "build" / "peers" / "datatrove"
INSTALL = ("datatrove[processing]==0.10.1", "spacy")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
STAGES = {
    "Unicode": "normalise",
    "language": "keep_languages",
    "Gopher quality": "gopher_quality",
    "Gopher repetition": "gopher_repetition",
    "FineWeb quality": "fineweb_quality",
    "personal data": "",
    "near-duplicates": "drop_near_duplicates",
}


def generate(size_bytes: int) -> list[str]:
    """Texts of about that many bytes together."""
    rng, lines, texts, size = random.Random(1), [], [], 0
    for path in sorted((DATA / "ud-english-ewt").glob("*train*.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines += [line.partition("# text = ")[2].strip() for line in file if line.startswith("# text = ")]
    while size < size_bytes:
        if texts and rng.random() < 0.1:
            text = rng.choice(texts)
            at = rng.randrange(len(text))
            text = text[:at] + text[at + 10 :]
        else:
            paragraphs = (" ".join(rng.choice(lines) for _ in range(rng.randint(2, 6))) for _ in range(rng.randint(2, 8)))
            text = "\n".join(paragraphs)
        if rng.random() < 0.1:
            text += f" Call 138{rng.randrange(10**8):08} or write to n{rng.randrange(1000)}@mail.example."
        texts.append(text)
        size += len(text.encode())
    return texts


def ours(file: Path) -> dict[str, float]:
    """CPU seconds of each stage of Fourfold."""
    texts = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    table = pa.table({"doc_id": [f"doc_{i}" for i in range(len(texts))], "text": texts})
    seconds = {}
    for name, step in STAGES.items():
        started = time.process_time()
        if not step:
            Scrubber([Patterns()], build_actions("mask", {})).column("text", texts)
        else:
            part = STEPS.build(step)
            part(part.keys(table) if isinstance(part, Barrier) else table)
        seconds[name] = time.process_time() - started
    return seconds


def measured(command: list[str]) -> dict[str, float]:
    """What a process of its own prints on its last line."""
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peer() -> Path:
    """The Python of datatrove's environment."""
    python = PEER / "bin" / "python"
    if not (PEER / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEER)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *INSTALL], check=True)
        (PEER / "ready").touch()
    return python


def table(own: list[dict[str, float]], other: list[dict[str, float]], megabytes: float) -> list[dict[str, object]]:
    """A row per stage, then the whole of those that both have."""
    rows: list[dict[str, object]] = []
    total = [0.0, 0.0]
    for stage in STAGES:
        mine = statistics.median(one[stage] for one in own)
        theirs = statistics.median(one[stage] for one in other) if stage in other[0] else None
        start = statistics.median(one[f"{stage}, start-up"] for one in other) if theirs is not None else None
        if theirs is not None:
            total = [total[0] + mine, total[1] + theirs]
        rows.append(row(stage, mine, theirs, start, megabytes))
    return [*rows, row("all that both have", total[0], total[1], None, megabytes)]


def row(stage: str, mine: float, theirs: float | None, start: float | None, megabytes: float) -> dict[str, object]:
    """One line of the table."""
    return {
        "stage": stage,
        "Fourfold, CPU s": mine,
        "datatrove, CPU s": theirs,
        "its start-up, CPU s": start,
        "times faster": None if theirs is None else theirs / mine,
        "Fourfold, MB/s": megabytes / mine,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=float, default=3)
    parser.add_argument("--peer", type=Path, help="a Python that has datatrove")
    parser.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.ours:
        print(json.dumps(ours(chosen.ours)))
        return
    python = chosen.peer or peer()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.jsonl"
        texts = generate(int(chosen.megabytes * 1e6))
        file.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
        own: list[dict[str, float]] = []
        other: list[dict[str, float]] = []
        for _ in range(chosen.rounds):
            own.append(measured([sys.executable, __file__, "--ours", str(file)]))
            other.append(measured([str(python), str(ROOT / "bench" / "data_peers.py"), str(file)]))
    rows = table(own, other, chosen.megabytes)
    for one in rows:
        print(one)
    if chosen.json:
        machine = (
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
        )
        title = f"Cleaning, {chosen.megabytes:g} MB of English in {len(texts):,} documents, {chosen.rounds} rounds"
        document = {"title": title, "note": __doc__, "machine": machine, "date": time.strftime("%Y-%m-%d"), "rows": rows}
        chosen.json.write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
