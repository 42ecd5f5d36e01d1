"""C4's rules on lines and pages."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from fourfold.data.counted import is_chinese
from fourfold.data.sentences import sentences
from fourfold.data.steps import mark
from fourfold.data.words import CJK

ENDS = (".", "!", "?", '"', "”", "。", "！", "？", "…", "」", "』", "）", "：", "；")
POLICY = (
    *("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"),
    *("使用条款", "隐私政策", "隐私声明", "cookie 政策", "使用cookie", "使用 cookie", "版权所有", "未经许可不得转载"),
)
SCRIPT = ("javascript", "启用脚本", "开启脚本")
CITATION = re.compile(r"\[(?:\d+|edit|citation needed|来源请求|编辑)\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class C4Quality:
    """The rules of Raffel et al. 2020 (arXiv:1910.10683, section 2.2). Lines go that do not end with an end mark, have fewer
    than `min_words` words (of Chinese, `min_characters_chinese` characters) or a word of more than `max_word_length`
    letters, speak of JavaScript, or are a policy's. Documents go that hold "lorem ipsum" (`c4_lorem_ipsum`) or a curly
    bracket (`c4_curly_bracket`), and those of which fewer than `min_sentences` sentences are left (`c4_too_few_sentences`).
    Marks of citations are taken out.
    """

    min_sentences: int = 5
    min_words: int = 3
    min_characters_chinese: int = 6
    max_word_length: int = 1000
    end_marks: bool = True
    curly_brackets: bool = True  # whether a document with one goes: code has many

    def __call__(self, table: pa.Table, /) -> pa.Table:
        before = [text or "" for text in table["text"].to_pylist()]
        chinese = is_chinese(table["text"])
        after = ["\n".join(self._lines(text, bool(zh))) for text, zh in zip(before, chinese)]
        smaller = [text.casefold() for text in before]
        few = [len(sentences(text)) < self.min_sentences for text in after]
        rules = {
            "c4_lorem_ipsum": ["lorem ipsum" in text for text in smaller],
            "c4_curly_bracket": [self.curly_brackets and "{" in text for text in before],
            "c4_too_few_sentences": few,
        }
        table = table.set_column(table.column_names.index("text"), "text", pa.array(after, pa.string()))
        for reason, broken in rules.items():
            table = mark(table, pa.array(broken, pa.bool_()), reason)
        return table

    def _lines(self, text: str, chinese: bool) -> list[str]:
        lines = (CITATION.sub("", line).strip() for line in text.split("\n"))
        return [line for line in lines if self._stays(line, chinese)]

    def _stays(self, line: str, chinese: bool) -> bool:
        if not line or (self.end_marks and (not line.endswith(ENDS) or line.endswith("..."))):
            return False
        words = line.split()
        enough = len(CJK.findall(line)) >= self.min_characters_chinese if chinese else len(words) >= self.min_words
        if not enough or (not chinese and max(map(len, words)) > self.max_word_length):
            return False
        small = line.casefold()
        return not any(said in small for said in (*SCRIPT, *POLICY))
