"""Train a model on a dataset version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from fourfold.compute.families import FAMILIES
from fourfold.compute.rows import ALL, check_kind, count_rows, select
from fourfold.compute.slices import language_of
from fourfold.core.build import settings_of
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.core.registry import split_spec
from fourfold.data.dataset import Dataset
from fourfold.storage.ledger import Ledger

LOOKED_AT = 1000  # texts that tell the languages of a dataset
A_LANGUAGE = 0.05  # share of them that makes a language one of the dataset's


def train(
    ledger: Ledger,
    actor: Actor,
    name: str,
    dataset: Version,
    family_spec: Any,
    *,
    dev: Version | None = None,
    split: str = "train",
    progress: Progress = silent,
) -> Version:
    """The model version that a family makes of one split of `dataset`; `family_spec` is `name` or `{name: {settings}}`.

    What the family holds out (to calibrate, to stop early) is all of `dev` where given, else the split `dev` of `dataset` where
    it has rows. `split` may be `all`: then nothing of `dataset` is held out. Raises BadSpec for a wrong setting, BadInput for a
    dataset that cannot be trained on; then there is no version, and the run says why.
    """
    family = FAMILIES.build(family_spec, path="train")
    family_name, _ = split_spec(family_spec, path="train")
    spec = {"family": {family_name: settings_of(family)}, "split": split}
    inputs = [dataset, *([dev] if dev else [])]
    for version in inputs:
        check_kind(version, "dataset", "train")
    with ledger.run("train", kind="model", name=name, spec=spec, inputs=inputs, actor=actor, progress=progress) as run:
        rows, held_out, counts = choose_rows(ledger, dataset, dev, split)
        trained = family.fit(rows, held_out, run.folder, run.progress)
        facts = {
            "family": family_name,
            "tasks": list(family.tasks),
            "spec": spec,
            "recipe": ledger.recipe("train", spec, inputs),
            "dataset": dataset.ref,
            "dev": dev.ref if dev else None,
            "rows": counts,
            "languages": languages(rows),
            "licence": dataset.meta.get("licence", "unknown"),
        }
        run.meta.update({**facts, **trained})  # the family knows best which tasks this very model serves
        run.metrics(trained["training"])
        (run.folder / "README.md").write_text(card(name, run.meta), encoding="utf-8")
    return run.version


def choose_rows(
    ledger: Ledger, dataset: Version, dev: Version | None, split: str
) -> tuple[Dataset, Dataset | None, dict[str, int]]:
    """Rows to train on, rows to hold out (or None), and how many there are of each."""
    whole = Dataset(ledger.materialise(dataset))
    counts = count_rows(whole)
    rows = select(whole, counts, split, of=dataset, path="train")
    if dev is not None:
        held_out = Dataset(ledger.materialise(dev))
        held_out_counts = count_rows(held_out)
        select(held_out, held_out_counts, ALL, of=dev, path="train")
        return rows, held_out, {"train": counts[split], "dev": held_out_counts[ALL]}
    if split == "train" and counts["dev"]:
        return rows, whole.of("dev"), {"train": counts[split], "dev": counts["dev"]}
    return rows, None, {"train": counts[split], "dev": 0}


def languages(rows: Dataset) -> list[str]:
    """The languages of a dataset's texts, most frequent first; rare ones are left out. About LOOKED_AT texts are looked at."""
    fragments = list(rows.fragments())
    found: Counter[str] = Counter()
    for fragment in fragments:
        texts = fragment.table(["text"])["text"]
        step = max(1, len(texts) * len(fragments) // LOOKED_AT)
        found.update(language_of(text or "") for text in texts.to_pylist()[::step])
    return [
        language for language, n in found.most_common() if n >= A_LANGUAGE * found.total() and language not in ("other", "none")
    ]


def card(name: str, meta: Mapping[str, Any]) -> str:
    """A model card: a YAML head as Hugging Face reads it, then what it was made from and how."""
    figures = dict(numbers(meta["training"]))
    head = {
        "language": meta["languages"],
        "license": meta["licence"],
        "datasets": [meta["dataset"], *([meta["dev"]] if meta["dev"] else [])],
        "metrics": sorted(figures),
        "tags": ["fourfold", meta["family"], *meta["tasks"]],
    }
    rows = meta["rows"]
    held_out = f", {rows['dev']:,} of {meta['dev'] or meta['dataset']} held out to calibrate or stop" if rows["dev"] else ""
    lines = [
        f"# {name}",
        "",
        f"A model of the family `{meta['family']}` that serves {', '.join(f'`{task}`' for task in meta['tasks'])}.",
        "",
        f"Trained on {rows['train']:,} rows of {meta['dataset']} (split `{meta['spec']['split']}`){held_out}.",
        f"Equal recipes make equal models; this one's is `{meta['recipe']}`.",
    ]
    if meta.get("labels"):
        lines += ["", f"Labels: {', '.join(f'`{label}`' for label in meta['labels'])}."]
    lines += ["", "## Settings", "", "```yaml", dump_yaml(meta["spec"]), "```"]
    if figures:
        lines += ["", "## Figures of training", "", "| figure | value |", "|---|---|"]
        lines += [f"| {key} | {value:,.6g} |" for key, value in figures.items()]
    return "\n".join(["---", dump_yaml(head), "---", "", *lines, ""])


def numbers(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers among figures, inner ones as `outer.inner`; no seconds, so that equal recipes make equal cards."""
    for key, value in figures.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool) and key != "seconds":
            yield f"{prefix}{key}", value


def dump_yaml(value: Any) -> str:
    """Block YAML with its keys in the given order, without a final newline."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120).rstrip()
