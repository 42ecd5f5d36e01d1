"""Data of a few lines for tests that run the whole of it: tickets with personal data, and sentences with their tags."""

from __future__ import annotations

from pathlib import Path

PEOPLE = ("Li", "Anna", "Tom", "Mei", "Otto", "Zoe")
THINGS = ("kettle", "lamp", "parcel", "invoice", "filter", "robot")
DOINGS = ("leaks", "flickers", "arrived", "vanished", "sings", "stopped")
WHEN = ("today", "yesterday", "again", "twice")


def write_company(folder: Path) -> Path:
    """`tickets.csv` with 72 tickets (one twice, one too short) and `tags/` with 144 tagged sentences, a sixth of them dev."""
    (folder / "tags").mkdir(parents=True)
    rows = ["id,text"]
    sentences: list[list[tuple[str, str]]] = []
    for n in range(144):
        who, thing = PEOPLE[n % 6], THINGS[n * 5 % 6]
        doing, when = DOINGS[(n + n // 6) % 6], WHEN[(n + n // 24) % 4]
        sentences.append([("The", "DET"), (thing, "NOUN"), ("of", "ADP"), (who, "PROPN"), (doing, "VERB"), (when, "ADV")])
        if n < 70:
            rows.append(f"{n},The {thing} of {who} {doing} {when}; write to {who.lower()}{n}@example.com please")
    rows += ["70,hm", "71,The kettle of Li leaks today; write to li0@example.com please"]
    (folder / "tickets.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for name, part in (("train", sentences[:120]), ("dev", sentences[120:])):
        (folder / "tags" / f"{name}.conllu").write_text("\n".join(_conllu(one) for one in part), encoding="utf-8")
    return folder


def _conllu(sentence: list[tuple[str, str]]) -> str:
    lines = [f"# text = {' '.join(word for word, _ in sentence)}"]
    lines += [f"{n}\t{word}\t_\t{tag}\t_\t_\t_\t_\t_\t_" for n, (word, tag) in enumerate(sentence, start=1)]
    return "\n".join(lines) + "\n"
