"""N-gram training and queries: tokens per CPU second, peak memory, and the kenlm module beside.

    python bench/ngram.py [--json FILE] [--characters 5000000 ...]

Trains at order 5 on the characters of `yuanqu` and on texts sampled from a model of it; each in a process of its own, so that
its peak memory is its own. Sampled text lacks rare characters, so discounts have a fallback. KenLM's trainer lmplz has no
package; its row is the published figure.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.compute.families.ngram import Ngram
from fourfold.compute.ngram.query import Kenlm, Lookup, Scorer
from fourfold.compute.ngram.text import BEGIN, END, read_texts
from fourfold.core.progress import silent
from fourfold.data.dataset import Dataset

DATA = Path(os.environ.get("FOURFOLD_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
LMPLZ = {"what": "train", "tool": "lmplz (published)", "characters": 18_700_000, "order": 5, "tokens_per_cpu_second": 331_000}
NOTE = (
    "Training reads Parquet and writes counts, ARPA and query tables; peak memory is that of the whole process. lmplz was not "
    "run here: its row is its published figure, from another machine. Both ways of querying are given the same ids."
)
ROWS = 200_000  # of a fragment


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--characters", type=int, nargs="*", default=[5_000_000])
    arguments.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.train:
        print(json.dumps(train(given.train)))
        return
    rows = [LMPLZ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = gzip.decompress((DATA / "yuanqu" / "yuanqu.txt.gz").read_bytes()).decode().split("\n")
        held, kept = lines[::10], [line for i, line in enumerate(lines) if i % 10]
        rows.append(measured("yuanqu", kept, folder))
        model = Ngram.load(folder / "yuanqu-model", "numpy")
        for characters in given.characters:
            rows.append(measured(f"sampled-{characters}", sampled(model.lookup, characters), folder))
        rows += queries(model.lookup, folder / "yuanqu-model", held)
    for row in rows:
        print(" ".join(f"{key}={value}" for key, value in row.items()))
    if given.json:
        document = {
            "title": "n-gram: training at order 5, and queries",
            "note": NOTE,
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
            "date": datetime.date.today().isoformat(),
            "rows": rows,
        }
        given.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def measured(name: str, lines: list[str], folder: Path) -> dict[str, object]:
    """A row: training on these lines in a process of its own."""
    data = folder / name
    data.mkdir()
    for start in range(0, len(lines), ROWS):
        part = lines[start : start + ROWS]
        table = pa.table({"doc_id": [str(start + i) for i in range(len(part))], "text": part})
        pq.write_table(table, data / f"fragment-{start // ROWS:05}.parquet")
    done = subprocess.run([sys.executable, __file__, "--train", str(data)], capture_output=True, text=True, check=True)
    return {"what": "train", "tool": "fourfold", "data": name, **json.loads(done.stdout)}


def train(data: Path) -> dict[str, object]:
    """CPU seconds of training on a dataset, reading and writing of all files among them."""
    before, start = peak_mb(), time.process_time()
    meta = Ngram(order=5, unit="character", discount_fallback=(0.5, 1.0, 1.5)).fit(
        Dataset(data), None, data.with_name(f"{data.name}-model"), silent
    )
    seconds = time.process_time() - start
    tokens = meta["training"]["tokens"]
    return {
        "tokens": tokens,
        "order": 5,
        "ngrams": sum(meta["training"]["ngrams"]),
        "cpu_seconds": round(seconds, 2),
        "tokens_per_cpu_second": round(tokens / seconds),
        "peak_mb": peak_mb(),
        "peak_mb_before": before,
    }


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def queries(lookup: Lookup, folder: Path, lines: list[str]) -> list[dict[str, object]]:
    """Tokens scored per second, ids given: all lines at once, and line by line, as requests come."""
    ids = lookup.ids(read_texts(lines, "character"))
    each = np.split(ids, np.flatnonzero(ids == BEGIN)[1:])[:2000]
    rows = []
    scorers: dict[str, Scorer] = {"fourfold numpy": lookup}
    if find_spec("kenlm"):
        scorers["kenlm module"] = Kenlm(folder / "model.arpa", lookup.tables.words)
    for tool, scorer in scorers.items():
        for shape, parts in (("batch", [ids]), ("line by line", each)):
            start = time.process_time()
            total = sum(float(scorer.log10(part).sum()) for part in parts)
            seconds, tokens = time.process_time() - start, sum(int((part != BEGIN).sum()) for part in parts)
            row = {"what": "query", "tool": tool, "shape": shape, "tokens": tokens, "log10": round(total, 3)}
            rows.append({**row, "tokens_per_cpu_second": round(tokens / seconds)})
    return rows


def sampled(lookup: Lookup, characters: int) -> list[str]:
    """Lines like those that the model was trained on: many drawn at once, each word from a context or from the one below it."""
    draw, tables, bits = np.random.default_rng(0), lookup.tables, lookup.bits
    probability = [10.0 ** table.astype(np.float64) for table in tables.log10]
    probability[0][BEGIN] = 0.0
    sums = [np.concatenate([[0.0], np.cumsum(p)]) for p in probability]
    lines, size = [], 0
    while size < characters:
        state = np.repeat(lookup.start()[None], 5000, axis=0)
        words = np.full((len(state), 60), END)
        for place in range(words.shape[1]):
            chosen = np.searchsorted(sums[0], draw.random(len(state)) * sums[0][-1], "right") - 1
            for m in range(1, lookup.order):
                rows = state[:, m - 1]
                first, last = np.searchsorted(tables.keys[m], [rows << bits, rows + 1 << bits])
                first, last = np.where(rows < 0, 0, first), np.where(rows < 0, 0, last)
                target = sums[m][first] + draw.random(len(state))
                inside = target < sums[m][last]
                at = np.searchsorted(sums[m], target[inside], "right") - 1
                chosen[inside] = tables.keys[m][at] & ((1 << bits) - 1)
            words[:, place] = chosen
            state = lookup.after(state, chosen)
        ended = words == END
        for line, stop in zip(words.tolist(), np.where(ended.any(axis=1), ended.argmax(axis=1), words.shape[1]).tolist()):
            if stop:
                lines.append("".join([tables.words[i] for i in line[:stop]]))
                size += stop
    return lines


if __name__ == "__main__":
    main()
