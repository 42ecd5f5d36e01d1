"""Personal data by a list of one's own: names of customers, colleagues, places, projects."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fourfold.core.errors import BadSpec
from fourfold.data.detectors import Finding

WORD = re.compile(r"[^\W_]")
CHINESE = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Every place where a term stands, as `entity`; the longest where several begin. A term that begins or ends with a letter
    or digit of an alphabet is found as a whole word only; Chinese ones are found anywhere.

    `terms`: the list. `file`: UTF-8, one term a line, those that begin with # left out. Raises BadSpec if there is no term.
    """

    entity: str
    terms: tuple[str, ...] = ()
    file: str = ""
    ignore_case: bool = True

    def __post_init__(self) -> None:
        if not self._terms():
            raise BadSpec(f"The dictionary of {self.entity} holds no term.", hint="Give terms, or a file with one term a line.")

    @property
    def entities(self) -> Sequence[str]:
        """The one that it finds."""
        return (self.entity,)

    def __call__(self, texts: Sequence[str], /) -> list[list[Finding]]:
        terms = _by_first(self._terms(), self.ignore_case)
        first = re.compile("|".join(re.escape(sign) for sign in terms), re.IGNORECASE if self.ignore_case else 0)
        return [list(self._find(text, first, terms)) for text in texts]

    def _find(self, text: str, first: re.Pattern[str], terms: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
        plain = _small(text) if self.ignore_case else text
        at = 0
        while match := first.search(plain, at):
            start = match.start()
            here = terms.get(plain[start], ())
            term = next((t for t in here if plain.startswith(t, start) and _whole(plain, start, start + len(t))), None)
            at = start + (len(term) if term else 1)
            if term:
                yield Finding(start, at, self.entity, 1.0)

    def _terms(self) -> tuple[str, ...]:
        return (*self.terms, *(_read(self.file) if self.file else ()))


def _read(file: str) -> tuple[str, ...]:
    try:
        lines = Path(file).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSpec(f"The dictionary {file} cannot be read: {error}.", hint="It is UTF-8 text, one term a line.") from error
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


@functools.lru_cache(maxsize=16)
def _by_first(terms: tuple[str, ...], ignore_case: bool) -> dict[str, list[str]]:
    """Terms by their first character, the longest first."""
    found: dict[str, list[str]] = {}
    for term in sorted({_small(t.strip()) if ignore_case else t.strip() for t in terms} - {""}, key=lambda t: (-len(t), t)):
        found.setdefault(term[0], []).append(term)
    return found


def _small(text: str) -> str:
    """Lower case, sign for sign, so that places stay: the capital İ has a small form of two code points, and is left."""
    small = text.lower()
    return small if len(small) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _whole(text: str, start: int, end: int) -> bool:
    """Whether no alphabetic word goes on beyond [start, end)."""
    return not (_joined(text[start - 1 : start], text[start]) or _joined(text[end - 1], text[end : end + 1]))


def _joined(left: str, right: str) -> bool:
    return bool(WORD.match(left) and WORD.match(right) and not CHINESE.match(left) and not CHINESE.match(right))
