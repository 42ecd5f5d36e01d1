"""Parts as they are typed: `drop_short:min_words=2`, `{crf: {tags: upos}}`, `@crf.yaml`; and settings: `l2=0.1`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.registry import split_spec

Spec = str | dict[str, Any]
NEXT_SETTING = re.compile(r",(?=\w+=)")  # a comma inside a value does not part settings


def value(text: str) -> Any:
    """A value as JSON where it is JSON (2, 0.1, true, ["a"], "2024"), else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def settings(pairs: Iterable[str]) -> dict[str, Any]:
    """`key=value` texts as a mapping. Raises BadSpec for what has no `=`, and for a key given twice."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise BadSpec(f"{pair!r} is no setting.", hint="Write it as key=value, such as min_words=2.")
        if key in found:
            raise BadSpec(f"The setting {key!r} is given twice.", hint='Give a list as JSON: include=\'["*.csv", "*.md"]\'.')
        found[key] = value(text)
    return found


def part(text: str, more: Sequence[str] = ()) -> Spec:
    """The spec of a part: its name, name:key=value,…, a mapping in JSON or YAML, or @file that holds one; `more` are further
    settings."""
    if text.startswith(("{", "@")):
        name, given = split_spec(_mapping(text), path=text)
    else:
        name, _, rest = text.partition(":")
        given = settings(NEXT_SETTING.split(rest)) if rest else {}
    given |= settings(more)
    return {name: given} if given else name


def objects(text: str) -> list[dict[str, Any]]:
    """JSON objects: one as it is typed, or one a line of @file. Raises BadInput."""
    try:
        lines = Path(text[1:]).expanduser().read_text(encoding="utf-8").splitlines() if text.startswith("@") else [text]
        found = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise BadInput(f"{text}: no JSON objects: {error}.", hint='For example: \'{"text": "late", "stars": null}\'') from error
    if not all(isinstance(one, dict) for one in found):
        raise BadInput(f"{text} is no JSON object.", hint='For example: \'{"text": "late", "stars": null}\'')
    return found


def weighted(text: str) -> tuple[str, float]:
    """`words@3=0.9` as a version and its weight; 1 where none is given. Raises BadSpec."""
    ref, equals, weight = text.partition("=")
    try:
        return ref, float(weight) if equals else 1.0
    except ValueError as error:
        raise BadSpec(f"{text!r}: {weight!r} is no weight.", hint="For example: words@3=0.9 words@4=0.1") from error


def _mapping(text: str) -> Any:
    import yaml  # 30 ms that a name alone does not pay

    try:
        content = text if text.startswith("{") else Path(text[1:]).expanduser().read_text(encoding="utf-8")
        return yaml.safe_load(content)
    except OSError as error:
        raise BadInput(f"{text[1:]} cannot be read: {error.strerror}.", hint="Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise BadSpec(f"{text} is neither JSON nor YAML: {where}.", hint="For example: '{crf: {tags: upos}}'") from error
