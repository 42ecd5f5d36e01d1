"""The CRF family against its peer and its acceptance figures, on public treebanks (FOURFOLD_TEST_DATA, else ../shared/data).

    python bench/crf.py --ewt        train on EWT: dev accuracy, calibration, training time; then tokens/s beside the peer
    python bench/crf.py --gsdsimp    five-fold cross-validation on GSDSimp: segmentation, words with tags, tags of given words
    python bench/crf.py --words      the tokenizer against EWT's own words
    --set '{"l2": 1.0}'              other settings of the family
    --json FILE                      also write the figures as a table of docs/benchmarks.md

The peer is python-crfsuite as a good engineer feeds it: features of a word at a place cached, a sentence's features joined from
them; the same features, the same model file, a label and its marginal for each token.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pycrfsuite

from fourfold.compute.calibrate import choose_calibration
from fourfold.compute.crf.attributes import EDGE, JOIN, Attributes
from fourfold.compute.crf.features import FUNCTIONS, Lexicon
from fourfold.compute.crf.sentences import Piece, casing, locate, word_sentence
from fourfold.compute.crf.template import columns_of, parse_template
from fourfold.compute.crf.words import find_words
from fourfold.compute.families.crf import Crf
from fourfold.compute.tasks import TagInput, TagOptions
from fourfold.core.build import build_part
from fourfold.data.dataset import Dataset
from fourfold.data.formats import Record
from fourfold.data.formats.conllu import Conllu

DATA = Path(os.environ.get("FOURFOLD_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
Rows = list[Record]


def read(path: str) -> Rows:
    """The sentences of a gzip-ed CoNLL-U file of the test data."""
    found = Conllu()(gzip.decompress((DATA / path).read_bytes()))
    return [record for record in found if isinstance(record, Record)]


def dataset(rows: Rows, folder: Path) -> Dataset:
    """The rows as a dataset."""
    folder.mkdir()
    columns = {name: [row.fields[name] for row in rows] for name in ("tokens", "upos")}
    ids = [f"doc_{i}" for i in range(len(rows))]
    table = pa.table({"doc_id": ids, "text": [row.text for row in rows], **columns})
    pq.write_table(table, folder / "fragment-00000.parquet")
    return Dataset(folder)


NOTE = (
    "Seconds and rates are processor time of one core. The peer is python-crfsuite with a cached feature loop on the same "
    "model file; both give a label and its marginal for each token. EWT's dev split chose the template and the penalties."
)
ROWS: list[dict[str, Any]] = []


def show(name: str, value: Any) -> None:
    """One line of the report, and one row of the table."""
    ROWS.append({"figure": name, "value": value})
    print(f"{name:<60}{value:.4f}" if isinstance(value, float) else f"{name:<60}{value}", flush=True)


def trained(settings: dict[str, Any], train: Rows, dev: Rows | None, folder: Path) -> dict[str, Any]:
    """Fit the family into `folder`/model; its meta with the seconds taken."""
    (folder / "model").mkdir()
    family = build_part(Crf, settings, path="crf")
    held_out = dataset(dev, folder / "dev") if dev else None
    start, started = time.process_time(), time.perf_counter()
    meta = family.fit(dataset(train, folder / "train"), held_out, folder / "model", lambda done, total, unit: None)
    return meta | {"seconds": time.process_time() - start, "elapsed": time.perf_counter() - started}


# ---- EWT, and the peer


def peer_features(lexicon: Lexicon) -> Callable[[list[str]], list[list[str]]]:
    """sent2features for the default template, by hand."""
    call = {name: FUNCTIONS[name].call for name in FUNCTIONS}

    def one(name: str, word: str, argument: str = "") -> str:
        return EDGE if word == EDGE else call[name](word, argument, lexicon)[0]

    def several(name: str, word: str, argument: str) -> tuple[str, ...]:
        return () if word == EDGE else call[name](word, argument, lexicon)

    @lru_cache(None)
    def parts(word: str) -> tuple[str, str, str, str, str, str]:
        return (
            one("lower", word),
            one("usual_tags", word),
            one("brief_shape", word),
            one("suffix", word, "3"),
            one("suffix", word, "2"),
            one("usual_case", word),
        )

    @lru_cache(None)
    def here(word: str) -> list[str]:
        lower, tags, brief, *_ = parts(word)
        found = [f"form={one('form', word)}", f"lower={lower}", f"shape={one('shape', word)}", f"brief_shape={brief}"]
        found += [f"prefixes(4)={value}" for value in several("prefixes", word, "4")]
        found += [f"suffixes(5)={value}" for value in several("suffixes", word, "5")]
        return [*found, f"class={one('class', word)}", f"frequency={one('frequency', word)}", f"usual_tags={tags}"]

    @lru_cache(None)
    def beside(word: str, place: str) -> list[str]:
        lower, tags, brief, *_ = parts(word)
        found = [f"lower{place}={lower}", f"brief_shape{place}={brief}"]
        found += [f"suffixes(3){place}={value}" for value in several("suffixes", word, "3")]
        return [*found, f"usual_tags{place}={tags}"]

    @lru_cache(None)
    def further(word: str, place: str) -> list[str]:
        lower, tags, *_ = parts(word)
        return [f"lower{place}={lower}", f"usual_tags{place}={tags}"]

    def sent2features(tokens: list[str]) -> list[list[str]]:
        words = [EDGE, EDGE, *tokens, EDGE, EDGE]
        cased = casing(tokens)
        found = []
        for i in range(2, len(words) - 2):
            (l1, t1, b1, s1, z1, _), (l0, t, b, s, z, c), (l2, t2, b2, s2, z2, _) = map(parts, words[i - 1 : i + 2])
            t0 = parts(words[i - 2])[1]
            features = here(words[i]) + beside(words[i - 1], "-1") + beside(words[i + 1], "+1")
            features += further(words[i - 2], "-2")
            features += further(words[i + 2], "+2")
            features += (
                f"lower-1&lower={l1}{JOIN}{l0}",
                f"lower&lower+1={l0}{JOIN}{l2}",
                f"lower-1&lower+1={l1}{JOIN}{l2}",
                f"usual_tags-1&usual_tags={t1}{JOIN}{t}",
                f"usual_tags&usual_tags+1={t}{JOIN}{t2}",
                f"usual_tags-1&usual_tags+1={t1}{JOIN}{t2}",
                f"usual_tags-2&usual_tags-1={t0}{JOIN}{t1}",
                f"column(first)&brief_shape&usual_case={'first' if i == 2 else 'no'}{JOIN}{b}{JOIN}{c}",
                f"column(casing)&brief_shape={cased}{JOIN}{b}",
                f"brief_shape-1&brief_shape={b1}{JOIN}{b}",
                f"brief_shape&brief_shape+1={b}{JOIN}{b2}",
                f"brief_shape-1&brief_shape&brief_shape+1={b1}{JOIN}{b}{JOIN}{b2}",
                f"suffix(3)-1&suffix(3)={s1}{JOIN}{s}",
                f"suffix(3)&suffix(3)+1={s}{JOIN}{s2}",
                f"suffix(2)-1&suffix(2)&suffix(2)+1={z1}{JOIN}{z}{JOIN}{z2}",
                f"usual_tags-1&usual_tags&usual_tags+1={t1}{JOIN}{t}{JOIN}{t2}",
                f"usual_tags-1&suffix(3)={t1}{JOIN}{s}",
                f"suffix(3)&usual_tags+1={s}{JOIN}{t2}",
                f"usual_tags-1&lower={t1}{JOIN}{l0}",
                f"lower&usual_tags+1={l0}{JOIN}{t2}",
            )
            found.append(features)
        return found

    return sent2features


def peer_tagger(path: Path, features: Callable[[list[str]], list[list[str]]]) -> Callable[[list[list[str]]], Any]:
    """python-crfsuite with these features: labels and marginals of all tokens."""
    tagger = pycrfsuite.Tagger()  # pyright: ignore[reportAttributeAccessIssue] (an extension module)
    tagger.open(str(path))

    def tag(sentences: list[list[str]]) -> tuple[list[str], list[float]]:
        labels: list[str] = []
        scores: list[float] = []
        for tokens in sentences:
            tagger.set(features(tokens))
            found = tagger.tag()
            labels += found
            scores += [tagger.marginal(label, i) for i, label in enumerate(found)]
        return labels, scores

    return tag


def rate(work: Callable[[], Any], tokens: int, rounds: int = 5) -> tuple[float, float]:
    """Tokens per second of the first call, and of the best of the next ones."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return tokens / seconds[0], tokens / min(seconds[1:])


