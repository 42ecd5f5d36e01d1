"""The rules of the house that import-linter cannot say (docs/map.md lists them all).

Each rule is a function of a repository's folder that lists what breaks it, one line per violation, so that the tests can hand
it a copy with a violation planted. Rules that need the code imported do so in a process of their own.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

MAX_LINES = 400

# A heavy library and the rooms that may import it, `need()` and `import_module()` of its name included.
NEURAL = ("fourfold.compute.neural", "fourfold.compute.engines.transformers")
HEAVY: dict[str, tuple[str, ...]] = {
    "torch": NEURAL,
    "transformers": NEURAL,
    "peft": NEURAL,
    "accelerate": NEURAL,
    "ctranslate2": ("fourfold.compute.engines.ctranslate2",),
    "openvino": ("fourfold.compute.engines.openvino",),
    "vllm": ("fourfold.compute.engines.vllm",),
    "ray": ("fourfold.data.flow.ray", "fourfold.compute.runners.ray", "fourfold.compute.engines.ray"),
    "litestar": ("fourfold.application",),
    "uvicorn": ("fourfold.application",),
    "jinja2": ("fourfold.application",),
    "sqlalchemy": ("fourfold.storage", "fourfold.data.sources.sql"),
    "alembic": ("fourfold.storage",),
    "obstore": ("fourfold.storage",),
    "matplotlib": ("fourfold.compute.plots",),
    "pandas": (),
}

# The edges where any error at all becomes an answer: HTTP, the processes that work for others, the command line.
EDGES = (
    "fourfold.application.http",
    "fourfold.application.worker",
    "fourfold.application.serving.engine",
    "fourfold.application.cli",
)

# Routes, pages and the command line ask the platform, and import nothing below it but these types.
DOORS = re.compile(r"fourfold\.application\.(http\.routes|console|cli)(_\w+)?(\.|$)")
BELOW = ("fourfold.compute", "fourfold.data", "fourfold.storage")
TYPES = ("fourfold.compute.tasks",)

# What holds something open is no frozen dataclass, but a small class with `close()`.
HOLDERS = {"blob store", "engine", "runner"}

UNPICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}

# What `import fourfold.application.platform` must not load, directly or through another library.
TOO_HEAVY_FOR_THE_PLATFORM = ("torch", "ray", "transformers", "pandas")

# Where the name that is imported is not the name that is installed.
OTEL = "opentelemetry"
IMPORTED_AS = {
    "python-docx": "docx",
    "python-pptx": "pptx",
    "opentelemetry-sdk": OTEL,
    "opentelemetry-exporter-otlp-proto-http": OTEL,
}
EXTRAS_FOR_DEVELOPERS = {"test", "bench"}


@dataclass(frozen=True, slots=True)
class Import:
    """`importer` names `imported` (dotted, an attribute perhaps at its end) in `line`."""

    importer: str
    imported: str
    line: int


# ---- reading the source -------------------------------------------------------------------------------------------------


def modules(root: Path) -> dict[str, Path]:
    """Dotted name → file of every module of the package."""
    found = {}
    for path in sorted((root / "src" / "fourfold").rglob("*.py")):
        parts = path.relative_to(root / "src").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def tree(path: Path) -> ast.Module:
    """The parsed file; equal files, as in copies of the repository, are parsed once."""
    return _parsed(path.read_text(encoding="utf-8"))


_parsed = cache(ast.parse)


def imports(root: Path) -> Iterator[Import]:
    """Every import of every module, wherever it stands in the file, those by name (`need("x")`) included."""
    for module, path in modules(root).items():
        for imported, line in _imports(tree(path)):
            yield Import(module, imported, line)


@cache
def _imports(parsed: ast.Module) -> list[tuple[str, int]]:
    return [(imported, node.lineno) for node in ast.walk(parsed) for imported in _imported(node)]  # type: ignore[attr-defined]


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0):
            return [f"{node.module}.{alias.name}" for alias in node.names]
        case ast.ImportFrom():
            return ["." * node.level + (node.module or "")]
        case ast.Call(args=[ast.Constant(value=str() as name), *_]) if _called(node) in {"need", "import_module", "__import__"}:
            return [name]
    return []


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _inside(module: str, rooms: Iterable[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def _at(root: Path, module: str, line: int) -> str:
    return f"{modules(root)[module].relative_to(root).as_posix()}:{line}"


# ---- rules on the text of the source ------------------------------------------------------------------------------------


def no_cycles(root: Path) -> list[str]:
    """No module imports itself through others."""
    known = modules(root)
    graph: dict[str, set[str]] = {module: set() for module in known}
    for found in imports(root):
        imported = found.imported if found.imported in known else found.imported.rpartition(".")[0]
        if imported in known:
            graph[found.importer].add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["a cycle: " + " → ".join(reversed(error.args[1]))]
    return []


def one_place_per_name(root: Path) -> list[str]:
    """No module stands beside a package of its name: Python would see the package alone."""
    package = root / "src" / "fourfold"
    shadowed = [path for path in sorted(package.rglob("*.py")) if (path.with_suffix("") / "__init__.py").exists()]
    return [f"{path.relative_to(package)}: hidden by the package {path.stem}/" for path in shadowed]


def absolute_imports(root: Path) -> list[str]:
    """Imports are absolute: a module reads the same wherever it lies."""
    relative = [i for i in imports(root) if i.imported.startswith(".")]
    return [f"{_at(root, i.importer, i.line)}: relative import of {i.imported}" for i in relative]


def heavy_libraries_stay_in_their_rooms(root: Path) -> list[str]:
    """HEAVY libraries are imported in the rooms that it names, and nowhere else."""
    found = []
    for i in imports(root):
        library = i.imported.partition(".")[0]
        if library in HEAVY and not _inside(i.importer, HEAVY[library]):
            rooms = ", ".join(HEAVY[library]) or "no room"
            found.append(f"{_at(root, i.importer, i.line)}: imports {library}, which belongs to {rooms}")
    return found


def doors_ask_the_platform(root: Path) -> list[str]:
    """Routes, pages and the command line import nothing of compute, data and storage but the types of tasks."""
    found = [i for i in imports(root) if DOORS.match(i.importer) and _inside(i.imported, BELOW)]
    return [f"{_at(root, i.importer, i.line)}: imports {i.imported}" for i in found if not _inside(i.imported, TYPES)]


def broad_excepts_only_at_the_edges(root: Path) -> list[str]:
    """`except Exception`, its kin and `suppress(Exception)` stand only in EDGES, unless the handler ends by raising it on."""
    found = []
    for module, path in modules(root).items():
        if not _inside(module, EDGES):
            found += [f"{_at(root, module, n.lineno)}: catches everything" for n in ast.walk(tree(path)) if _is_broad(n)]  # type: ignore[attr-defined]
    return found


def _is_broad(node: ast.AST) -> bool:
    match node:
        case ast.ExceptHandler(body=[*_, ast.Raise(exc=None)]):
            return False
        case ast.ExceptHandler(type=None):
            return True
        case ast.ExceptHandler(type=ast.Tuple(elts=kinds)):
            return any(_is_everything(kind) for kind in kinds)
        case ast.ExceptHandler(type=kind):
            return _is_everything(kind)
        case ast.Call(args=kinds) if _called(node) == "suppress":
            return any(_is_everything(kind) for kind in kinds)
    return False


def _is_everything(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Name) and node.id in {"Exception", "BaseException"}


def no_long_modules(root: Path) -> list[str]:
    """No module above MAX_LINES lines."""
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in modules(root).items()}
    return [f"{_at(root, module, n)}: {n} lines, more than {MAX_LINES}" for module, n in lengths.items() if n > MAX_LINES]


def no_pickles(root: Path) -> list[str]:
    """Nothing that unpickles is imported or asked for: `np.load(allow_pickle=True)`, `torch.load`, `read_pickle`."""
    imported = [i for i in imports(root) if i.imported.partition(".")[0] in UNPICKLERS]
    found = [f"{_at(root, i.importer, i.line)}: imports {i.imported}" for i in imported]
    for module, path in modules(root).items():
        calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
        found += [f"{_at(root, module, call.lineno)}: unpickles" for call in calls if _unpickles(call)]
    return found


def _unpickles(call: ast.Call) -> bool:
    allowed = [k.value for k in call.keywords if k.arg == "allow_pickle"]
    if any(not isinstance(value, ast.Constant) or value.value is not False for value in allowed):
        return True
    return ast.unparse(call.func) in {"torch.load", "torch.save"} or _called(call) in {"read_pickle", "to_pickle"}


def the_map_names_every_module(root: Path) -> list[str]:
    """docs/map.md's tree holds each module of the package, and nothing that is not there."""
    text = (root / "docs" / "map.md").read_text(encoding="utf-8").partition("<!-- tree -->")[2].partition("<!-- end -->")[0]
    drawn, folders = set(), []
    for indent, name in re.findall(r"^( +)(\S+?(?:/|\.py))(?:\s|$)", text, re.MULTILINE):
        folders[len(indent) // 2 - 1 :] = [name]
        drawn |= {"".join(folders)}
    drawn |= {f"{path}__init__.py" for path in drawn if path.endswith("/")} | {"__init__.py"}
    real = {path.relative_to(root / "src" / "fourfold").as_posix() for path in modules(root).values()}
    drawn = {path for path in drawn if path.endswith(".py")}
    folders_without_module = {path for path in drawn - real if path.endswith("__init__.py")}
    missing = [f"docs/map.md does not name {path}: run make docs" for path in sorted(real - drawn)]
    gone = drawn - real - folders_without_module
    return missing + [f"docs/map.md names {path}, which is not there: run make docs" for path in sorted(gone)]


# ---- rules on the code as it is imported ----------------------------------------------------------------------------------


def run_python(root: Path, *arguments: str) -> str:
    """Standard output of this Python with the package of `root` in front of all others."""
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=root, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def house(root: Path) -> dict[str, Any]:
    """What docs/describe.py finds in the package of `root`: tables with their parts, commands, settings, modules that fail."""
    return json.loads(run_python(root, str(root / "docs" / "describe.py")))


def parts(root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """`noun name` and description of each part that could be imported."""
    for table in house(root)["tables"]:
        for part in table["parts"]:
            if "error" not in part:
                yield f"{table['noun']} {part['name']}", part


def every_module_imports(root: Path) -> list[str]:
    """Each module can be imported by itself."""
    return [f"{module}: {error}" for module, error in house(root)["broken"].items()]


def every_table_line_resolves(root: Path) -> list[str]:
    """Behind each line of each table there is a class."""
    lines = [(table["noun"], part) for table in house(root)["tables"] for part in table["parts"]]
    return [f"{noun} {part['name']} → {part['target']}: {part['error']}" for noun, part in lines if "error" in part]


def every_part_is_a_frozen_dataclass(root: Path) -> list[str]:
    """A part is a frozen, slotted dataclass with a docstring; what holds something open has `close()` and a docstring."""
    found = []
    for name, part in parts(root):
        wanted = ["closable"] if name.rpartition(" ")[0] in HOLDERS else ["dataclass", "frozen", "slotted"]
        found += [f"{name} ({part['target']}): is not {word}" for word in wanted if not part[word]]
        found += [] if part["doc"] else [f"{name} ({part['target']}): has no docstring"]
    return found


def every_part_has_a_test(root: Path) -> list[str]:
    """The class or the quoted name of a part occurs in a test file of its layer."""
    texts: dict[str, str] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        layer = path.relative_to(root / "tests").parts[0]
        texts[layer] = texts.get(layer, "") + path.read_text(encoding="utf-8")
    found = []
    for name, part in parts(root):
        module, _, cls = part["target"].partition(":")
        layer = module.split(".")[1]
        if not re.search(rf"\b{cls}\b|[\"']{re.escape(part['name'])}[\"']", texts.get(layer, "")):
            found.append(f"{name} ({part['target']}): no test under tests/{layer} mentions {cls} or {part['name']!r}")
    return found


def every_part_is_documented(root: Path) -> list[str]:
    """Some page written by hand names the part, and names each of its settings, in code type."""
    pages = [_code_words(path) for path in sorted((root / "docs").glob("*.md")) if path.name not in {"reference.md", "map.md"}]
    found = []
    for name, part in parts(root):
        about = [words for words in pages if part["name"] in words]
        if not about:
            found.append(f"{name}: no page of docs/ names it")
        else:
            missing = [s["name"] for s in part["settings"] if not any(s["name"] in words for words in about)]
            found += [f"{name}: its setting {setting} is on no page of docs/ that names the part" for setting in missing]
    return found


def every_command_is_documented(root: Path) -> list[str]:
    """Some page shows each command as it is typed: `fourfold collect`."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((root / "docs").glob("*.md")))
    commands = [command["name"] for command in house(root)["commands"]]
    return [f"no page of docs/ shows {c!r}" for c in commands if not re.search(rf"{re.escape(c)}(?![\w-])", text)]


def every_command_shown_exists(root: Path) -> list[str]:
    """What pages show as `fourfold WORD` is a command."""
    commands = {command["name"] for command in house(root)["commands"]}
    known = commands | {command.rpartition(" ")[0] for command in commands}
    found = []
    for path in sorted([*root.glob("*.md"), *(root / "docs").glob("*.md")]):
        shown = re.findall(r"(?:^|[\s`])(fourfold [a-z][a-z-]*)\b(?!/)", "\n".join(_code(path)), re.MULTILINE)
        found += [f"{path.relative_to(root).as_posix()}: {s!r} is no command" for s in dict.fromkeys(shown) if s not in known]
    return found


def every_setting_is_documented(root: Path) -> list[str]:
    """Some page names each field of core.config.Settings in code type."""
    words = set().union(*(_code_words(path) for path in (root / "docs").glob("*.md")))
    return [f"setting {s['name']}: no page of docs/ names it" for s in house(root)["settings"] if s["name"] not in words]


def _code(path: Path) -> list[str]:
    return re.findall(r"```.*?```|`[^`\n]+`", path.read_text(encoding="utf-8"), re.DOTALL)


def _code_words(path: Path) -> set[str]:
    return {word for span in _code(path) for word in re.findall(r"[\w.-]*\w", span)}


def the_platform_imports_light(root: Path) -> list[str]:
    """`import fourfold.application.platform` loads none of TOO_HEAVY_FOR_THE_PLATFORM, by whatever way."""
    code = f"import sys, fourfold.application.platform\nprint(*(n for n in {TOO_HEAVY_FOR_THE_PLATFORM!r} if n in sys.modules))"
    return [f"import fourfold.application.platform loads {name}" for name in run_python(root, "-c", code).split()]


def no_work_on_import(root: Path) -> list[str]:
    """Importing any module writes nothing, opens no socket, starts no process and no thread."""
    return [f"{module}: on import {act}" for module, act in house(root)["side_effects"]]


def the_core_needs_no_extra(root: Path) -> list[str]:
    """With the libraries of all extras made unimportable, every module can still be imported."""
    described = run_python(root, str(root / "docs" / "describe.py"), "--without", *extra_libraries(root))
    return [f"{module}: {error}" for module, error in json.loads(described)["broken"].items()]


def extra_libraries(root: Path) -> list[str]:
    """Import names of what the extras for users install."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: wanted for name, wanted in project["optional-dependencies"].items() if name not in EXTRAS_FOR_DEVELOPERS}
    names = {re.match(r"[\w.-]+", requirement)[0] for wanted in extras.values() for requirement in wanted}  # type: ignore[index]
    return sorted({IMPORTED_AS.get(name, name.replace("-", "_")) for name in names})


RULES = (
    no_cycles,
    absolute_imports,
    heavy_libraries_stay_in_their_rooms,
    doors_ask_the_platform,
    broad_excepts_only_at_the_edges,
    no_long_modules,
    one_place_per_name,
    no_pickles,
    the_map_names_every_module,
    every_module_imports,
    every_table_line_resolves,
    every_part_is_a_frozen_dataclass,
    every_part_has_a_test,
    every_part_is_documented,
    every_command_is_documented,
    every_command_shown_exists,
    every_setting_is_documented,
    the_platform_imports_light,
    no_work_on_import,
    the_core_needs_no_extra,
)
