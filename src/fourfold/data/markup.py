"""HTML bytes → text of HTML: the encoding that is true, whatever the page declares."""

from __future__ import annotations

import codecs
import re

import numpy as np

from fourfold.data.decode import AUTO, BOMS, encoding_of

HEAD_BYTES = 4096
MAX_DEPTH = 2000  # tags within tags: beyond some thousand, parsers take minutes; browsers stop at 512
BLOCK = re.compile(
    r"<(/?)(?:a|b|i|u|p|em|ul|ol|li|td|tr|div|span|font|table|tbody|strong|section|article|blockquote)\b", re.IGNORECASE
)
CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE)
# A browser reads these as their larger sets, and so do we.
LARGER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
}


def html_encoding(data: bytes, wanted: str = AUTO) -> str:
    """The encoding of a page: `wanted`; a byte order mark; UTF-8 where all of it fits; what the page declares where nearly
    all of it fits; else a guess from the bytes.
    """
    if wanted != AUTO:
        return wanted
    if any(data.startswith(mark) for mark, _ in BOMS):
        return encoding_of(data)
    if fits(data, "utf-8"):
        return "utf-8"
    found = CHARSET.search(data[:HEAD_BYTES])
    if found:
        try:
            declared = codecs.lookup(found[1].decode("ascii")).name
        except LookupError:
            declared = ""
        declared = LARGER.get(declared, declared)
        if declared and not declared.startswith("utf") and fits(data, declared):
            return declared
    return encoding_of(data)


def fits(data: bytes, encoding: str) -> bool:
    """Whether (nearly) all bytes are of the encoding: at most one in ten thousand is not."""
    try:
        return data.decode(encoding, "replace").count("\ufffd") <= len(data) // 10_000
    except (LookupError, UnicodeError):
        return False


def html_text(data: bytes, encoding: str) -> str:
    """The page as a string; wrong bytes become U+FFFD, NULs go."""
    text = data.decode(encoding, "replace").removeprefix("\ufeff")
    return text.replace("\x00", "")


def too_deep(html: str) -> bool:
    """Whether tags stand within each other deeper than MAX_DEPTH."""
    if html.count("<") - html.count("</") <= MAX_DEPTH:  # so many tags open, and no more
        return False
    steps = np.fromiter((-1 if closing else 1 for closing in BLOCK.findall(html)), np.int32)
    if not len(steps):
        return False
    height = np.cumsum(steps)
    floor = np.minimum.accumulate(np.minimum(height, 0))  # what closes nothing leads nowhere
    return bool((height - floor).max() > MAX_DEPTH)
