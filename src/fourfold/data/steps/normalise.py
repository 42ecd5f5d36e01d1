"""Repair Unicode and spaces, so that later steps and detectors see one spelling of a thing."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass

import ftfy
import pyarrow as pa
from ftfy.badness import is_bad

from fourfold.data.columns import map_json, text_columns
from fourfold.data.fragments import STRINGS
from fourfold.data.tokens import gaps, join
from fourfold.data.words import CJK

ROUNDS = 8  # what one rule uncovers (&amp;lt;br&gt;) the next round cleans; no real text needs more than three
REPAIR = ftfy.TextFixerConfig(
    unescape_html=False, uncurl_quotes=False, fix_character_width=False, fix_latin_ligatures=False, explain=False
)
LINE_END = re.compile(r"\r\n?|[\x85\u2028\u2029\x0b\x0c]")
ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
BREAK = re.compile(r"<(?:br|/p|/div|/li|/tr|hr)\s*/?>", re.IGNORECASE)
TAG = re.compile(
    r"</?(?:p|div|span|font|b|i|u|strong|em|li|ul|ol|tr|td|th|table|tbody|thead|a|img|h[1-6])(?:\s[^<>]{0,2000})?/?>",
    re.IGNORECASE,
)
CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
# Zero-width spaces, soft hyphens, byte order marks, marks of direction. Joiners are another matter: see JOINER.
INVISIBLE = re.compile("[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
ASCII_OR_CJK = r"\x00-\x7f\u3000-\u9fff\uff00-\uffef"
# Joiners belong to emoji and to scripts that join letters; beside these characters they join nothing.
JOINER = re.compile(f"(?<=[{ASCII_OR_CJK}])[\u200c\u200d]+|^[\u200c\u200d]+|[\u200c\u200d]+(?=[{ASCII_OR_CJK}]|$)")
LATIN = re.compile("[0-9A-Za-z]")
WIDE = re.compile("[\uff01-\uff5e]")
NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
WIDE_LETTERS = {code: low for code, low in NARROW.items() if chr(low).isalnum()}
WIDE_SIGNS = re.compile("[＂＃＄％＆＇＊＋－／＜＝＞＠＼＾＿｀｜～]")  # no sentence mark among them
WIDE_INSIDE = re.compile("(?<=[0-9A-Za-z])[．：，](?=[0-9A-Za-z])")
SIGN_AT_WORD = re.compile(f"(?<=[0-9A-Za-z.]){WIDE_SIGNS.pattern}|{WIDE_SIGNS.pattern}(?=[0-9A-Za-z.])")
SPACES = re.compile("[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
AROUND_LINE_END = re.compile(" ?\n ?")
# What mis-decoded text is known by lies among these (Latin letters with signs, Greek, Cyrillic, symbols): "â€™", "Ð¿", "ï¼Œ".
# The signs of good typography do not count alone, nor do Chinese characters.
SUSPECT = re.compile("[\u0080-\u2fff\ufb00-\ufeff\ufffd](?<![\u2013\u2014\u2018\u2019\u201c\u201d\u2022\u2026\u00b7])")
BLANK_LINES = re.compile("\n{3,}")


@dataclass(frozen=True, slots=True)
class Normalise:
    """One spelling: NFC; mis-decoded text repaired (ftfy); full-width letters and digits half-width, other full-width signs
    only inside Latin words and numbers, so that Chinese punctuation stays; zero-width and control characters, left-over HTML
    and runs of spaces gone. Applying it twice changes nothing more.

    Lists are normalised item by item, so that they stay aligned; the text of a row with `tokens` is rebuilt from them.
    """

    columns: tuple[str, ...] = ()  # default: the text and all other columns of strings and lists of strings
    repair: bool = True
    html: bool = True
    width: bool = True

    def __call__(self, table: pa.Table, /) -> pa.Table:
        before = table
        names = text_columns(table.schema, self.columns)
        for name in names:
            if table.schema.field(name).type == STRINGS:
                values = [_items(self, items) for items in table[name].to_pylist()]
            elif name == "text":
                values = [None if text is None else self.text(text) for text in table[name].to_pylist()]
            else:
                values = [None if value is None else map_json(value, self.text) for value in table[name].to_pylist()]
            i = table.column_names.index(name)
            table = table.set_column(i, name, pa.array(values, table.schema.field(name).type))
        if "tokens" in names and "text" in names:
            texts = [
                _rebuilt(*row)
                for row in zip(
                    before["text"].to_pylist(),
                    before["tokens"].to_pylist(),
                    table["text"].to_pylist(),
                    table["tokens"].to_pylist(),
                )
            ]
            table = table.set_column(table.column_names.index("text"), "text", pa.array(texts, pa.string()))
        return table

    def text(self, text: str) -> str:
        """The normalised text."""
        for _ in range(ROUNDS):
            found = self._round(text)
            if found == text:
                break
            text = found
        return text

    def _round(self, text: str) -> str:
        """Each rule is applied where a cheap look says that it may find something: most text needs none."""
        if self.repair and not text.isascii():
            text = ftfy.fix_text(text, REPAIR) if SUSPECT.search(text) and is_bad(text) else unicodedata.normalize("NFC", text)
        if not _is_plain(text):
            text = LINE_END.sub("\n", text)
        if self.html and "&" in text:
            text = ENTITY.sub(lambda found: _unescape(found[0]), text)
        if self.html and "<" in text:
            text = TAG.sub("", BREAK.sub("\n", text))
        if not _is_plain(text):
            text = CONTROL.sub("", text)
            if not text.isascii():
                text = JOINER.sub("", INVISIBLE.sub("", text))
            text = SPACES.sub(" ", text)
        if self.width and not text.isascii() and WIDE.search(text):
            text = _half_width(text)
        if "  " in text:
            text = SPACES.sub(" ", text)
        if " \n" in text or "\n " in text:
            text = AROUND_LINE_END.sub("\n", text)
        return (BLANK_LINES.sub("\n\n", text) if "\n\n\n" in text else text).strip()


def _is_plain(text: str) -> bool:
    """Whether it holds no control or invisible characters and no spaces but the usual ones: Python prints all others."""
    return text.replace("\n", "").isprintable()


def _unescape(entity: str) -> str:
    """The character of an entity; one that stands for no character of a text (a lone surrogate, an unknown name) stays."""
    found = html.unescape(entity)
    return entity if "\ud800" <= found[:1] <= "\udfff" else found


def _half_width(text: str) -> str:
    text = text.translate(WIDE_LETTERS)
    if not CJK.search(text) and LATIN.search(text):
        return text.translate(NARROW)
    text = WIDE_INSIDE.sub(lambda found: found[0].translate(NARROW), text)
    return SIGN_AT_WORD.sub(lambda found: found[0].translate(NARROW), text)


def _items(part: Normalise, items: list[str | None] | None) -> list[str | None] | None:
    # An item of nothing but invisible characters stays: a list that loses one is out of step with the others.
    return None if items is None else [item if item is None else part.text(item) or item for item in items]


def _rebuilt(text_before: str, tokens_before: list[str] | None, text: str, tokens: list[str] | None) -> str:
    if tokens_before is None or tokens is None or tokens == tokens_before == []:
        return text
    spaces = gaps(text_before, tokens_before)
    if spaces is None:
        return text
    plain = ["\n" if "\n" in space else " " if space else "" for space in spaces]
    return join(["", *plain[1:-1], ""], tokens)
