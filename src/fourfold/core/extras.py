"""Libraries of extras, asked for where they are used."""

from __future__ import annotations

import importlib
from types import ModuleType

from fourfold.core.errors import MissingExtra


def need(module: str, *, extra: str, what: str) -> ModuleType:
    """Import `module`, or raise MissingExtra: "`what` needs `module`. Run: pip install 'fourfold[extra]'"."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtra(f"{what} needs {package}.", hint=f"Run: pip install 'fourfold[{extra}]'") from error
