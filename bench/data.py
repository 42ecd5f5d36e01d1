"""Cleaning beside datatrove and data-juicer: CPU seconds of each stage on one core, the same texts, in one run; medians of the
rounds.

    python bench/data.py [--json FILE] [--rounds 3] [--megabytes 3] [--datatrove PYTHON] [--juicer PYTHON]

The texts are drawn by a seeded generator from the English treebank of the test data (FOURFOLD_TEST_DATA, else
../shared/data), a tenth of them near-duplicates, a tenth with a phone number and an address. Stages are the same filters with
their default settings. "Personal data" is e-mail and IP addresses in datatrove and data-juicer; in Fourfold these and identity,
card, passport and phone numbers with their check digits, and number plates. datatrove's FineWeb filter has one rule more, which
counts words. The language filters of both want to download a model, so that stage stands outside the totals. Of near-duplicate
removal both compute only the signatures here, Fourfold all of it. data-juicer has no Gopher and no FineWeb rules: beside them
stand its number of words with shares of letters and of signs, and its two repetition filters.
Peers run in build/peers, made when first needed, or in the environments that are named. Their start-up is not counted.
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
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from fourfold.data.deidentify import build_actions
from fourfold.data.detectors.patterns import Patterns
from fourfold.data.scrub import Scrubber
from fourfold.data.steps import STEPS, Barrier

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FOURFOLD_TEST_DATA", ROOT.parent / "shared" / "data"))
PEERS = {  # name → script beside this one, what its environment holds
    "datatrove": ("data_peers.py", ("datatrove[processing]==0.10.1", "spacy")),
    "data-juicer": ("data_juicer_peers.py", ("py-data-juicer==1.6.1", "ftfy", "scipy", "aiohttp")),
}
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
    """CPU seconds of each stage of Fourfold; as of the peers, without the start-up, which the first document pays."""
    texts = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    table = pa.table({"doc_id": [f"doc_{i}" for i in range(len(texts))], "text": texts})
    seconds = {}
    for name, step in STAGES.items():
        run = stage(step)
        run(table.slice(0, 1))
        started = time.process_time()
        run(table)
        seconds[name] = time.process_time() - started
    return seconds


def stage(step: str) -> Callable[[pa.Table], object]:
    """What a step does to a table; an empty name stands for finding and masking personal data."""
    if not step:
        scrubber = Scrubber([Patterns()], build_actions("mask", {}))
        return lambda table: scrubber.column("text", table["text"].to_pylist())
    part = STEPS.build(step)
    return (lambda table: part(part.keys(table))) if isinstance(part, Barrier) else part


def measured(command: list[str]) -> dict[str, float]:
    """What a process of its own prints on its last line."""
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def environment(name: str) -> Path:
    """The Python of a peer's environment."""
    folder = ROOT / "build" / "peers" / name
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEERS[name][1]], check=True)
        (folder / "ready").touch()
    return python


Rounds = list[dict[str, float]]


def table(own: Rounds, others: dict[str, Rounds], megabytes: float) -> list[dict[str, object]]:
    """A row per stage, then one for all the stages that Fourfold and each peer both have."""
    rows: list[dict[str, object]] = []
    for stage in STAGES:
        theirs = {name: _median(found, stage) for name, found in others.items()}
        rows.append(row(stage, dict.fromkeys(others, _median(own, stage) or 0.0), theirs, megabytes))
    both = {name: [stage for stage in STAGES if stage in found[0]] for name, found in others.items()}
    mine = {name: sum(_median(own, stage) or 0.0 for stage in stages) for name, stages in both.items()}
    total = {name: sum(_median(others[name], stage) or 0.0 for stage in stages) for name, stages in both.items()}
    for name in others:
        rows.append(row(f"all that {name} has, too", mine, {name: total[name]}, megabytes))
    return rows


def _median(rounds: Rounds, stage: str) -> float | None:
    return statistics.median(one[stage] for one in rounds) if stage in rounds[0] else None


def row(stage: str, mine: dict[str, float], theirs: dict[str, float | None], megabytes: float) -> dict[str, object]:
    """One line of the table."""
    first = mine[next(iter(theirs))]
    found: dict[str, object] = {"stage": stage, "Fourfold, CPU s": first, "Fourfold, MB/s": megabytes / first}
    for name in mine:
        seconds = theirs.get(name)
        found[f"{name}, CPU s"] = seconds
        found[f"times {name}"] = None if seconds is None else seconds / mine[name]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=float, default=3)
    parser.add_argument("--datatrove", type=Path, help="a Python that has datatrove")
    parser.add_argument("--juicer", type=Path, help="a Python that has data-juicer")
    parser.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.ours:
        print(json.dumps(ours(chosen.ours)))
        return
    given = {"datatrove": chosen.datatrove, "data-juicer": chosen.juicer}
    pythons = {name: given[name] or environment(name) for name in PEERS}
    own: Rounds = []
    others: dict[str, Rounds] = {name: [] for name in PEERS}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.jsonl"
        texts = generate(int(chosen.megabytes * 1e6))
        file.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
        for _ in range(chosen.rounds):
            own.append(measured([sys.executable, __file__, "--ours", str(file)]))
            for name, (script, _) in PEERS.items():
                others[name].append(measured([str(pythons[name]), str(ROOT / "bench" / script), str(file)]))
    rows = table(own, others, chosen.megabytes)
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
