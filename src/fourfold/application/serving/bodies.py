"""Request bodies: JSON into the inputs and options of a task, as msgpack for the engine.

Accepted: `{"inputs": [{…}, …], options…}`, or one input's own fields at top level; the options may stand inside an input where
there is only one. The types are those of compute/tasks.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import blake3
import msgspec
from msgspec import NODEFAULT, UNSET, UnsetType

from fourfold.application.serving.routing import Limits
from fourfold.compute.tasks import TASKS, Task
from fourfold.core.errors import BadInput, BadSpec, TooLarge, did_you_mean

NO_OPTIONS = b"\x80"  # an empty msgpack map
_encode = msgspec.msgpack.Encoder().encode
_unknown = re.compile(r"unknown field `(.*?)`")


@dataclass(frozen=True, slots=True)
class Body:
    """A checked body: `inputs` and `options` in msgpack, the number of inputs, and the keyed hash of what was asked."""

    inputs: bytes
    options: bytes
    count: int
    hash: str


class BodyReader:
    """Reads the bodies of one task. `salt`: the 32-byte key of the hashes in the request log."""

    def __init__(self, task: Task, salt: bytes) -> None:
        self.task = task
        self.salt = salt
        inputs = msgspec.structs.fields(task.input)
        self.options = [f.name for f in msgspec.structs.fields(task.options)]
        self.required = [f.name for f in inputs if f.required]
        self.fields = [f.name for f in inputs]
        optional = [(f.name, f.type | UnsetType, UNSET) for f in msgspec.structs.fields(task.options)]
        required = [(f.name, f.type) for f in inputs if f.required]
        defaulted = [(f.name, f.type, _default(f)) for f in inputs if not f.required]
        made: dict[str, Any] = {"forbid_unknown_fields": True, "omit_defaults": True, "module": __name__}
        one = msgspec.defstruct("Input", [*required, *defaulted, *optional], **made)  # type: ignore[list-item]
        top = [(f.name, f.type | UnsetType, UNSET) for f in inputs]
        self._one = one
        many = ("inputs", list[one] | UnsetType, UNSET)  # type: ignore[valid-type]
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Body", [many, *top, *optional], **made)).decode

    def read(self, data: bytes, limits: Limits) -> Body:
        """The body, checked. Raises BadInput for what is no JSON, BadSpec for wrong fields, TooLarge beyond a limit."""
        body = self._parse(data)
        inputs: list[Any] = body.inputs if body.inputs is not UNSET else [self._single(body)]
        if body.inputs is not UNSET and (extra := [f for f in self.fields if getattr(body, f) is not UNSET]):
            raise BadSpec(f"{extra[0]!r} stands beside 'inputs'.", hint="Put it into the input that it belongs to.")
        if not inputs:
            raise BadSpec("'inputs' is empty.", hint='Send at least one: {"inputs":[{"id":"a","text":"…"}]}')
        if len(inputs) > limits.max_inputs:
            raise TooLarge(
                f"{len(inputs)} inputs are more than this deployment's limit max_inputs = {limits.max_inputs}.",
                hint="Send fewer in one request.",
            )
        options = {n: v for n in self.options if (v := getattr(body, n)) is not UNSET} if self.options else {}
        if self.options:
            self._take_options(inputs, options)
        if len(data) > limits.max_input_bytes:
            _check_sizes(inputs, limits)
        return Body(_encode(inputs), _encode(options) if options else NO_OPTIONS, len(inputs), self._hash(inputs))

    def _parse(self, data: bytes) -> Any:
        try:
            return self._decode(data)
        except msgspec.ValidationError as error:
            self._refuse(error)
        except UnicodeDecodeError as error:
            raise BadInput(f"The body is not valid UTF-8 ({error.reason}).", hint="Send JSON in UTF-8.") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadInput(f"The body is no JSON: {error}.", hint='Send {"inputs":[{"id":"a","text":"…"}]}') from error

    def _refuse(self, error: msgspec.ValidationError) -> NoReturn:
        known = ["inputs", *self.fields, *self.options]
        found = _unknown.search(str(error))
        meant = did_you_mean(found[1], known) if found else ""
        raise BadSpec(
            f"The body does not fit task {self.task.name!r}: {error}.{meant}", hint=f"Known: {', '.join(known)}."
        ) from error

    def _single(self, body: Any) -> Any:
        missing = [f for f in self.required if getattr(body, f) is UNSET]
        given = {f: v for f in self.fields if (v := getattr(body, f)) is not UNSET}
        if missing or not given:
            name = missing[0] if missing else "inputs"
            raise BadSpec(
                f"The body has no {name!r}.", hint='Send {"inputs":[{"id":"a","text":"…"}]} or one input\'s own fields.'
            )
        return self._one(**given)

    def _take_options(self, inputs: list[Any], options: dict[str, Any]) -> None:
        for one in inputs:
            for name in self.options:
                value = getattr(one, name)
                if value is UNSET:
                    continue
                if len(inputs) > 1:
                    raise BadSpec(
                        f"The option {name!r} stands inside one of several inputs.",
                        hint="Options are the same for all inputs: put it beside 'inputs'.",
                    )
                options[name] = value
                setattr(one, name, UNSET)

    def _hash(self, inputs: list[Any]) -> str:
        return _hash(self.salt, (texts_of(one) for one in inputs))


def hash_text(text: str, home: Path) -> str:
    """The hash that the request log keeps of a request with this one text."""
    return _hash(salt_path(home).read_bytes(), [(text,)])


def salt_path(home: Path) -> Path:
    """Where a home keeps the key of the hashes in its request log."""
    return home / "requests" / "salt"


def _hash(salt: bytes, inputs: Iterable[Iterable[str]]) -> str:
    hasher = blake3.blake3(key=salt)
    for texts in inputs:
        hasher.update("\x1f".join(texts).encode("utf-8", "surrogatepass"))
        hasher.update(b"\x1e")
    return hasher.hexdigest()


def texts_of(one: Any) -> Iterable[str]:
    """Every text of an input: the text itself, or the query and the items that are to be ranked."""
    items = getattr(one, "items", None)
    if items or getattr(one, "query", ""):
        return (one.text, one.query, *(item.text for item in items or ()))
    return (one.text,)


def _check_sizes(inputs: list[Any], limits: Limits) -> None:
    for one in inputs:
        size = sum(len(text.encode()) for text in texts_of(one))
        if size > limits.max_input_bytes:
            raise TooLarge(
                f"An input has {size:,} bytes; this deployment's limit max_input_bytes is {limits.max_input_bytes:,}.",
                hint="Cut the text, or raise the limit with fourfold deploy.",
            )


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)  # type: ignore[arg-type]
    return field.default


def readers(salt: bytes) -> dict[str, BodyReader]:
    """A reader for each task."""
    return {name: BodyReader(task, salt) for name, task in TASKS.items()}
