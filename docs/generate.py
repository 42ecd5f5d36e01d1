"""Writes the parts of docs/ that are made from the code, and checks every link.

`python docs/generate.py` writes docs/reference.md and what stands between the markers of docs/map.md and docs/settings.md;
`--check` only says what is out of date. Both end with 1 if a link of a page, or of README.md and its like, leads nowhere.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("application", "compute", "data", "storage", "core")
PAGES = ("docs", "examples", "changes", "deploy")
WIDTH = 128
NAMES = 34  # columns of the tree before the sentences
NOTE = "*Written by `make docs` from the code: change it there.*"


# ---- the map ------------------------------------------------------------------------------------------------------------


def source_tree(root: Path) -> str:
    """The package as an indented tree: each folder and module with the first sentence of its docstring."""
    package = root / "src" / "fourfold"
    lines = [f"{'src/fourfold/':<{NAMES}}{_about(package / '__init__.py')}"]
    lines += [_line(f"  {path.name}", path) for path in sorted(package.glob("*.py")) if path.name != "__init__.py"]
    lines += [_line(f"  {path.name}", path) for path in sorted(package.glob("*.py")) if path.name != "__init__.py"]
    for layer in reversed(LAYERS):
        lines += _branch(package / layer, 1)
    return "\n".join(lines)


def _branch(folder: Path, depth: int) -> Iterator[str]:
    indent = "  " * depth
    yield _line(f"{indent}{folder.name}/", folder / "__init__.py")
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            yield _line(f"{indent}  {path.name}", path)
    for below in sorted(path for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))):
        yield from _branch(below, depth + 1)


def _line(name: str, path: Path) -> str:
    line = f"{name:<{NAMES}}{_about(path)}".rstrip()
    return line if len(line) <= WIDTH else line[: WIDTH - 2].rsplit(" ", 1)[0].rstrip(".,;:") + " …"


def _about(path: Path) -> str:
    """A module's docstring up to the first empty line, or its first sentence where that is too long for a line of the tree."""
    if not path.exists():
        return ""
    doc = _sentence(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
    return (doc if len(doc) <= WIDTH - NAMES else doc.split(". ")[0]).removesuffix(".")


def layer_graph(root: Path) -> str:
    """Mermaid: the layers, and which of them import which."""
    arrows: set[tuple[str, str]] = set()
    for layer in LAYERS:
        for path in sorted((root / "src" / "fourfold" / layer).rglob("*.py")):
            for imported in _layers_imported(path):
                if imported != layer:
                    arrows.add((layer, imported))
    order = {layer: place for place, layer in enumerate(LAYERS)}
    drawn = [f"  {a} --> {b}" for a, b in sorted(arrows, key=lambda pair: (order[pair[0]], order[pair[1]]))]
    return "\n".join(["```mermaid", "flowchart LR", *drawn, "```"])


def _layers_imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            match name.split("."):
                case ["fourfold", str(layer), *_] if layer in LAYERS:
                    yield layer


def with_inserts(page: Path, inserts: dict[str, str]) -> str:
    """The page with each `<!-- name -->` … `<!-- end -->` filled anew."""
    text = page.read_text(encoding="utf-8")
    for name, content in inserts.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition("<!-- end -->")
        assert closing, f"{page} has no place for {name}: it needs <!-- {name} --> and <!-- end -->"
        text = f"{before}{opening}{content}\n{closing}{after}"
    return text


# ---- the reference -------------------------------------------------------------------------------------------------------


def reference(described: dict[str, Any]) -> str:
    """docs/reference.md: commands, acts, parts and errors."""
    first, *others = [command["arguments"] for command in described["commands"]] or [[]]
    everywhere = [argument for argument in first if all(argument in arguments for arguments in others)]
    blocks = [
        "# Reference",
        NOTE,
        "[Commands](#commands) · [Acts](#acts) · [Parts](#parts) · [Errors](#errors). "
        "Settings of a home have [their own page](settings.md).",
        "## Commands",
        "Exit codes: 0 done, 1 failed, 2 usage, 3 not permitted, 4 not found, 5 conflict or gate refused, 6 timed out. "
        "Every command takes these:",
        _arguments(everywhere),
        *(block for command in described["commands"] for block in _command(command, everywhere)),
        "## Acts",
        "Methods of the SDK under these names, routes under `/api/v1`. A long act answers 202 with a job.",
        _table(("act", "route", "permission", ""), map(_act, described["acts"])),
        "## Parts",
        "A part is named in a spec by its name alone, or with settings: `{name: {setting: value}}`.",
        *(block for table in described["tables"] for block in _part_table(table)),
        "## Errors",
        "Each error says what happened, to which thing, and the next step. Over HTTP it is `application/problem+json` with its "
        "`code`; the command line ends with its exit code.",
        _table(
            ("code", "HTTP", "exit code", ""),
            ((f"`{e['code']}`", str(e["status"]), str(e["exit_code"]), _sentence(e["doc"])) for e in described["errors"]),
        ),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def settings(described: dict[str, Any]) -> str:
    """The table of docs/settings.md."""
    rows = ((*_setting(s)[:3], f"`FOURFOLD_{s['name'].upper()}`", s["help"]) for s in described["settings"])
    return _table(("setting", "type", "default", "variable", ""), rows)


def _command(command: dict[str, Any], everywhere: list[dict[str, Any]]) -> Iterator[str]:
    yield f"### `{command['name']}`"
    about, _, example = command["help"].partition("Example: ")
    yield about.strip()
    yield f"```\n{example.strip()}\n```" if example else ""
    yield _arguments([argument for argument in command["arguments"] if argument not in everywhere])


def _arguments(arguments: list[dict[str, Any]]) -> str:
    rows = []
    for argument in arguments:
        names = ", ".join(f"`{name}`" for name in argument["names"] if not name.startswith(("--no-", "--empty-")))
        rows.append((names, "required" if argument["required"] else "", argument["help"]))
    return _table(("argument", "", ""), rows)


def _act(act: dict[str, Any]) -> tuple[str, str, str, str]:
    long = " (long)" if act["long"] else ""
    return f"`{act['name']}`", f"`{act['method']} {act['path'].replace(':path}', '}')}`{long}", act["action"], act["doc"]


def _part_table(table: dict[str, Any]) -> Iterator[str]:
    yield f"### {table['noun'].capitalize()}"
    for part in table["parts"]:
        if "error" not in part:
            yield f"**`{part['name']}`** {_sentence(part['doc'])}"
            yield _table(("setting", "type", "default", ""), map(_setting, part["settings"]))


def _setting(setting: dict[str, Any]) -> tuple[str, str, str, str]:
    default = "required" if setting["default"] is None else _code(setting["default"])
    return f"`{setting['name']}`", _code(setting["type"]), default, setting["help"]


def _code(text: str | None) -> str:
    return f"`{text}`" if text not in (None, "None", "''") else ""


def _sentence(doc: str) -> str:
    return " ".join(doc.partition("\n\n")[0].split())


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    body = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *body]) if body else ""


