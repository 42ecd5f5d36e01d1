"""A PostgreSQL pair and a three-node S3 on this machine, to rehearse failover: `python -m tests.faults.cluster FOLDER`.

Prints what to put into `fourfold.toml` and into S3 clients, then obeys lines of standard input: `kill primary`, `kill 1`,
`start 1` (nodes 1 to 3 of S3), `state`; the end of the input, or `quit`, ends all of it. A watcher promotes the
standby by itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.faults.postgres import Pair, Watcher, answers, programs
from tests.faults.swift import ACCESS_KEY, SECRET_KEY, Swift, python


def main(folder: Path) -> None:
    """Build, obey, end."""
    swift = Swift(folder / "swift", python())
    pair = Pair(programs())
    watcher = Watcher(pair)
    try:
        bucket = swift.make_bucket("fourfold")
        print(f'database = "{pair.url}"')
        print(f"S3: {swift.url}, bucket {bucket}, access key {ACCESS_KEY}, secret key {SECRET_KEY}", flush=True)
        for line in sys.stdin:
            if line.strip() == "quit":
                break
            print(obey(line.split(), swift, pair, watcher), flush=True)
    finally:
        watcher.close()
        pair.close()
        swift.close()


def obey(words: list[str], swift: Swift, pair: Pair, watcher: Watcher) -> str:
    """Do what a line says; what to print."""
    match words:
        case ["kill", "primary"]:
            pair.one.kill()
            return "killed"
        case ["kill", "1" | "2" | "3" as node] if f"node{node}" in swift.processes:
            swift.kill(int(node))
            return "killed"
        case ["start", "1" | "2" | "3" as node] if f"node{node}" not in swift.processes:
            swift.start(int(node))
            return "started"
        case ["state"]:
            alive = {name: answers(node.url, 2) for name, node in (("one", pair.one), ("two", pair.two))}
            return f"postgres {alive}, promoted {watcher.promoted.is_set()}, swift {sorted(swift.processes)}"
    return "kill primary, kill N, start N (N is 1, 2 or 3), state, quit"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
