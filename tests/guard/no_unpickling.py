"""Nothing is unpickled: neither in the process of the tests nor in those that they start.

`tests/conftest.py` calls `forbid()` and puts this folder on PYTHONPATH. Whatever unpickles raises, and is written into the file
that the variable FOURFOLD_UNPICKLED names, so that a run fails even where the exception is swallowed. `marshal` stays: imports
use it.
"""

from __future__ import annotations

import _pickle
import os
import pickle
import sys
import traceback
from typing import Any, NoReturn

FILE = "FOURFOLD_UNPICKLED"
PLANT = "FOURFOLD_PLANT_UNPICKLING"  # set by a test: every process that starts unpickles something and swallows what comes


class Unpickled(RuntimeError):
    """Something was unpickled."""


def forbid() -> None:
    """Make everything that unpickles raise, for as long as this process lives. Does nothing where FILE is not set."""
    if FILE not in os.environ or getattr(pickle.loads, "__module__", "") == __name__:
        return
    for module in (pickle, _pickle):
        for name in ("load", "loads"):
            setattr(module, name, refuse)
        module.Unpickler = Refusing  # type: ignore[misc]
    for name in ("_load", "_loads"):
        setattr(pickle, name, refuse)
    pickle._Unpickler = Refusing  # type: ignore[attr-defined]
    sys.addaudithook(look)
    if PLANT in os.environ:
        try:
            pickle.loads(b"N.")
        except Unpickled:
            return


class Refusing(_pickle.Unpickler):
    """An unpickler that cannot be made; libraries may still derive from it."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        refuse()


def look(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: what was bound before `forbid()` still cannot load a class or function."""
    if event == "pickle.find_class":
        refuse(*arguments)


def refuse(*_arguments: Any, **_options: Any) -> NoReturn:
    """Write down who unpickles, and raise."""
    where = "".join(traceback.format_stack(limit=6)[:-1])
    if file := os.environ.get(FILE):
        with open(file, "a", encoding="utf-8") as record:
            record.write(f"{' '.join(sys.orig_argv)!r} unpickled:\n{where}\n")
    raise Unpickled(f"something was unpickled:\n{where}")
