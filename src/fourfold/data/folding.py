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
    """The words of a folded text for an index: longer ones of Chinese with the shorter ones in them, wi-fi also as wifi,
    English ones in the singular.
    """
    import rjieba  # reads its dictionary when imported

    found = [singular(word) for word in rjieba.cut_for_search(folded) if WORD.search(word)]
    return [*found, *(joined(compound) for compound in COMPOUND.findall(folded))] if "-" in folded else found


def pairs(folded: str) -> list[str]:
    """Each two neighbours of a stretch of Chinese characters, marked so that they are no words."""
    runs = [run for run in RUN.findall(folded) if IS_CHARACTER.match(run)]
    return [f"_{run[n : n + 2]}" for run in runs for n in range(len(run) - 1)]


def joined(word: str) -> str:
    """A word as an index has it: without hyphens, in the singular."""
    return singular(word.replace("-", ""))


def singular(word: str) -> str:
    """An English word without the ending of its plural (the S-stemmer of Harman 1991); others as they are."""
    if len(word) > 3 and word[-1] == "s" and word.isascii() and word.isalpha():
        if word.endswith("ies"):
            return word if word.endswith(("eies", "aies")) else f"{word[:-3]}y"
        if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
            return word[:-1]
        return word if word.endswith(("us", "ss")) else word[:-1]
    return word


def words_apart(folded: str) -> list[str]:
    """The words of a folded text one after another, none inside another."""
    import rjieba

    return [word for word in rjieba.cut(folded) if WORD.search(word)]


def adjacent(folded_units: Sequence[str], *, plural: bool = False) -> re.Pattern[str]:
    """What finds these units one after another in a folded text, white space passed over, words of spaced scripts whole;
    `plural`: also where an English word stands in the singular or plural.
    """
    parts: list[str] = []
    for unit in folded_units:
        if not WORD.match(unit) or IS_CHARACTER.match(unit):
            parts.append(re.escape(unit))
            continue
        one = singular(unit)
        ending = rf"{re.escape(one[:-1])}(?:{one[-1]}|{one[-1]}e?s|ies)" if one.isascii() and one.isalpha() else re.escape(unit)
        word = ending if plural else re.escape(unit)
        parts.append(rf"(?<![^\W{CHARACTER}]){word}(?![^\W{CHARACTER}])")
    return re.compile(r"\s*".join(parts))
