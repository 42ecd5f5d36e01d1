"""What the package holds, as one JSON document: tables with their parts, commands, settings, errors, modules that fail.

`python docs/describe.py [--without LIBRARY …]` describes the package that Python finds first; libraries after `--without`
cannot be imported meanwhile. The pages that `make docs` writes and the rules in tests/house_rules.py are made from it.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import json
import pkgutil
import sys
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Described = dict[str, Any]

RUN_BY_OTHERS = ("__main__", "migrations.env")  # scripts: Alembic runs the second
STANDARD_LIBRARY = (sysconfig.get_path("stdlib"), "<frozen")
EFFECTS = ("os.mkdir", "os.remove", "os.rename", "socket.bind", "socket.connect", "subprocess.Popen")


class Blocked:
    """A finder that makes libraries unimportable, as if they were not installed."""

    def __init__(self, libraries: Sequence[str]) -> None:
        self.libraries = set(libraries)

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name.partition(".")[0] in self.libraries:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def describe(without: Sequence[str] = ()) -> Described:
    """The whole package, described."""
    sys.meta_path.insert(0, Blocked(without))  # type: ignore[arg-type]
    side_effects = watch_side_effects()
    loaded, broken = import_everything()
    from fourfold.core.registry import Table

    tables = {id(value): value for module in loaded.values() for value in vars(module).values() if isinstance(value, Table)}
    return {
        "tables": [{"noun": t.noun, "parts": [part(name, t.lines[name]) for name in t.lines]} for t in tables.values()],
        "commands": list(commands(loaded)),
        "settings": settings(loaded["fourfold.core.config"].Settings) if "fourfold.core.config" in loaded else [],
        "acts": acts_of(loaded),
        "errors": errors(loaded["fourfold.core.errors"]),
        "project_schema": loaded["fourfold.application.project"].schema() if "fourfold.application.project" in loaded else {},
        "broken": broken,
        "side_effects": side_effects,
    }


def import_everything() -> tuple[dict[str, ModuleType], dict[str, str]]:
    """All modules by name, and for those that cannot be imported the reason."""
    loaded, broken = {}, {}
    names = ["fourfold"]
    for name in names:  # grows while it is walked
        try:
            module = loaded[name] = importlib.import_module(name)
        except Exception as error:
            broken[name] = f"{type(error).__name__}: {error}"
        else:
            found = pkgutil.iter_modules(getattr(module, "__path__", []), f"{name}.")
            names += [info.name for info in found if not info.name.endswith(RUN_BY_OTHERS)]
    return loaded, broken


def watch_side_effects() -> list[tuple[str, str]]:
    """A list that fills with (module, act) for each file written, socket used or process started by a module of ours."""
    seen: list[tuple[str, str]] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if (writes or event in EFFECTS) and (module := _who_acts()):
            seen.append((module, f"{event} {arguments[0]!r}"))

    sys.addaudithook(hook)
    return seen


def _who_acts() -> str:
    """Our module, if it is the innermost frame outside the standard library; else an empty string."""
    frame = sys._getframe(2)
    while frame and frame.f_code.co_filename.startswith(STANDARD_LIBRARY) and "site-packages" not in frame.f_code.co_filename:
        frame = frame.f_back
    name = frame.f_globals.get("__name__", "") if frame else ""
    return name if name.startswith("fourfold") else ""


def part(name: str, target: str) -> Described:
    """A line of a table and the class behind it; `error` says why there is none."""
    module_name, _, attribute = target.partition(":")
    described: Described = {"name": name, "target": target}
    try:
        cls: Any = getattr(importlib.import_module(module_name), attribute)
    except Exception as error:
        return described | {"error": f"{type(error).__name__}: {error}"}
    parameters = getattr(cls, "__dataclass_params__", None)  # what @dataclass(...) was called with
    return described | {
        "dataclass": parameters is not None,
        "frozen": parameters is not None and parameters.frozen,
        "slotted": "__slots__" in vars(cls),
        "closable": callable(getattr(cls, "close", None)),
        "doc": _own_doc(cls),
        "settings": settings(cls),
    }


def _own_doc(cls: type) -> str:
    doc = cls.__doc__ or ""
    generated = doc.startswith(f"{cls.__name__}(")  # dataclass writes the signature where there is none
    return "" if generated else inspect.cleandoc(doc)


def settings(cls: type) -> list[Described]:
    """Each field of a dataclass: name, type, default (None: it must be given), its help or the comment that ends its line."""
    if not dataclasses.is_dataclass(cls):
        return []
    help_of = dict(comments(cls))
    return [
        {"name": f.name, "type": str(f.type), "default": _default(f), "help": f.metadata.get("help") or help_of.get(f.name, "")}
        for f in dataclasses.fields(cls)
        if f.init
    ]


def _default(field: dataclasses.Field[Any]) -> str | None:
    if field.default is not dataclasses.MISSING:
        return repr(field.default)
    return None if field.default_factory is dataclasses.MISSING else repr(field.default_factory())


def comments(cls: type) -> Iterator[tuple[str, str]]:
    """(field, comment) for each field whose line ends with a comment; whole-line comments below it continue it."""
    last = ""
    words: dict[str, list[str]] = {}
    names = {f.name for f in dataclasses.fields(cls)}
    for token in tokenize.generate_tokens(io.StringIO(inspect.getsource(cls)).readline):
        first = token.line.split(":")[0].strip()
        if token.type == tokenize.COMMENT and (first in names or (last and token.line.strip().startswith("#"))):
            last = first if first in names else last
            words.setdefault(last, []).append(token.string.lstrip("# "))
        elif token.type == tokenize.NAME and token.line.strip() and first not in names:
            last = ""
    return ((name, " ".join(lines)) for name, lines in words.items())


def errors(module: ModuleType) -> list[Described]:
    """Each FourfoldError with what clients see of it."""
    kinds = [k for k in vars(module).values() if isinstance(k, type) and issubclass(k, module.FourfoldError)]
    return [
        {"code": k.code, "status": k.status, "exit_code": k.exit_code, "doc": inspect.cleandoc(k.__doc__ or "")} for k in kinds
    ]


def acts_of(loaded: dict[str, ModuleType]) -> list[Described]:
    """Each act of the platform: its route, the permission that it takes, and the first line of its method's docstring."""
    if not {"fourfold.application.acts", "fourfold.application.platform"} <= loaded.keys():
        return []
    platform = loaded["fourfold.application.platform"].Platform
    return [
        {
            "name": act.name,
            "method": act.method,
            "path": act.path,
            "action": act.action,
            "long": act.long,
            "doc": (inspect.getdoc(getattr(platform, act.name)) or "").partition("\n")[0],
        }
        for act in loaded["fourfold.application.acts"].ACTS.values()
    ]


def commands(loaded: dict[str, ModuleType]) -> Iterator[Described]:
    """Each command as it is typed, with its help; of groups their commands."""
    if app := getattr(loaded.get("fourfold.application.cli"), "app", None):
        yield from _commands_below(app, "fourfold")


def _commands_below(app: Any, typed: str) -> Iterator[Described]:
    for name in app:
        if not name.startswith("-"):
            command, words = app[name], f"{typed} {name}"
            below = list(_commands_below(command, words))
            if command.default_command is not None or not below:
                yield {"name": words, "help": inspect.cleandoc(command.help or ""), "arguments": list(_arguments(command))}
            yield from below


def _arguments(command: Any) -> Iterator[Described]:
    for argument in command.assemble_argument_collection():
        if argument.show:
            default = argument.field_info.default
            yield {
                "names": list(argument.names),
                "help": argument.parameter.help or "",
                "default": None if default is inspect.Parameter.empty else repr(default),
                "required": bool(argument.required),
            }


if __name__ == "__main__":
    sys.path.pop(0)  # this file's folder
    blocked = sys.argv[2:] if sys.argv[1:2] == ["--without"] else ()
    sys.stdout.write(json.dumps(describe(blocked), ensure_ascii=False, default=str))
