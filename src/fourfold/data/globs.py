"""Patterns of relative paths."""

from __future__ import annotations

import re
from functools import cache
from re import Pattern

SIGNS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def fits(path: str, pattern: str) -> bool:
    """Whether a relative path fits: `*` and `?` stay within a folder, `**` crosses folders.

    A pattern with a slash is matched against the whole path, one without against its last part.
    """
    return _compiled(pattern).fullmatch(path) is not None


@cache
def _compiled(pattern: str) -> Pattern[str]:
    whole = pattern if "/" in pattern else f"**/{pattern}"
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", whole.removeprefix("/"))
    return re.compile("".join(SIGNS.get(part) or re.escape(part) for part in parts), re.DOTALL)
