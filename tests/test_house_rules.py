"""The house keeps its rules, and each rule sees a violation when one is planted in a copy of the repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docs import generate
from tests import house_rules as rules

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS: list[dict[str, Any]] = PROJECT["tool"]["importlinter"]["contracts"]
Rule = Callable[[Path], list[str]]


def copy_of_the_repository(folder: Path) -> Path:
    """What the rules read: sources, tests, docs and the project file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("src", "tests", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def plant(root: Path, path: str, text: str) -> None:
    """Append `text` to a file of the package, which may be new."""
    file = root / "src" / "fourfold" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(f"\n{text}\n")


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule: Rule) -> None:
    assert rule(ROOT) == []


# ---- rules on the text: one plant each, and what the rule says of it ------------------------------------------------------

PLANTED_TEXTS = [
    (rules.no_cycles, "core/ids.py", "import fourfold.core.planted", "fourfold.core.planted"),
    (rules.absolute_imports, "core/planted.py", "from . import ids", "core/planted.py:2: relative import of ."),
    (rules.heavy_libraries_stay_in_their_rooms, "data/planted.py", "import sqlalchemy.orm", "planted.py:2: imports sqlalchemy"),
    (rules.heavy_libraries_stay_in_their_rooms, "data/planted.py", "from pandas import DataFrame", "belongs to no room"),
    (rules.heavy_libraries_stay_in_their_rooms, "data/planted.py", "def f():\n    import torch", "imports torch"),
    (rules.heavy_libraries_stay_in_their_rooms, "data/planted.py", "r = need('ray.data', extra='ray')", "imports ray"),
    (rules.doors_ask_the_platform, "application/http/routes.py", "import fourfold.storage.ledger", "imports fourfold.storage"),
    (rules.doors_ask_the_platform, "application/cli_new.py", "from fourfold.data import clean", "imports fourfold.data.clean"),
    (rules.broad_excepts_only_at_the_edges, "data/planted.py", "try:\n    pass\nexcept Exception:\n    pass", "planted.py:4"),
    (rules.broad_excepts_only_at_the_edges, "data/planted.py", "try:\n    pass\nexcept:\n    pass", "catches everything"),
    (rules.broad_excepts_only_at_the_edges, "data/planted.py", "try:\n    x\nexcept (OSError, Exception):\n    x", "catches"),
    (rules.broad_excepts_only_at_the_edges, "data/planted.py", "with contextlib.suppress(Exception):\n    pass", "catches"),
    (rules.no_long_modules, "data/planted.py", "x = 1\n" * 400, "402 lines, more than 400"),
    (rules.one_place_per_name, "data/steps.py", "", "data/steps.py: hidden by the package steps/"),
    (rules.no_pickles, "data/planted.py", "from pickle import loads", "imports pickle.loads"),
    (rules.no_pickles, "data/planted.py", "np.load(path, allow_pickle=True)", "unpickles"),
    (rules.no_pickles, "data/planted.py", "torch.load(path, weights_only=True)", "unpickles"),
    (rules.the_map_names_every_module, "data/planted.py", "", "does not name data/planted.py"),
]


