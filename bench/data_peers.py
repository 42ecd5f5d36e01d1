"""The peer of data.py, run by it in an environment of its own: datatrove's formatters and filters on the same texts.

    python bench/data_peers.py TEXTS.jsonl      CPU seconds of each stage as JSON on the last line

Its tokeniser's start-up is measured apart, by filtering one document first. Of near-duplicate removal only the signatures are
computed, without its buckets, clusters and filter, so that it does less work than Fourfold does here.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.formatters import FTFYFormatter, PIIFormatter


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        documents = [Document(text=json.loads(line), id=str(i)) for i, line in enumerate(file)]
    unicode, personal = FTFYFormatter(), PIIFormatter()
    signatures = MinhashDedupSignature(tempfile.mkdtemp(), config=MinhashConfig())
    stages: dict[str, Callable[[Document], Any]] = {
        "Unicode": lambda document: unicode.format(document.text),
        "Gopher quality": GopherQualityFilter().filter,
        "Gopher repetition": GopherRepetitionFilter().filter,
        "FineWeb quality": FineWebQualityFilter().filter,
        "personal data": lambda document: personal.format(document.text),
        "near-duplicates": lambda document: signatures.get_signature(signatures.get_shingles(document.text)),
    }
    seconds = {}
    for name, stage in stages.items():
        started = time.process_time()
        stage(documents[0])
        warm = time.process_time()
        for document in documents:
            stage(document)
        seconds[name] = time.process_time() - warm
        seconds[f"{name}, start-up"] = warm - started
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
