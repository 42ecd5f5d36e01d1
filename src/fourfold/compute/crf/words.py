"""Words of raw text as Universal Dependencies cuts English: clitics apart, hyphens apart, numbers, addresses and smileys whole.

Runs of Chinese characters are cut by rjieba. Measured against EWT's own words by `bench/crf.py --words`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import rjieba

Place = tuple[int, int]  # code points [start, end)

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff\u3007\u3005"  # with 〇 and 々
_KANA = r"\u3040-\u30ff"
_LETTER = rf"[^\W\d_{HAN}{_KANA}]"

_ABBREVIATIONS = (
    "Mr Mrs Ms Dr Prof St Sts Jr Sr Inc Corp Co Ltd Bros vs etc ect ext approx dept est al Gen Sen Rep Gov Capt Lt Col Sgt Maj "
    "Cmdr Rev Hon Pres Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Mon Tue Tues Wed Thu Thurs Fri Ave Blvd Rd e.g i.e "
    "Ft Mt a.m p.m Ph.D"
)
_KEPT_PREFIXES = (
    "e re non semi anti over vice counter mis co ex pre post un mid multi inter sub ultra pro neo bi tri mini micro mega super "
    "de intra trans pseudo quasi extra under"
)
_SMILEYS = r"[:;=8xX]['’]?-?[()\[\]DPpOo/\\|*3](?![\w/])|<3+|\^_+\^|[(]-?[:;]|:-[sS]\b"
_CLITIC = r"n['’]t|['’](?:s|m|re|ve|ll|d)"
_HOST = (
    r"(?:com|org|net|edu|gov|mil|info|biz|co|uk|de|ca|us|au|cn|fr|jp|in"
    r"|html?|php|aspx?|pdf|docx?|xlsx?|txt|jpe?g|gif|png|zip|exe)"
)


def _alternatives(words: str) -> str:
    return "|".join(re.escape(word) for word in sorted(words.split(), key=len, reverse=True))


_WORD = re.compile(
    rf"""
      (?:https?://|ftp://|www\.)[^\s<>"{HAN}]*[^\s<>"{HAN}.,;:!?'’()\[\]]/?          # addresses
    | [\w.+-]{{0,64}}\w\.{{0,3}}@(?:[\w-]{{1,63}}\.){{1,8}}[A-Za-z]{{2,}}\b                          # e-mail
    | (?:[\w-]{{1,63}}\.){{1,8}}{_HOST}\b(?:/[\w./?=&%#~+-]*[\w/])?                            # hosts and file names
    | {_SMILEYS}
    | (?:(?<=\s)|^)(?:w/o?|b/c|c/o)(?=\s)                                         # with, without, because
    | \b(?:[Cc]an(?=not\b)|CAN(?=NOT\b)|[Gg]on(?=na\b)|[Ww]an(?=na\b)|[Gg]ot(?=ta\b)|[Ll]em(?=me\b)|[Gg]im(?=me\b))
    | \b(?:[Dd]o|[Dd]oes|[Dd]id|[Cc]a|[Ww]o|[Ii]s|[Ww]as|[Hh]ave|[Hh]as|[Cc]ould|[Ww]ould|[Ss]hould|[Aa]re)(?=nt\b)
    | (?:{_alternatives(_ABBREVIATIONS)})\.(?!\w)                                 # Mr.
    | (?:{_LETTER}\.){{2,}}(?:{_LETTER}\b)?                                         # U.S.
    | \b[A-Z]\.(?=\s+[A-Z])                                                       # initials
    | (?:\d-)?\d{{3}}-\d{{3}}-\d{{4}}\b                                              # telephones
    | \d{{1,2}}(?:st|nd|rd|th)\b
    | \d+(?:[.,:/]\d+)*(?:['’]?s\b)?                                              # numbers, dates, times, 1990s
    | [.,]\d+(?:,\d+)*\b                                                          # .5
    | {_CLITIC}\b
    | \b(?:{_alternatives(_KEPT_PREFIXES)})-{_LETTER}+(?:-{_LETTER}+)?                # non-human
    | {_LETTER}+?(?=n['’]t\b)                                                      # the do of don't
    | \b[A-Z]+&[A-Z]+\b                                                           # PG&E
    | (?:[OoDdLl]['’](?={_LETTER}{{3}}))?{_LETTER}[^\W{HAN}{_KANA}]*                  # words; O'Neill
    | (?P<han>[{HAN}{_KANA}]+)
    | [.!?]{{2,}} | ''|’’|<<+|>>+
    | ([.\-=*_#~+])\2*                                                            # runs of one sign
    | \S
    """,
    re.VERBOSE,
)


def find_words(text: str, *, single_han: bool = False) -> list[Place]:
    """The words of a text in order; each Chinese character one word if `single_han`."""
    found: list[Place] = []
    for match in _WORD.finditer(text):
        if match.lastgroup == "han":
            found += _han_words(match[0], match.start(), single_han)
        else:
            found.append(match.span())
    return found


def _han_words(run: str, start: int, single: bool) -> Iterator[Place]:
    for word in run if single else rjieba.cut(run):
        yield start, start + len(word)
        start += len(word)


_HAN = re.compile(f"[{HAN}]+")


def is_han(word: str) -> bool:
    """Whether a word is of Chinese characters alone."""
    return _HAN.fullmatch(word) is not None


_HAN_OR_LATIN = re.compile(rf"(?P<han>[{HAN}{_KANA}])|{_LETTER}+")


def is_chinese(text: str) -> bool:
    """Whether a text holds at least as many Chinese characters as words of other scripts; only its first 2,000 are read."""
    counts = [0, 0]
    for match in _HAN_OR_LATIN.finditer(text, 0, 2000):
        counts[match.lastgroup == "han"] += 1
    return counts[1] >= max(1, counts[0])


_LINES = re.compile(r"[^\n\r\u2028\u2029]+")


def find_paragraphs(text: str) -> list[Place]:
    """The lines of a text that are not blank, without the spaces around them."""
    found = []
    for match in _LINES.finditer(text):
        line = match[0]
        if stripped := line.strip():
            start = match.start() + len(line) - len(line.lstrip())
            found.append((start, start + len(stripped)))
    return found


_FINAL = re.compile(r"[.!?]+|[。！？；…]+|\.{2,}")
_CLOSING = frozenset("\"'”’»)]」』）】")
MAX_TOKENS = 256  # a longer stretch without an end is cut there


def cut_sentences(text: str, tokens: list[Place]) -> Iterator[slice]:
    """Where tokens form sentences: after a final sign and what closes behind it, if a space or Chinese text follows."""
    first = 0
    for i, (start, end) in enumerate(tokens):
        last = i + 1 == len(tokens)
        if last or i + 1 - first >= MAX_TOKENS or _ends(text, tokens, i, first, text[start:end]):
            yield slice(first, i + 1)
            first = i + 1


def _ends(text: str, tokens: list[Place], i: int, first: int, token: str) -> bool:
    following = text[tokens[i + 1][0] : tokens[i + 1][1]]
    if (following in _CLOSING and tokens[i + 1][0] == tokens[i][1]) or _FINAL.fullmatch(following):
        return False
    k = i
    while k > first and token in _CLOSING:
        k -= 1
        token = text[tokens[k][0] : tokens[k][1]]
    if not _FINAL.fullmatch(token):
        return False
    return token[0] > "\x7f" or (tokens[i + 1][0] > tokens[i][1] and not following[0].islower())
