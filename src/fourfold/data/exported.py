"""What annotation tools export → text, label and spans. Offsets become Unicode code points, half-open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fourfold.data.columns import TEXT_NAMES, plain

CHOICES = ("choices", "labels", "taxonomy", "rating", "number", "text", "selected")


def label_studio(task: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | str:
    """Text and fields of a task of Label Studio (JSON or JSON-MIN export), or why there is none."""
    data = task.get("data")
    if not isinstance(data, Mapping):
        return _flat(task)
    name = text_name(data)
    if not name:
        return "no_text"
    text = str(data[name])
    fields = {key: plain(value) for key, value in data.items() if key != name}
    given = [one for one in task.get("annotations") or task.get("completions") or () if isinstance(one, Mapping)]
    valid = [one for one in given if not one.get("was_cancelled") and isinstance(one.get("result"), list)]
    first = next((one for one in valid if one.get("ground_truth")), valid[0] if valid else None)
    fields |= {"task_id": str(task["id"])} if "id" in task else {}
    if first is None:
        return (text, {**fields, "annotators": 0}) if not given else "skipped"
    read = [_results(text, one["result"]) for one in valid]
    chosen = read[valid.index(first)]
    fields |= {key: value for key, value in chosen.items() if value not in (None, [])}
    fields["annotators"] = len(valid)
    if len(valid) > 1:
        fields["agreed"] = all(one == chosen for one in read)
        fields["annotations"] = msgspec.json.encode(read).decode()
    if isinstance(fields.get("spans"), list):
        fields["spans"] = msgspec.json.encode(fields["spans"]).decode()
    return text, fields


def _results(text: str, results: Sequence[Any]) -> dict[str, Any]:
    """What an annotator said: `label` (one or several), `spans`, and each control by its name."""
    found: dict[str, Any] = {}
    spans, labels = [], []
    for one in results:
        value = one.get("value") if isinstance(one, Mapping) else None
        if not isinstance(value, Mapping):
            continue
        said = next((value[name] for name in CHOICES if name in value), None)
        if "start" in value and "end" in value and isinstance(value.get("labels"), list):
            start, end = offsets(text, value["start"], value["end"], value.get("text"))
            spans += [{"start": start, "end": end, "label": label} for label in value["labels"]]
        elif one.get("type") == "choices" and isinstance(said, list):
            labels += [str(label) for label in said]
        elif said is not None and isinstance(one.get("from_name"), str):
            found[one["from_name"]] = plain(said[0] if isinstance(said, list) and len(said) == 1 else said)
    found["spans"] = sorted(spans, key=lambda span: (span["start"], span["end"], span["label"]))
    found["label"] = labels[0] if len(labels) == 1 else sorted(labels) or None
    return found


def _flat(task: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | str:
    """A task of the export JSON-MIN: data and results side by side."""
    name = text_name(task)
    if not name:
        return "no_text"
    return str(task[name]), {key: plain(value) for key, value in task.items() if key != name}


def prodigy(task: Mapping[str, Any], answers: Sequence[str]) -> tuple[str, dict[str, Any]] | str:
    """Text and fields of a task of Prodigy, or why there is none: `rejected`, `ignored`, `no_text`."""
    answer = task.get("answer", "accept")
    if answer not in answers:
        return {"reject": "rejected", "ignore": "ignored"}.get(str(answer), "other_answer")
    text = task.get("text")
    if not isinstance(text, str) or not text.strip():
        return "no_text"
    accepted = [str(one) for one in task.get("accept") or ()]
    label = task.get("label", accepted[0] if len(accepted) == 1 else accepted or None)
    fields: dict[str, Any] = {} if label is None else {"label": plain(label)}
    fields["answer"] = answer
    if isinstance(task.get("spans"), list):
        spans = [
            {"start": one["start"], "end": one["end"], "label": one.get("label", "")}
            for one in task["spans"]
            if isinstance(one, Mapping) and isinstance(one.get("start"), int) and isinstance(one.get("end"), int)
        ]
        fields["spans"] = msgspec.json.encode(spans).decode()
    if isinstance(task.get("tokens"), list):
        fields["tokens"] = [str(one.get("text", "")) for one in task["tokens"] if isinstance(one, Mapping)]
    if isinstance(task.get("meta"), Mapping):
        fields |= {f"meta_{name}": plain(value) for name, value in task["meta"].items()}
    known = {"text", "answer", "accept", "label", "spans", "tokens", "meta", "options", "html", "image"}
    return text, fields | {n: plain(v) for n, v in task.items() if n not in known and not n.startswith("_") and n not in fields}


def text_name(values: Mapping[str, Any]) -> str:
    """The key of the text: a usual name, else the only string there is."""
    strings = [name for name, value in values.items() if isinstance(value, str) and value.strip()]
    by_lower = {name.lower(): name for name in reversed(strings)}
    return next((by_lower[name] for name in TEXT_NAMES if name in by_lower), strings[0] if len(strings) == 1 else "")


def offsets(text: str, start: int, end: int, said: Any) -> tuple[int, int]:
    """Offsets in code points. A browser counts emoji and rare characters twice: where `said` fits only so, they are turned."""
    if not isinstance(said, str) or text[start:end] == said:
        return start, end
    units = text.encode("utf-16-le")
    if units[2 * start : 2 * end].decode("utf-16-le", "replace") == said:
        begin = len(units[: 2 * start].decode("utf-16-le", "replace"))
        return begin, begin + len(said)
    return start, end
