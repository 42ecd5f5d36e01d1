"""The other peer of data.py, run by it in an environment of its own: data-juicer's matching operators on the same texts.

    python bench/data_juicer_peers.py TEXTS.jsonl      CPU seconds of each stage as JSON on the last line

Operators are called as its executor calls them, on batches of 1,000 texts, with their default settings. They do less than the
stage that they stand beside: of Gopher's quality rules it has the number of words and the shares of letters and of signs (its
stop words and its language filter want to download data), of the repetition rules one for words and one for characters, of
near-duplicate removal only the signatures are computed here.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from data_juicer.ops.deduplicator.document_minhash_deduplicator import DocumentMinhashDeduplicator
from data_juicer.ops.filter.alphanumeric_filter import AlphanumericFilter
from data_juicer.ops.filter.character_repetition_filter import CharacterRepetitionFilter
from data_juicer.ops.filter.special_characters_filter import SpecialCharactersFilter
from data_juicer.ops.filter.word_repetition_filter import WordRepetitionFilter
from data_juicer.ops.filter.words_num_filter import WordsNumFilter
from data_juicer.ops.mapper.clean_email_mapper import CleanEmailMapper
from data_juicer.ops.mapper.clean_ip_mapper import CleanIpMapper
from data_juicer.ops.mapper.fix_unicode_mapper import FixUnicodeMapper
from data_juicer.utils.constant import Fields

BATCH = 1000


def batch(texts: list[str]) -> dict[str, list[Any]]:
    """Samples as its operators take them."""
    return {"text": list(texts), Fields.stats: [{} for _ in texts]}


def mapped(*operators: Any) -> Callable[[list[str]], Any]:
    """Mappers, one after another."""

    def run(texts: list[str]) -> None:
        samples = batch(texts)
        for operator in operators:
            samples = operator.process_batched(samples)

    return run


def filtered(*operators: Any) -> Callable[[list[str]], Any]:
    """Filters: figures of each text, then whether it stays."""

    def run(texts: list[str]) -> None:
        samples = batch(texts)
        for operator in operators:
            samples = operator.compute_stats_batched(samples)
            list(operator.process_batched(samples))

    return run


def hashed(operator: Any) -> Callable[[list[str]], Any]:
    """Signatures of texts."""

    def run(texts: list[str]) -> None:
        for text in texts:
            operator.compute_hash({"text": text})

    return run


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        texts = [json.loads(line) for line in file]
    stages = {
        "Unicode": mapped(FixUnicodeMapper()),
        "Gopher quality": filtered(
            WordsNumFilter(min_num=50, max_num=100_000), AlphanumericFilter(), SpecialCharactersFilter()
        ),
        "Gopher repetition": filtered(WordRepetitionFilter(), CharacterRepetitionFilter()),
        "personal data": mapped(CleanEmailMapper(), CleanIpMapper()),
        "near-duplicates": hashed(DocumentMinhashDeduplicator()),
    }
    seconds = {}
    for name, stage in stages.items():
        started = time.process_time()
        stage(texts[:1])
        warm = time.process_time()
        for start in range(0, len(texts), BATCH):
            stage(texts[start : start + BATCH])
        seconds[name] = time.process_time() - warm
        seconds[f"{name}, start-up"] = warm - started
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
