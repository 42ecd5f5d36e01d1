"""The project file: what is to be true of a home, in one YAML document. Shapes, and how a file becomes one.

docs/project.md shows every key; `schema()` is the JSON Schema that ships as project.schema.json beside this module.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
import yaml
from msgspec import Meta, Struct

from fourfold.application.lifecycle import Gate
from fourfold.application.serving.routing import Limits
from fourfold.compute.families import FAMILIES
from fourfold.core.build import placed
from fourfold.core.errors import BadInput, BadSpec, did_you_mean
from fourfold.core.registry import Table
from fourfold.data.detectors import DETECTORS
from fourfold.data.sources import SOURCES
from fourfold.data.steps import STEPS
from fourfold.data.terms import Purpose
from fourfold.storage.versions import check_alias, check_name

FILE = "fourfold.yaml"
MAX_BYTES = 1 << 20
TABLES = {"source": SOURCES, "step": STEPS, "detector": DETECTORS, "family": FAMILIES}
FIRST_LINES = "project: my-project, then datasets:, models: and deployments: (docs/project.md shows each key)."


Ref = Annotated[str, Meta(description="A name of this file, or a version of the home: name, name@3, name@alias")]
SourceSpec = Annotated[Any, Meta(extra_json_schema={"$ref": "#/$defs/source"})]
StepSpec = Annotated[Any, Meta(extra_json_schema={"$ref": "#/$defs/step"})]
DetectorSpec = Annotated[Any, Meta(extra_json_schema={"$ref": "#/$defs/detector"})]
FamilySpec = Annotated[Any, Meta(extra_json_schema={"$ref": "#/$defs/family"})]
LimitsSpec = Annotated[dict[str, Any], Meta(extra_json_schema={"$ref": "#/$defs/Limits"})]


class Deidentify(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Find personal data. `actions`: per entity, or for all under `default`."""

    detectors: list[DetectorSpec] = msgspec.field(default_factory=lambda: ["patterns"])
    actions: Annotated[dict[str, str], Meta(description="What happens to an entity: {EMAIL_ADDRESS: replace}")] = {}
    reversible: Annotated[bool, Meta(description="Whoever may can turn pseudonyms back, by a key kept apart")] = False


