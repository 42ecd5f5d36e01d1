"""Nothing is unpickled: neither in the process of the tests nor in those that they start.

`tests/conftest.py` calls `forbid()` and puts this folder on PYTHONPATH. Whatever unpickles raises, and is written into the file
that the variable FOURFOLD_UNPICKLED names, so that a run fails even where the exception is swallowed. `marshal` stays: imports
use it. Ray's own transport is the declared exception: its code may unpickle, and the processes that it starts are not watched.
"""

from __future__ import annotations

import _pickle
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

FILE = "FOURFOLD_UNPICKLED"
RAY = "/site-packages/ray/"
PLANT = "FOURFOLD_PLANT_UNPICKLING"  # set by a test: every process that starts unpickles something and swallows what comes


class Unpickled(RuntimeError):
    """Something was unpickled."""


def forbid() -> None:
    """Make everything that unpickles raise, for as long as this process lives. Does nothing where FILE is not set."""
    if FILE not in os.environ or pickle.Unpickler is Refusing or any(RAY in word for word in sys.orig_argv):
        return
    for module in (pickle, _pickle):
        module.load, module.loads = _guarded(_pickle.load), _guarded(_pickle.loads)
        module.Unpickler = Refusing  # type: ignore[misc]
    pickle._load = _guarded(pickle._load)  # type: ignore[attr-defined]
    pickle._loads = _guarded(pickle._loads)  # type: ignore[attr-defined]
    pickle._Unpickler = RefusingInPython  # type: ignore[attr-defined]
    sys.addaudithook(look)
    if PLANT in os.environ:
        try:
            pickle.loads(b"N.")
        except Unpickled:
            return


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    """`original`, which refuses. Looked at in each call: a library that bound the name keeps what it bound."""

    def guarded(*arguments: Any, **options: Any) -> Any:
        look_at_caller()
        return original(*arguments, **options)

    return guarded


class Refusing(_pickle.Unpickler):
    """An unpickler that cannot be made; libraries may still derive from it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        look_at_caller()
        super().__init__(*arguments, **options)


class RefusingInPython(pickle._Unpickler):  # type: ignore[name-defined]
    """The same of the unpickler in Python: pandas copies its table of opcodes when it is imported."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        look_at_caller()
        super().__init__(*arguments, **options)


def look(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: what was bound before `forbid()` still cannot load a class or function."""
    if event == "pickle.find_class":
        look_at_caller()


def look_at_caller() -> None:
    """Raise, unless it is Ray that unpickles."""
    frame = sys._getframe(1)
    while frame is not None:
        if RAY in frame.f_code.co_filename:
            return
        frame = frame.f_back
    refuse()


def refuse() -> NoReturn:
    """Write down who unpickles, and raise."""
    where = "".join(traceback.format_stack(limit=8)[:-2])
    if file := os.environ.get(FILE):
        with open(file, "a", encoding="utf-8") as record:
            record.write(f"{' '.join(sys.orig_argv)!r} unpickled:\n{where}\n")
    raise Unpickled(f"something was unpickled:\n{where}")
