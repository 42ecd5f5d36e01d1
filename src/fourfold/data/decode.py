"""Bytes → lines of text: the encoding is found, and bytes that do not fit it spoil their own line only."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import cache

from charset_normalizer import from_bytes

from fourfold.core.errors import BadSpec

AUTO = "auto"
SAMPLE_BYTES = 1 << 16  # of lines that are not plain ASCII: what the guess of an encoding looks at
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
# The most common first.
LEGACY = ("big5", "shift_jis", "euc_jp", "euc_kr", "cp1252", "cp1250", "cp1251", "koi8_r", "iso8859_2", "iso8859_15")
ASCII = bytes(range(128))
SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Lines:
    """A file's lines without their ends, and the places (0-based) of those whose bytes do not fit the encoding."""

    lines: list[str]
    broken: frozenset[int] = frozenset()

    def spoilt(self, start: int, end: int) -> bool:
        """Whether one of the lines [start, end) is broken."""
        return bool(self.broken) and not self.broken.isdisjoint(range(start, end))


def check_encoding(name: str) -> None:
    """Raises BadSpec unless `name` is "auto" or an encoding that Python knows."""
    if name == AUTO:
        return
    try:
        known = codecs.lookup(name)
    except LookupError:
        known = None
    if known is None or not known._is_text_encoding:  # "hex", "zip" and their like turn bytes into bytes
        raise BadSpec(f"There is no encoding {name!r}.", hint="Use auto, utf-8, gb18030, big5, cp1252 … (Python's names).")


def encoding_of(data: bytes, wanted: str = AUTO) -> str:
    """The encoding of a file: `wanted`, or what the bytes say.

    In this order: byte order mark; strict UTF-8; UTF-16 by its zero bytes; UTF-8 with some broken lines; GB18030 where at least
    70 % of the decoded characters are among the 3,755 most common Chinese ones or punctuation (short text included); else
    charset-normalizer's choice among common legacy encodings; else UTF-8.
    """
    if wanted != AUTO:
        return wanted
    for bom, name in BOMS:
        if data.startswith(bom):
            return name
    wide = _utf16(data)
    if wide:
        return wide
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        return _legacy(data)


def lines_of(data: bytes, encoding: str) -> Lines:
    """The lines of a file; `\\n`, `\\r\\n` and `\\r` end a line. Broken lines hold lone surrogates for the wrong bytes."""
    encoding = encoding_of(data, encoding)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = _decode_broken(data, encoding)
        lines = _split(text)
        return Lines(lines, frozenset(i for i, line in enumerate(lines) if SURROGATES.search(line)))
    return Lines(_split(text))


def _split(text: str) -> list[str]:
    text = text.removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


def _decode_broken(data: bytes, encoding: str) -> str:
    if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):  # these know no surrogateescape
        return data.decode(encoding, "replace").replace("\ufffd", "\udcff")
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
        return data.decode(encoding, "surrogateescape")
    # Line by line: a lone lead byte at a line's end must not swallow the end of the line.
    return "\n".join(line.decode(encoding, "surrogateescape") for line in data.replace(b"\r\n", b"\n").split(b"\n"))


def _utf16(data: bytes) -> str | None:
    sample = data[:4096]
    if len(sample) < 4 or 0 not in sample:
        return None
    even, odd = sample[0::2].count(0) / len(sample[0::2]), sample[1::2].count(0) / len(sample[1::2])
    if odd > 0.3 and even < 0.05:
        return "utf-16-le"
    if even > 0.3 and odd < 0.05:
        return "utf-16-be"
    return None


def _legacy(data: bytes) -> str:
    fits, fails, sample, size = 0, 0, [], 0
    for line in data.splitlines():
        if line.isascii():
            continue
        high = len(line.translate(None, ASCII))
        if _decodes(line, "utf-8"):
            fits += high
        else:
            fails += high
        if size < SAMPLE_BYTES:
            sample.append(line[:SAMPLE_BYTES])
            size += len(line)
    # UTF-8's sequences seldom arise by chance (谢谢 in GB18030 is лл): a quarter of the bytes is proof enough.
    return "utf-8" if fits * 3 >= fails else _guess(b"\n".join(sample))


def _guess(sample: bytes) -> str:
    chinese, replaced, upper_half = _chinese(sample)
    if chinese >= 0.7 and replaced <= 0.1:
        # Hangul fills just the rows B0–C8 of the same code space; a dozen Chinese characters without 是, 在, 有, 一 … never do.
        return "gb18030" if upper_half or len(sample) < 48 or not _decodes(sample, "euc_kr") else "euc_kr"
    found = [(m.chaos, name) for m in from_bytes(sample, cp_isolation=list(LEGACY)) for name in m.could_be_from_charset]
    if found:  # of equally plausible ones the more common
        return min(found, key=lambda pair: (round(pair[0], 2), LEGACY.index(pair[1]) if pair[1] in LEGACY else len(LEGACY)))[1]
    return "cp1252" if _decodes(sample, "cp1252") else "utf-8"


def _chinese(sample: bytes) -> tuple[float, float, bool]:
    """Shares of common Chinese characters and of bytes that do not fit among non-ASCII ones; whether rows C9–D7 occur."""
    characters = [c for c in sample.decode("gb18030", "replace") if c > "\x7f"]
    if not characters:
        return 0.0, 1.0, False
    lower, upper, marks = _common()
    good = sum(c in lower or c in upper or c in marks for c in characters)
    replaced = characters.count("\ufffd")
    return good / len(characters), replaced / len(characters), any(c in upper for c in characters)


@cache
def _common() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """GB 2312 level 1 (rows B0–C8, rows C9–D7) and punctuation with full-width forms (rows A1, A3)."""

    def rows(first: int, last: int) -> frozenset[str]:
        codes = bytes(b for high in range(first, last + 1) for low in range(0xA1, 0xFF) for b in (high, low))
        return frozenset(codes.decode("gb2312", "ignore"))

    return rows(0xB0, 0xC8), rows(0xC9, 0xD7), rows(0xA1, 0xA1) | rows(0xA3, 0xA3)


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
        return True
    except UnicodeDecodeError:
        return False
