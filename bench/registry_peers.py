"""MLflow's registry, measured for bench/registry.py in an environment of its own: `python registry_peers.py FOLDER`.

A line of JSON in, a line of JSON out: {"fill": n} makes versions of one name until there are n; {"time": act} does the act once
and answers {"seconds": …}. Acts: create, list (the first 50), search (a tag, 50 hits), alias.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

NAME = "router"


class Registry:
    """MLflow on SQLite, through its client in this process, without a server between: its fastest way."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = MlflowClient(tracking_uri=url, registry_uri=url)
        self.client.create_registered_model(NAME)
        self.source, self.count, self.moves = (folder / "model").as_uri(), 0, 0

    def create(self) -> None:
        self.count += 1
        tags = {"family": "crf" if self.count % 2 else "ngram", "f1": f"{self.count % 1000 / 1000}"}
        self.client.create_model_version(NAME, self.source, tags=tags)

    def list(self) -> None:
        found = self.client.search_model_versions(f"name = '{NAME}'", max_results=50, order_by=["version_number DESC"])
        assert len(found) == 50

    def search(self) -> None:
        query = f"name = '{NAME}' and tags.family = 'crf'"
        found = self.client.search_model_versions(query, max_results=50, order_by=["version_number DESC"])
        assert len(found) == 50

    def alias(self) -> None:
        self.moves += 1
        self.client.set_registered_model_alias(NAME, "production", str(1 + self.moves % 100))


def main() -> None:
    registry = Registry(Path(sys.argv[1]))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        started = time.perf_counter()
        if "fill" in asked:
            while registry.count < asked["fill"]:
                registry.create()
        else:
            getattr(registry, asked["time"])()
        print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)


if __name__ == "__main__":
    main()
