"""A project for a folder of somebody's own files, as far as a program can guess one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from fourfold.compute.rows import count_rows
from fourfold.core.errors import BadInput
from fourfold.data.dataset import Dataset
from fourfold.data.formats import ENDINGS, FORMATS

LABELLED = {ending for ending in (*FORMATS.names(), *ENDINGS) if ENDINGS.get(ending, ending) in ("conll", "conllu")}
READABLE = {*FORMATS.names(), *ENDINGS}
BY_CHARACTER = {"zh", "ja"}  # languages whose words no spaces part
ENOUGH_TO_JUDGE = 3  # documents of a split
SAMPLED, LONGEST, A_SENTENCE = 200, 200, 5  # documents, characters, words
TAGS = {"words": "upos", "tags": "tags", "entities": "entity"}  # model → column of tags that it learns
NOTHING = {"_", "O", ""}  # tags that say nothing


@dataclass(frozen=True, slots=True)
class Question:
    """What the tour asks of its models."""

    deployment: str
    task: str
    texts: tuple[str, ...]


def datasets_of(folder: Path) -> dict[str, Any]:
    """The first half of the project: `texts` from files to read, `labelled` from files with a tag per word.

    Raises BadInput if there is no file that can be read.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder.", hint="Name the folder that holds your files: fourfold tour --data FOLDER")
    endings = set(_endings(folder))
    if not endings:
        raise BadInput(
            f"{folder} holds no file that can be read.",
            hint=f"Put files in it that end in .{', .'.join(sorted(READABLE))} (or these with .gz).",
        )
    tags = [f"*.{ending}{packed}" for ending in sorted(LABELLED) for packed in ("", ".gz")]
    found: dict[str, Any] = {}
    if endings - LABELLED:
        found |= _way("texts", {"path": str(folder), "exclude": tags}, [{"drop_short": {"min_words": 2}}, "drop_duplicates"])
    if endings & LABELLED:
        found |= _way("labelled", {"path": str(folder), "include": tags}, [])
    return {"project": f"tour-{folder.name}", "datasets": found}


def _endings(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts) and path.is_file():
            names = path.name.lower().removesuffix(".gz").rpartition(".")
            if names[0] and names[2] in READABLE:
                yield names[2]


def _way(name: str, files: dict[str, Any], steps: list[Any]) -> dict[str, Any]:
    """collect → clean → de-identify, which ends at `name`."""
    return {
        f"{name}-collected": {"collect": {"files": files}},
        f"{name}-clean": {"from": f"{name}-collected", "clean": ["normalise", *steps]},
        name: {"from": f"{name}-clean", "deidentify": {}},
    }


def with_models(project: Mapping[str, Any], datasets: Mapping[str, Dataset]) -> dict[str, Any]:
    """The whole project, now that the datasets are there: a language model of the texts, a tagger per column of tags."""
    models: dict[str, Any] = {}
    source = max(datasets, key=lambda name: count_rows(datasets[name])["all"])
    models["phrases"] = _model(source, datasets[source], {"ngram": _ngram(datasets[source])})
    if "labelled" in datasets:
        for name, column in TAGS.items():
            if _has_tags(datasets["labelled"], column):
                models[name] = _model("labelled", datasets["labelled"], {"crf": {"tags": column}})
    deployments = {name: {"version": f"{name}@production"} for name in models}
    return {**project, "models": models, "deployments": deployments}


def _model(name: str, dataset: Dataset, family: dict[str, Any]) -> dict[str, Any]:
    counts = count_rows(dataset)
    if not counts["train"]:
        raise BadInput(
            f"{name} has {counts['all']} documents, none of which falls to training (8 of 10 do).",
            hint="Add some more documents.",
        )
    model: dict[str, Any] = {"train": family, "on": name, "promote": {"to": "production"}}
    judged_by = next((split for split in ("test", "dev") if counts[split] >= ENOUGH_TO_JUDGE), None)
    return {**model, "evaluate": {"split": judged_by, "final": judged_by == "test"}} if judged_by else model


def _ngram(dataset: Dataset) -> dict[str, Any]:
    from fourfold.data.describe import describe

    languages: dict[str, int] = describe(dataset)["languages"]
    unspaced = sum(n for language, n in languages.items() if language in BY_CHARACTER)
    unit = "character" if 2 * unspaced > sum(languages.values()) else "word"
    return {"order": 4, "unit": unit, "discount_fallback": [0.5, 1.0, 1.5]}


def _has_tags(dataset: Dataset, column: str) -> bool:
    for fragment in dataset.fragments():
        table = fragment.table()
        lists = table[column].to_pylist() if column in table.column_names and pa.types.is_list(table[column].type) else []
        if any(set(tags or ()) - NOTHING - {None} for tags in lists):
            return True
    return False


def questions_of(project: Mapping[str, Any], datasets: Mapping[str, Dataset]) -> list[Question]:
    """What to ask: the tagger gets a sentence of theirs, the language model the beginning of one."""
    asked = [Question(name, "tag", (_sample(datasets["labelled"]),)) for name in TAGS if name in project["models"]][:1]
    source = project["models"]["phrases"]["on"]
    return [*asked, Question("phrases", "suggest", (_beginning(_sample(datasets[source])),))]


def _sample(dataset: Dataset) -> str:
    """A line of middling length, of those that are long enough to be a sentence if there are any."""
    texts = dataset.table(["text"])["text"].to_pylist()[:SAMPLED]
    lines = sorted({line.strip()[:LONGEST] for text in texts for line in (text or "").splitlines() if line.strip()}, key=len)
    assert lines, "a document without text is dropped as short, and a sentence has tokens"
    sentences = [line for line in lines if len(line.split()) >= A_SENTENCE or (len(line) >= A_SENTENCE * 2 and " " not in line)]
    return (sentences or lines)[len(sentences or lines) // 2]


def _beginning(text: str) -> str:
    """Its first words, or characters where no spaces part them."""
    words = text.split()
    return " ".join(words[: min(3, max(1, len(words) // 2))]) if len(words) > 1 else text[: max(2, len(text) // 3)]