class DatasetEntry(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A dataset: collected from a source, or made `from` another by clean or deidentify."""

    collect: SourceSpec | None = None
    max_bad_lines: Annotated[int | None, Meta(description="More bad lines than this stop the collecting")] = None
    max_bad_share: Annotated[float | None, Meta(description="A larger share of bad lines stops the collecting")] = None
    licence: Annotated[str | None, Meta(description="Licence of what is collected, such as CC-BY-SA-4.0")] = None
    purpose: Annotated[Purpose | None, Meta(description="What may be made of it; default: any")] = None
    origin: Annotated[str | None, Meta(description="The dataset that this one is made from")] = msgspec.field(
        name="from", default=None
    )
    clean: Annotated[list[StepSpec] | None, Meta(description="Cleaning steps, in order")] = None
    deidentify: Deidentify | None = None


class Evaluate(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Judge the model: on a dataset (default: the one it was trained on) and a split of it."""

    on: Ref | None = None
    split: Literal["train", "dev", "test", "all"] = "dev"
    name: Annotated[str | None, Meta(description="Name of the report; default: MODEL-report")] = None
    final: Annotated[bool, Meta(description="Look at test rows, which are kept for the end; each look is recorded")] = False


class Promote(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Point the alias `to` at the model once its newest report passes every gate."""

    to: Annotated[str, Meta(description="An alias: production, staging")]
    gates: Annotated[list[str], Meta(description="Bounds on figures of the report, such as accuracy >= 0.9")] = []
    reason: str = ""


class ModelEntry(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A model: what trains it, on which dataset, how it is judged, and which alias it gets."""

    train: FamilySpec
    on: Ref
    dev: Annotated[Ref | None, Meta(description="Dataset to calibrate or stop on; default: split dev of `on`")] = None
    evaluate: Evaluate | None = None
    promote: Promote | None = None


class RouteEntry(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A version's share of a deployment's requests."""

    version: Ref
    weight: float = 1.0


class DeploymentEntry(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A public name: one `version`, or several `routes`."""

    version: Ref | None = None
    routes: list[RouteEntry] = []
    limits: LimitsSpec = {}


class Project(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A project file. Names become names of versions and deployments."""

    project: Annotated[str, Meta(description="The name of the whole")]
    datasets: dict[str, DatasetEntry] = {}
    models: dict[str, ModelEntry] = {}
    deployments: dict[str, DeploymentEntry] = {}


T = TypeVar("T", bound=Struct)


# ---- a file → a mapping ---------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core types: `on`, `no` and 2026-01-01 are texts, 1e-3 is a number. A key may stand once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} stands here twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile("^<<$"))]}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value, 16 if "x" in node.value else 10))


def read_project(path: Path) -> dict[str, Any]:
    """The document of a project file; a folder stands for its fourfold.yaml. Nothing in it is checked yet.

    Raises BadInput if there is none to read, BadSpec with line and column for what is no YAML.
    """
    file = path / FILE if path.is_dir() else path
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(
            f"{file} cannot be read: {error.strerror}.", hint="Name a project file, or a folder that holds one."
        ) from error
    if len(data) > MAX_BYTES:
        raise BadInput(f"{file} is larger than {MAX_BYTES:,} bytes: it is no project file.", hint="Name a YAML file.")
    try:
        document = yaml.load(data.decode("utf-8-sig"), Loader=_Loader)
        msgspec.json.encode(document)  # refuses what refers to itself, and keys that are no texts
    except (UnicodeDecodeError, RecursionError, TypeError) as error:
        raise BadSpec(f"{file} is no project file: {error}.", hint="Write it in UTF-8, with texts as keys.") from error
    except yaml.YAMLError as error:
        raise BadSpec(f"{file}{_place(error)}", hint="Mind indentation, and a space after each colon.") from error
    if not isinstance(document, dict):
        raise BadSpec(f"{file} holds {_kind(document)} where a mapping is expected.", hint=f"Begin with {FIRST_LINES}")
    return document


def _place(error: yaml.YAMLError) -> str:
    """`:4:7 is no YAML: …`: the place in the form that editors jump to."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
    return (f":{mark.line + 1}:{mark.column + 1}" if mark else "") + f" is no YAML: {what}."


# ---- a mapping → a Project ------------------------------------------------------------------------------------------------


def check_project(document: Mapping[str, Any]) -> Project:
    """The project, every key and every part checked. Raises BadSpec that names the path and the closest known name."""
    project = _struct(Project, document, "")
    _check_names(project)
    for name, entry in project.datasets.items():
        _check_dataset(f"datasets.{name}", entry)
    for name, entry in project.models.items():
        _check_part("family", entry.train, f"models.{name}.train")
        if entry.promote is not None:
            _check_promote(f"models.{name}.promote", entry.promote)
    for name, entry in project.deployments.items():
        if (entry.version is None) == (not entry.routes):
            raise BadSpec(
                f"deployments.{name}: give either a version or routes.", hint="For example: {version: words@production}"
            )
    return project


def _check_names(project: Project) -> None:
    taken: dict[str, str] = {}
    for room, names in (("datasets", project.datasets), ("models", project.models)):
        for name in names:
            with _at(f"{room}.{name}"):
                check_name(name)
            if name in taken:
                raise BadSpec(f"{room}.{name}: {taken[name]} has the same name.", hint="A name belongs to one kind of thing.")
            taken[name] = f"{room}.{name}"
    for name in project.deployments:
        with _at(f"deployments.{name}"):
            check_name(name)


def _check_promote(path: str, entry: Promote) -> None:
    with _at(f"{path}.to"):
        check_alias(entry.to)
    for i, gate in enumerate(entry.gates):
        with _at(f"{path}.gates[{i}]"):
            Gate.parse(gate)


def _check_dataset(path: str, entry: DatasetEntry) -> None:
    verbs = [verb for verb in ("collect", "clean", "deidentify") if getattr(entry, verb) is not None]
    if len(verbs) != 1:
        said = " and ".join(verbs) or "none"
        raise BadSpec(
            f"{path} needs one of collect, clean, deidentify; it has {said}.",
            hint="Each step of the way is a dataset of its own.",
        )
    if entry.collect is not None:
        if entry.origin is not None:
            raise BadSpec(f"{path} has 'from', but collect takes no dataset.", hint="Leave 'from' out.")
        _check_part("source", entry.collect, f"{path}.collect")
        return
    if entry.origin is None:
        raise BadSpec(
            f"{path} has no 'from': the dataset that it is made from.", hint=f"For example: {{from: tickets, {verbs[0]}: …}}"
        )
    for name in ("max_bad_lines", "max_bad_share", "licence", "purpose"):
        if getattr(entry, name) is not None:
            raise BadSpec(f"{path}.{name} goes with collect only.", hint="Set it where the files are collected.")
    for i, step in enumerate(entry.clean or ()):
        _check_part("step", step, f"{path}.clean[{i}]")
    for i, detector in enumerate(entry.deidentify.detectors if entry.deidentify else ()):
        _check_part("detector", detector, f"{path}.deidentify.detectors[{i}]")


def _check_part(noun: str, spec: Any, path: str) -> None:
    with _at(path):
        TABLES[noun].build(spec, path=path)


@contextmanager
def _at(path: str) -> Iterator[None]:
    """Errors of the block are BadSpec that begin with a path."""
    try:
        yield
    except BadInput as error:
        message = error.message if error.message.startswith(path) else f"{path}: {error.message}"
        raise BadSpec(message, hint=error.hint) from error


def _struct(cls: type[T], value: Any, path: str) -> T:
    """The Struct that a mapping describes, entry by entry, so that each error can name its path."""
    whole = path or "The project file"
    if not isinstance(value, Mapping):
        raise BadSpec(f"{whole} is {_kind(value)} where a mapping is expected.", hint=f"Known: {', '.join(_keys(cls))}.")
    fields = {field.encode_name: field for field in msgspec.structs.fields(cls)}
    for key in value:
        if key not in fields:
            raise BadSpec(
                f"{whole} has no setting {key!r}.{did_you_mean(str(key), fields)}", hint=f"Known: {', '.join(fields)}."
            )
    for key, field in fields.items():
        if field.required and key not in value:
            raise BadSpec(f"{whole} has no {key!r}, which it needs.", hint=f"Known: {', '.join(fields)}.")
    return cls(**{fields[key].name: _value(fields[key].type, v, f"{path}.{key}".lstrip(".")) for key, v in value.items()})


def _value(wanted: Any, value: Any, path: str) -> Any:
    wanted = _bare(wanted)
    kinds = [_bare(kind) for kind in get_args(wanted)]
    if isinstance(wanted, type) and issubclass(wanted, Struct):
        return _struct(wanted, value, path)
    if get_origin(wanted) is dict and _is_struct(kinds[1]):
        if not isinstance(value or {}, Mapping):
            raise BadSpec(f"{path} is {_kind(value)} where a mapping of names is expected.")
        return {str(name): _value(kinds[1], v, f"{path}.{name}") for name, v in (value or {}).items()}
    if get_origin(wanted) is list and _is_struct(kinds[0]) and isinstance(value, list):
        return [_value(kinds[0], v, f"{path}[{i}]") for i, v in enumerate(value)]
    if value is not None and type(None) in kinds and _is_struct(kinds[0]):
        return _struct(kinds[0], value, path)
    if get_origin(wanted) is Literal and value not in kinds:
        known = [str(kind) for kind in get_args(wanted)]
        raise BadSpec(f"{path} is {value!r}.{did_you_mean(str(value), known)}", hint=f"Known: {', '.join(known)}.")
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        what, where = placed(error)
        raise BadSpec(f"{path}{where}: {what}.") from error


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _keys(cls: type[Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(cls)]


def _kind(value: Any) -> str:
    names = {type(None): "empty", str: "a text", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), f"a {type(value).__name__}")


# ---- the JSON Schema ------------------------------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a project file, with every part and setting of the tables: editors complete and check by it."""
    (whole,), definitions = msgspec.json.schema_components([Project], ref_template="#/$defs/{name}")
    parts = {noun: _part_schema(table, definitions) for noun, table in TABLES.items()}
    definitions |= msgspec.json.schema_components([Limits], ref_template="#/$defs/{name}")[1]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Fourfold project file"}
    made = {**head, **whole, "$defs": dict(sorted((definitions | parts).items()))}
    return msgspec.json.decode(msgspec.json.encode(made))  # as it reads from the file: lists, no tuples


def _part_schema(table: Table, definitions: dict[str, Any]) -> dict[str, Any]:
    """A part of a table: its name alone, or one name with its settings."""
    settings: dict[str, Any] = {}
    for name in table.lines:
        (found,), more = msgspec.json.schema_components([table.resolve(name)], ref_template="#/$defs/{name}")
        own = more.pop(found["$ref"].rpartition("/")[2])
        definitions.update(more)
        about = inspect.cleandoc(own.get("description", ""))
        settings[name] = {**own, "description": about, "type": ["object", "null"], "additionalProperties": False}
    alone = [name for name, own in settings.items() if not own.get("required")]
    one = {"type": "object", "properties": settings, "additionalProperties": False, "minProperties": 1, "maxProperties": 1}
    return {"title": table.noun.capitalize(), "anyOf": [{"enum": alone}, one] if alone else [one]}
