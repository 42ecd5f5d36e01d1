"""The registry at 100, 5,000 and 100,000 versions of one name: create, list 50, search by tag, move an alias, beside MLflow's.

    python bench/registry.py [--json FILE] [--most 100000] [--mlflow PYTHON] [--url postgresql://…]

Each act is timed by turns with MLflow's at the same size; medians of 41 turns are shown, beside that of one sync of a small
file on the same disk: create makes 13 syncs, alias 5. Both keep SQLite on the same disk and are called in their own
process, without a server between. Fourfold's create is a whole publish: the run opened, a file stored, the version, its
audit row and the end of the run committed; MLflow's writes the row and its tags, and stores no file. Fourfold's versions up
to a size are made in transactions of 500, MLflow's one by one, which is why MLflow stops at 5,000. `--mlflow` names a
Python that has mlflow, by default one in the cache folder of the user, made when it is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fourfold.core.ids import new_id
from fourfold.core.nouns import Actor, Run, Version
from fourfold.storage import runs, versions
from fourfold.storage.found import found_versions
from fourfold.storage.ledger import Ledger

ACTS = ("create", "list", "search", "alias")
ACTOR = Actor("cli", "cli", "admin")
NAME = "router"
SIZES = (100, 5_000, 100_000)
TURNS = 41
PEER = Path(__file__).with_name("registry_peers.py")
MLFLOW_MOST = 5_000


class Ours:
    """A home; its versions are of one name, half of them tagged `crf`."""

    def __init__(self, home: Path, url: str | None) -> None:
        self.ledger, self.count, self.moves = Ledger.open(home, url=url), 0, 0
        self.create()
        self.first = self.ledger.version(f"{NAME}@1")

    def _meta(self) -> dict[str, Any]:
        return {"family": "crf" if self.count % 2 else "ngram", "f1": self.count % 1000 / 1000}

    def create(self) -> None:
        self.count += 1
        with self.ledger.run("train", kind="model", name=NAME, spec={"n": self.count}, actor=ACTOR) as run:
            (run.folder / "n.txt").write_text(str(self.count))
            run.meta.update(self._meta())

    def fill(self, count: int) -> None:
        """The same rows as `create`, in larger transactions and with one file for all."""
        while self.count < count:
            with self.ledger.write() as connection:
                for _ in range(min(500, count - self.count)):
                    self.count += 1
                    run_id = new_id("run")
                    row = Run(run_id, "train", NAME, {"n": self.count}, (), "cli", f"{self.count:064x}", "0", "running", 1.0)
                    runs.insert(connection, row)
                    number = versions.next_number(connection, NAME, "model")
                    made = Version(
                        new_id("ver"), NAME, number, "model", self.first.digest, run_id, time.time(), 1, self._meta()
                    )
                    versions.insert(connection, made, ())
                    runs.close(connection, run_id, error=None, figures={})

    def list(self) -> None:
        assert len(self.ledger.versions(name=NAME, limit=50)) == 50

    def search(self) -> None:
        where = "family = 'crf'"
        found = found_versions(self.ledger.database, name=NAME, kind=None, where=where, limit=50, before=None)
        assert len(found) == 50

    def alias(self) -> None:
        self.moves += 1
        self.ledger.move_alias(self.ledger.version(f"{NAME}@{1 + self.moves % 50}"), "production", actor=ACTOR)


class Mlflow:
    """MLflow's registry in a process of its own environment; see registry_peers.py."""

    def __init__(self, python: Path, folder: Path) -> None:
        folder.mkdir()
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [python, PEER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
            )
        self._line()

    def ask(self, **what: Any) -> float:
        """Seconds that it took there."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        return self._line()["seconds"]

    def _line(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


def mlflow_python(given: Path | None) -> Path:
    """A Python that has mlflow."""
    if given is not None:
        return given
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fourfold-bench" / "mlflow"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "mlflow==3.17.2"], check=True)
        (folder / "complete").touch()
    return folder / "bin" / "python"


def timed(act: Callable[[], None]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def sync(file: Path) -> None:
    """What the disk needs at least: a few bytes more, and their sync."""
    with file.open("ab") as out:
        out.write(b"x" * 512)
        out.flush()
        os.fsync(out.fileno())


def measure(size: int, ours: Ours, peer: Mlflow | None) -> list[dict[str, Any]]:
    """A row for each act: medians of TURNS turns, ours and theirs by turns."""
    ours.fill(size)
    if peer is not None:
        peer.ask(fill=size)
    rows = []
    for act in ACTS:
        mine: list[float] = []
        theirs: list[float] = []
        syncs: list[float] = []
        for turn in range(TURNS + 3):
            seconds = timed(getattr(ours, act))
            other = peer.ask(time=act) if peer is not None else 0.0
            floor = timed(lambda: sync(ours.ledger.home / "sync"))
            if turn >= 3:  # the first warm up
                syncs.append(floor)
                mine.append(seconds)
                theirs.append(other)
        row: dict[str, Any] = {"versions": size, "act": act, "fourfold ms": statistics.median(mine) * 1000}
        if peer is not None:
            row["mlflow ms"] = statistics.median(theirs) * 1000
            row["times faster"] = row["mlflow ms"] / row["fourfold ms"]
        if act in ("create", "alias"):
            row["one sync ms"] = statistics.median(syncs) * 1000
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--most", type=int, default=SIZES[-1])
    parser.add_argument("--mlflow", type=Path, metavar="PYTHON")
    parser.add_argument("--url")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(Path(folder) / "home", chosen.url)
        peer = Mlflow(mlflow_python(chosen.mlflow), Path(folder) / "mlflow")
        facts = ours.ledger.database.facts()
        rows: list[dict[str, Any]] = []
        for size in SIZES:
            if size <= chosen.most:
                rows += measure(size, ours, peer if size <= MLFLOW_MOST else None)
        ours.ledger.close()
        peer.process.communicate()
    if chosen.json:
        load = f"load {os.getloadavg()[1]:.1f} of the last five minutes"
        result = {
            "title": "Registry",
            "note": __doc__,
            "machine": f"{os.cpu_count()} cores, {facts['server']} {facts.get('journal', '')}, {load}",
            "date": time.strftime("%Y-%m-%d"),
            "rows": rows,
        }
        chosen.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