def ewt(settings: dict[str, Any]) -> None:
    """Accuracy, calibration and speed on EWT."""
    train, dev = read("ud-english-ewt/train.conllu.gz"), read("ud-english-ewt/dev.conllu.gz")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        meta = trained(settings, train, dev, folder)
        show("EWT, training and calibration: seconds of one core", meta["seconds"])
        show("EWT, the same by the clock on a busy machine", meta["elapsed"])
        show("EWT, iterations", meta["training"]["word"]["iterations"])
        show("EWT, model file, MB", meta["training"]["word"]["size_bytes"] / 1e6)
        model = Crf.load(folder / "model")
        inputs = [TagInput(row.text, tokens=row.fields["tokens"]) for row in dev]
        gold = [tag for row in dev for tag in row.fields["upos"]]
        tagged = model.tag(inputs, TagOptions())
        show(
            "EWT dev, UPOS accuracy on given words",
            float(np.mean([t.label == g for t, g in zip((t for x in tagged for t in x.tokens), gold)])),
        )
        show("EWT dev, ECE before calibration", meta["calibration"]["word"]["ece_before"])
        show("EWT dev, ECE after, on held-out folds", meta["calibration"]["word"]["ece_after"])
        speed(folder / "model", settings, [row.fields["tokens"] for row in dev], inputs)
        raw = model.tag([TagInput(row.text) for row in dev], TagOptions())
        hits = total = found = 0
        for row, result in zip(dev, raw):
            words = {(a, b, tag) for (a, b), tag in zip(locate(row.text, row.fields["tokens"]), row.fields["upos"])}
            hits += len(words & {(t.start, t.end, t.label) for t in result.tokens})
            total, found = total + len(words), found + len(result.tokens)
        show("EWT dev, F1 of words with tags, from raw text", 2 * hits / (total + found))