@pytest.mark.parametrize(("rule", "path", "text", "said"), PLANTED_TEXTS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_rule_sees_a_planted_text(rule: Rule, path: str, text: str, said: str, tmp_path: Path) -> None:
    root = copy_of_the_repository(tmp_path)
    if rule is rules.no_cycles:
        plant(root, "core/planted.py", "from fourfold.core import ids")
    plant(root, path, text)
    assert said in "\n".join(set(rule(root)) - set(rule(ROOT)))


def test_the_map_rule_sees_a_module_that_is_gone(tmp_path: Path) -> None:
    root = copy_of_the_repository(tmp_path)
    (root / "src" / "fourfold" / "core" / "ids.py").unlink()
    assert "docs/map.md names core/ids.py, which is not there: run make docs" in rules.the_map_names_every_module(root)


def test_edges_may_catch_everything_and_others_may_raise_it_on(tmp_path: Path) -> None:
    plant(tmp_path, "application/cli.py", "try:\n    pass\nexcept Exception:\n    pass")
    plant(tmp_path, "data/planted.py", "try:\n    pass\nexcept BaseException:\n    x = 1\n    raise")
    assert rules.broad_excepts_only_at_the_edges(tmp_path) == []


# ---- rules on the imported code: all plants in one copy -------------------------------------------------------------------

ROOM = '''
from dataclasses import dataclass
from fourfold.core.registry import Table

@dataclass(frozen=True, slots=True)
class Whole:
    """A part."""

    unheard_of: int = 5

@dataclass(frozen=True, slots=True)
class Wordless:
    pass

@dataclass(slots=True)
class Thawed:
    """A part that can be changed."""

@dataclass(frozen=True)
class Loose:
    """A part without slots."""

class Plain:
    """No dataclass at all."""

PLANTED = Table("planted", {name.lower(): f"fourfold.core.planted:{name}" for name in
                            ("Whole", "Wordless", "Thawed", "Loose", "Plain", "Missing")})
ENGINES = Table("engine", {"plain": "fourfold.core.planted:Plain"})
'''
SETTINGS = '''
@dataclass(frozen=True, slots=True)
class Settings:
    """Settings."""

    unheard_of: int = 5
'''
COMMANDS = '''
@app.command
def unheard_of() -> None:
    """A command."""
'''


@pytest.fixture(scope="session")
def planted_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_of_the_repository(tmp_path_factory.mktemp("house"))
    plant(root, "core/planted.py", ROOM)
    (root / "docs" / "planted.md").write_text("A page about the part `whole` and `fourfold unseen`.", encoding="utf-8")
    (root / "src" / "torch.py").touch()
    plant(root, "core/config.py", SETTINGS)
    plant(root, "application/cli.py", COMMANDS)
    plant(root, "application/platform.py", "import torch")
    plant(root, "core/busy.py", f"open({str(root / 'written')!r}, 'w').close()")
    plant(root, "data/needy.py", "import kenlm")
    plant(root, "data/wrong.py", "import fourfold.nowhere")
    return root


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (rules.every_module_imports, "fourfold.data.wrong: ModuleNotFoundError: No module named 'fourfold.nowhere'"),
        (rules.every_table_line_resolves, "planted missing → fourfold.core.planted:Missing: AttributeError"),
        (rules.every_part_is_a_frozen_dataclass, "planted wordless (fourfold.core.planted:Wordless): has no docstring"),
        (rules.every_part_is_a_frozen_dataclass, "planted thawed (fourfold.core.planted:Thawed): is not frozen"),
        (rules.every_part_is_a_frozen_dataclass, "planted loose (fourfold.core.planted:Loose): is not slotted"),
        (rules.every_part_is_a_frozen_dataclass, "planted plain (fourfold.core.planted:Plain): is not dataclass"),
        (rules.every_part_is_a_frozen_dataclass, "engine plain (fourfold.core.planted:Plain): is not closable"),
        (rules.every_part_has_a_test, "planted loose (fourfold.core.planted:Loose): no test under tests/core mentions Loose"),
        (rules.every_part_is_documented, "planted thawed: no page of docs/ names it"),
        (rules.every_part_is_documented, "planted whole: its setting unheard_of is on no page"),
        (rules.every_command_is_documented, "no page of docs/ shows 'fourfold unheard-of'"),
        (rules.every_command_shown_exists, "docs/planted.md: 'fourfold unseen' is no command"),
        (rules.every_setting_is_documented, "setting unheard_of: no page of docs/ names it"),
        (rules.the_platform_imports_light, "import fourfold.application.platform loads torch"),
        (rules.no_work_on_import, "fourfold.core.busy: on import open"),
        (rules.the_core_needs_no_extra, "fourfold.data.needy: ModuleNotFoundError: No module named 'kenlm'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_rule_sees_planted_code(rule: Rule, said: str, planted_house: Path) -> None:
    assert said in "\n".join(rule(planted_house))


def test_every_rule_has_a_plant() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [r.__name__ for r in rules.RULES if f"(rules.{r.__name__}, " not in source] == []


# ---- contracts of import-linter -------------------------------------------------------------------------------------------

PLANTED_IMPORTS = {
    "layers": [("core/planted.py", "import fourfold.storage")],
    "acyclic_siblings": [
        ("data/planted_a/__init__.py", "import fourfold.data.planted_b"),
        ("data/planted_b/__init__.py", "import fourfold.data.planted_a"),
    ],
}


def planted_in(contract: dict[str, Any]) -> list[tuple[str, str]]:
    """Files that violate the contract: for rooms of parts, one that imports another."""
    if contract["type"] != "independence":
        return PLANTED_IMPORTS[contract["type"]]
    room = room_of(contract).replace(".", "/").removeprefix("fourfold/")
    return [(f"{room}/planted_a.py", f"import {room_of(contract)}.planted_b"), (f"{room}/planted_b.py", "")]


def room_of(contract: dict[str, Any]) -> str:
    """The room whose parts a contract keeps apart."""
    return contract["modules"][0].removesuffix(".*")


def contracts_of(root: Path) -> dict[str, str]:
    """KEPT or BROKEN for each contract, as import-linter finds the package of `root`."""
    code = "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=120)
    found = dict(re.findall(r"^(.+?) (KEPT|BROKEN)", done.stdout, re.MULTILINE))
    assert set(found) == {contract["name"] for contract in CONTRACTS}, done.stdout + done.stderr
    return found


@pytest.fixture(scope="session")
def planted_contracts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = copy_of_the_repository(tmp_path_factory.mktemp("contracts"))
    for contract in CONTRACTS:
        for path, text in planted_in(contract):
            plant(root, path, text)
    return contracts_of(root)


def test_the_house_keeps_its_contracts() -> None:
    assert [name for name, state in contracts_of(ROOT).items() if state != "KEPT"] == []


@pytest.mark.parametrize("contract", [contract["name"] for contract in CONTRACTS])
def test_the_contract_breaks_when_violated(contract: str, planted_contracts: dict[str, str]) -> None:
    assert planted_contracts[contract] == "BROKEN"


def test_every_room_of_parts_has_its_contract() -> None:
    targets = [part["target"] for table in rules.house(ROOT)["tables"] for part in table["parts"]]
    rooms = {target.partition(":")[0].rpartition(".")[0] for target in targets}
    assert rooms == {room_of(contract) for contract in CONTRACTS if contract["type"] == "independence"}


# ---- pages made from the code --------------------------------------------------------------------------------------------


def test_the_generated_pages_are_up_to_date() -> None:
    assert generate.out_of_date(ROOT, rules.house(ROOT)) == []


def test_every_link_leads_somewhere() -> None:
    assert generate.broken_links(ROOT) == []


def test_pages_out_of_date_and_dead_links_are_seen(tmp_path: Path) -> None:
    root = copy_of_the_repository(tmp_path)
    plant(root, "core/planted.py", "import fourfold")
    (root / "docs" / "planted.md").write_text("# One heading\n[a](nowhere.md) [b](#one-heading) [c](#two) [d](map.md#the-map)")
    assert "docs/map.md is out of date: run make docs" in generate.out_of_date(root, rules.house(ROOT))
    found = [line for line in generate.broken_links(root) if "planted" in line]
    assert found == ["docs/planted.md: nowhere.md is not there", "docs/planted.md: #two has no such heading"]


# ---- what is installed ---------------------------------------------------------------------------------------------------

NOT_PINNED_YET = {"neural", "cpu", "ray"}  # nothing in the house asks for them so far; torch alone is held


def test_every_requirement_is_pinned() -> None:
    pinned = {name(line) for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line}
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    wanted += [requirement for extra in extras.keys() - NOT_PINNED_YET for requirement in extras[extra]]
    assert {name(requirement) for requirement in wanted} - pinned == set()
    assert "torch" in pinned


def test_the_core_asks_for_nothing_of_the_extras() -> None:
    heavy = {"torch", "transformers", "ray", "pandas"}
    assert {name(requirement) for requirement in PROJECT["project"]["dependencies"]} & heavy == set()


def test_every_requirement_of_the_core_is_imported() -> None:
    imported_as = {"python-crfsuite": "pycrfsuite", "python-stdnum": "stdnum", "pyyaml": "yaml"}
    wanted = {name(requirement) for requirement in PROJECT["project"]["dependencies"]}
    used = {found.imported.partition(".")[0] for found in rules.imports(ROOT)}
    assert {imported_as.get(one, one.replace("-", "_")) for one in wanted} - used == set()


def name(requirement: str) -> str:
    """The name of a requirement, as package indexes normalise it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()
