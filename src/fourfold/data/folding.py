"""Text as searching sees it: one spelling of each character, then units (a character of Chinese, a word of other scripts, a
sign) and words as rjieba cuts them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

MOST_CHARACTERS = 200  # of one unit: tantivy leaves out what is longer than 64 KiB
CHARACTER = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003347f"  # scripts without spaces
UNIT = re.compile(rf"[{CHARACTER}]|[^\W{CHARACTER}]{{1,{MOST_CHARACTERS}}}|[^\w\s]")
RUN = re.compile(rf"[{CHARACTER}]+|[^\s{CHARACTER}]+")
WORD = re.compile(r"\w")
COMPOUND = re.compile(rf"[^\W{CHARACTER}]+(?:-[^\W{CHARACTER}]+)+")
IS_CHARACTER = re.compile(f"[{CHARACTER}]")


class _Fold(dict[int, str]):
    """What each character becomes, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _folded(chr(code))
        return folded


def _folded(character: str) -> str:
    category = unicodedata.category(character)
    if (
        category in ("Cf", "Cs") or 0xFE00 <= ord(character) <= 0xFE0F
    ):  # joiners, soft hyphens, halves of pairs, variation signs
        return ""
    if category in ("Cc", "Zl", "Zp"):
        return " "
    apart = unicodedata.normalize("NFKD", character)
    plain = "".join(c for c in apart if not 0x300 <= ord(c) <= 0x36F)  # é and e with an accent after it are both e
    return unicodedata.normalize("NFKC", plain).lower()


FOLD = _Fold({ord("’"): "'", ord("‘"): "'", ord("“"): '"', ord("”"): '"'})


def fold(text: str) -> str:
    """The text in one spelling: full width as half width, small letters, no accents, no invisible characters."""
    return text.translate(FOLD)


def fold_with_places(text: str) -> tuple[str, list[int]]:
    """The folded text, and for each of its characters the place in `text` that it came from."""
    parts = [FOLD[ord(character)] for character in text]
    return "".join(parts), [place for place, part in enumerate(parts) for _ in part]


def units(folded: str) -> list[str]:
    """The units of a folded text in order; white space is none."""
    return UNIT.findall(folded)


def words(folded: str) -> list[str]:
    """The words of a folded text for an index: longer ones of Chinese with the shorter ones in them, wi-fi also as wifi."""
    import rjieba  # reads its dictionary when imported

    found = [word for word in rjieba.cut_for_search(folded) if WORD.search(word)]
    return [*found, *(joined(compound) for compound in COMPOUND.findall(folded))] if "-" in folded else found


def joined(word: str) -> str:
    """A compound without its hyphens."""
    return word.replace("-", "")


def words_apart(folded: str) -> list[str]:
    """The words of a folded text one after another, none inside another."""
    import rjieba

    return [word for word in rjieba.cut(folded) if WORD.search(word)]


def adjacent(folded_units: Sequence[str]) -> re.Pattern[str]:
    """What finds these units one after another in a folded text, white space passed over, words of spaced scripts whole."""
    parts: list[str] = []
    for unit in folded_units:
        spaced = WORD.match(unit) and not IS_CHARACTER.match(unit)
        parts.append(rf"(?<![^\W{CHARACTER}]){re.escape(unit)}(?![^\W{CHARACTER}])" if spaced else re.escape(unit))
    return re.compile(r"\s*".join(parts))