# ---- links ----------------------------------------------------------------------------------------------------------------


def pages(root: Path) -> list[Path]:
    """All pages that people read."""
    return sorted([*root.glob("*.md"), *(page for room in PAGES for page in (root / room).rglob("*.md"))])


def broken_links(root: Path) -> list[str]:
    """Links inside the repository that lead to no file or to no heading."""
    found = []
    for page in pages(root):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"\w+:", target):
                path, _, anchor = target.partition("#")
                file = (page.parent / path).resolve() if path else page
                if not file.exists():
                    found.append(f"{page.relative_to(root).as_posix()}: {target} is not there")
                elif anchor and anchor not in _anchors(file):
                    found.append(f"{page.relative_to(root).as_posix()}: {target} has no such heading")
    return found


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# ---- all of it ------------------------------------------------------------------------------------------------------------


def written(root: Path, described: dict[str, Any]) -> dict[Path, str]:
    """The pages that are made from the code, as they should be."""
    inserts = {
        root / "docs" / "map.md": {"layers": layer_graph(root), "tree": f"```\n{source_tree(root)}\n```"},
        root / "docs" / "settings.md": {"settings": settings(described)},
    }
    pages = {page: with_inserts(page, contents) for page, contents in inserts.items()}
    schema = json.dumps(described["project_schema"], indent=2, ensure_ascii=False) + "\n"
    shipped = root / "src" / "fourfold" / "application" / "project.schema.json"
    return pages | {root / "docs" / "reference.md": reference(described), shipped: schema}


def out_of_date(root: Path, described: dict[str, Any]) -> list[str]:
    """Pages that `make docs` would change."""
    stale = [p for p, text in written(root, described).items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    return [f"{path.relative_to(root).as_posix()} is out of date: run make docs" for path in stale]


def main(arguments: list[str]) -> int:
    """Write or check; the exit code."""
    done = subprocess.run([sys.executable, str(ROOT / "docs" / "describe.py")], capture_output=True, text=True, check=True)
    described = json.loads(done.stdout)
    problems = out_of_date(ROOT, described) if "--check" in arguments else []
    if "--check" not in arguments:
        for path, text in written(ROOT, described).items():
            path.write_text(text, encoding="utf-8")
    problems += broken_links(ROOT)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