def speed(folder: Path, settings: dict[str, Any], sentences: list[list[str]], inputs: list[TagInput]) -> None:
    """Tokens/s of the family and of the peer, and whether they agree."""
    count = sum(map(len, sentences))
    files = json.loads((folder / "template.json").read_bytes())
    lexicon = build_lexicon(files["units"]["word"]["lexicon"])
    own = parse_template(files["units"]["word"]["template"], "word", lexicon.lists, "template")
    attributes = Attributes(own, lexicon)
    by_hand = peer_features(lexicon)
    columns = columns_of(own)
    cached = lambda tokens: attributes(word_sentence(tokens, {}, columns))  # noqa: E731
    default = "template" not in settings
    if default:
        same = all([*map(sorted, by_hand(s))] == [*map(sorted, cached(s))] for s in sentences[:300])
        show("the peer's features are the template's", same)
    rates = {}
    labels, scores = [], []
    for name, features in (("by hand", by_hand), ("as in training", cached))[not default :]:
        tag = peer_tagger(folder / "word.crfsuite", features)
        first, best = rate(lambda: tag(sentences), count)  # noqa: B023
        show(f"peer, features {name}: tokens/s, first call", first)
        show(f"peer, features {name}: tokens/s, caches warm", best)
        rates[name] = (first, best)
        labels, scores = tag(sentences)
    model = Crf.load(folder)
    unit = model.units["word"]

    def decode() -> tuple[list[str], list[float]]:
        pieces = [Piece("word", word_sentence(tokens, {}, unit.columns), [(0, 0)] * len(tokens)) for tokens in sentences]
        stretches, decoded = unit.words(pieces)
        return stretches.names, decoded.probability.tolist()

    first, best = rate(decode, count)
    show("fourfold, labels and scores: tokens/s, first call", first)
    show("fourfold, labels and scores: tokens/s, caches warm", best)
    top = max(best for _, best in rates.values())
    show("ratio to the faster peer, caches warm", best / top)
    show("ratio to the faster peer, first calls", first / max(first for first, _ in rates.values()))
    _, best = rate(lambda: model.tag(inputs, TagOptions()), count)
    show("fourfold, whole tag with offsets: tokens/s, caches warm", best)
    show("ratio of that to the faster peer", best / top)
    for size in (1, 8):
        some = sentences[: 400 // size * size]
        start = time.process_time()
        for i in range(0, len(some), size):
            model.tag(inputs[i : i + size], TagOptions())
        show(f"tag of {size} sentence(s) a call, ms", 1000 * (time.process_time() - start) / (len(some) / size))
    own_labels, own_scores = decode()
    show("labels that differ", sum(a != b for a, b in zip(labels, own_labels)))
    show("largest difference of a score", f"{np.abs(np.array(scores) - own_scores).max():.0e}")


def build_lexicon(plain: dict[str, Any]) -> Lexicon:
    """A lexicon from template.json."""
    return Lexicon(plain["counts"], plain["tags"], plain["cases"], {k: frozenset(v) for k, v in plain["lists"].items()})


# ---- GSDSimp


def gsdsimp(settings: dict[str, Any]) -> None:
    """Five folds: every sentence is tagged by a model that has not seen it."""
    rows = read("ud-chinese-gsdsimp/dev.conllu.gz")
    fold = np.random.default_rng(0).permutation(len(rows)) % 5
    totals: dict[str, list[Any]] = {"gold": [], "found": [], "given": [], "words": []}
    seconds = []
    for k in range(5):
        train = [row for row, f in zip(rows, fold) if f != k]
        test = [row for row, f in zip(rows, fold) if f == k]
        with tempfile.TemporaryDirectory() as name:
            seconds.append(trained(settings, train, None, Path(name))["seconds"])
            model = Crf.load(Path(name) / "model")
            given = model.tag([TagInput(row.text, tokens=row.fields["tokens"]) for row in test], TagOptions())
            raw = model.tag([TagInput(row.text) for row in test], TagOptions())
        for row, with_words, result in zip(test, given, raw):
            places = locate(row.text, row.fields["tokens"])
            totals["gold"].append({(a, b, tag) for (a, b), tag in zip(places, row.fields["upos"])})
            totals["found"].append(result.tokens)
            totals["given"].append([(t.score, t.label == tag) for t, tag in zip(with_words.tokens, row.fields["upos"])])
    report_folds(totals)
    show("GSDSimp, training: seconds of one core a fold", float(np.mean(seconds)))


def report_folds(totals: dict[str, list[Any]]) -> None:
    """F1 of boundaries and of words with tags, accuracy on given words, and calibration over held-out folds."""
    gold, found, given = totals["gold"], totals["found"], totals["given"]
    count = sum(map(len, gold)) + sum(map(len, found))
    same = sum(len({g[:2] for g in a} & {(t.start, t.end) for t in b}) for a, b in zip(gold, found))
    right = [[(t.start, t.end, t.label) in a for t in b] for a, b in zip(gold, found)]
    show("GSDSimp, 5 folds, segmentation F1", 2 * same / count)
    show("GSDSimp, 5 folds, F1 of words with UPOS, from raw text", 2 * sum(map(sum, right)) / count)
    show("GSDSimp, 5 folds, UPOS accuracy on given words", float(np.mean([ok for sentence in given for _, ok in sentence])))
    for name, answers in (
        ("raw", [[(t.score, ok) for t, ok in zip(b, c)] for b, c in zip(found, right)]),
        ("words given", given),
    ):
        group = np.repeat(np.arange(len(answers)), [*map(len, answers)])
        score, ok = map(np.array, zip(*(answer for sentence in answers for answer in sentence)))
        choice = choose_calibration(score, ok.astype(bool), group)
        show(f"GSDSimp, ECE, {name}: before calibration", choice.ece_before)
        show(f"GSDSimp, ECE, {name}: after, on held-out folds", choice.ece_after)


# ---- words


def words() -> None:
    """F1 of the tokenizer's words."""
    for split in ("train", "dev"):
        gold = found = hits = 0
        for row in read(f"ud-english-ewt/{split}.conllu.gz"):
            theirs, ours = {*locate(row.text, row.fields["tokens"])}, {*find_words(row.text)}
            gold, found, hits = gold + len(theirs), found + len(ours), hits + len(theirs & ours)
        show(f"EWT {split}, F1 of the tokenizer's words", 2 * hits / (gold + found))


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("ewt", "gsdsimp", "words"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--set", type=json.loads, default={}, metavar="JSON")
    chosen = parser.parse_args(arguments)
    everything = not (chosen.ewt or chosen.gsdsimp or chosen.words)
    if chosen.words or everything:
        words()
    if chosen.gsdsimp or everything:
        gsdsimp(chosen.set)
    if chosen.ewt or everything:
        ewt(chosen.set)
    if chosen.json:
        result = {
            "title": "CRF",
            "note": __doc__,
            "machine": f"{os.cpu_count()} cores",
            "date": time.strftime("%Y-%m-%d"),
            "rows": ROWS,
        }
        chosen.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
