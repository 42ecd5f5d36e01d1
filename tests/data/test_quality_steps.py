"""Steps that judge: quality rules, repetition, languages, lists, length, samples, boilerplate, simplified characters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fourfold.core.errors import BadSpec
from fourfold.data.clean import build_steps, clean_into
from fourfold.data.dataset import Dataset
from fourfold.data.fragments import FragmentWriter
from fourfold.data.steps import DROPPED
from fourfold.data.steps.drop_boilerplate import DropBoilerplate
from fourfold.data.steps.drop_listed import DropListed
from fourfold.data.steps.fineweb_quality import FinewebQuality
from fourfold.data.steps.gopher_quality import GopherQuality
from fourfold.data.steps.gopher_repetition import GopherRepetition
from fourfold.data.steps.keep_languages import KeepLanguages
from fourfold.data.steps.keep_length import KeepLength
from fourfold.data.steps.sample import Sample
from fourfold.data.steps.simplify import Simplify

ENGLISH = "The lamp that you sent to us on Monday has a broken switch, and we would like to have it replaced. "
CHINESE = "你们星期一寄来的台灯开关坏了，我们希望能在这个星期换一个新的，请告诉我们应该怎么做，谢谢。"


def rows(*texts: str | None, **columns: Any) -> pa.Table:
    ids = [f"doc_{i}" for i in range(len(texts))]
    return pa.table({"doc_id": ids, "text": pa.array(texts, pa.string()), "source": ["shop/a.txt#1"] * len(texts), **columns})


def reasons(step: Any, *texts: str | None) -> list[str | None]:
    return step(rows(*texts))[DROPPED].to_pylist()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ENGLISH * 3, None),  # 60 words
        (ENGLISH * 2, "gopher_too_few_words"),  # 40 words
        (CHINESE * 3, None),  # more than 80 characters
        (CHINESE, "gopher_too_few_words"),
        (None, "gopher_too_few_words"),
        ("a b the of " * 20, "gopher_word_length"),
        ("the of internationalisation misunderstandings " * 20, "gopher_word_length"),
        (ENGLISH * 3 + "#" * 7, "gopher_symbols"),  # 7 of 61 words
        ("\n".join(["- " + ENGLISH] * 10), "gopher_bullet_lines"),
        ("\n".join([ENGLISH.strip()] * 6 + [ENGLISH.strip() + " and…"] * 4), "gopher_ellipsis_lines"),
        ("the of 1234 " * 20, "gopher_alphabetic"),  # 2 of 3 words
        ("lamp switch table chair " * 20, "gopher_stop_words"),
        ("灯泡开关桌子椅子" * 12, "gopher_stop_words"),
    ],
)
def test_gopher_quality(text: str | None, reason: str | None) -> None:
    assert reasons(GopherQuality(), text, ENGLISH * 3) == [reason, None]


def test_gopher_quality_has_no_say_beyond_its_settings() -> None:
    assert reasons(GopherQuality(min_words=1, min_characters_chinese=1), ENGLISH, CHINESE) == [None, None]


GERMAN = "Die Lampe ist leider kaputt, bitte schicken Sie uns eine neue."
JAPANESE = "注文した電灯がまだ届いていません。"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CHINESE, None),
        (ENGLISH, None),
        ("", None),
        ("one\ntwo\none\none\ntwo", "gopher_duplicate_lines"),  # 3 of 5 lines
        ("a\n\nb b\n\nc c c\n\n" + ENGLISH * 9 + "\n" + ENGLISH * 9 + "\nd", "gopher_duplicate_line_characters"),
        ("buy it " * 20, "gopher_top_2_gram"),  # 20 × 5 of 100 characters
        ("好评" * 40, "gopher_top_2_gram"),
    ],
)
def test_gopher_repetition(text: str, reason: str | None) -> None:
    assert (
        reasons(GopherRepetition(), text)[0] == reason if reason else DROPPED not in GopherRepetition()(rows(text)).column_names
    )


def test_duplicated_n_grams() -> None:
    """alpha … epsilon twice in 20 words: the second 24 of 24 + 24 + 50 characters is a fifth and more, above 0.15."""
    five, others = "alpha beta gamma delta epsilon", " ".join(f"word{i}" for i in range(10))
    step = GopherRepetition(top_2_3_4_grams=(1, 1, 1))
    assert reasons(step, f"{five} {others} {five}") == ["gopher_duplicate_5_grams"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("This line is long enough for the rule, and it ends with a full stop.", None),
        (CHINESE, None),
        ("", "fineweb_line_ends"),
        ("\n".join(["This line is long enough for the rule, and has no end"] * 9), "fineweb_line_ends"),
        ("\n".join(f"Short line {i}." for i in range(9)), "fineweb_short_lines"),
        ("\n".join(["This line is long enough for the rule, and it ends with a full stop."] * 2), "fineweb_repeated"),
    ],
)
def test_fineweb_quality(text: str, reason: str | None) -> None:
    assert reasons(FinewebQuality(), text) == [reason]


def test_languages() -> None:
    texts = (
        ENGLISH,
        CHINESE,
        GERMAN,
        "12345",
        None,
        "注文した電灯がまだ届いていません。",
        "Hello there, how are you doing today?",
    )
    table = KeepLanguages()(rows(*texts))
    assert table["lang"].to_pylist() == ["en", "zh", "de", "und", "und", "ja", "en"]
    assert DROPPED not in table.column_names
    assert reasons(KeepLanguages(("zh", "en")), *texts) == [None, None, *["language"] * 4, None]


def test_length_counts_code_points() -> None:
    assert reasons(KeepLength(2, 3), "灯", "灯泡", "灯泡👍", "灯泡坏了", None) == [
        "too_short",
        None,
        None,
        "too_long",
        "too_short",
    ]
    with pytest.raises(BadSpec, match="nothing is between"):
        KeepLength(5, 4)


def test_a_smaller_sample_is_inside_a_larger_one() -> None:
    texts = ["x"] * 2000
    small, large = ([r is None for r in reasons(Sample(share), *texts)] for share in (0.1, 0.5))
    assert 140 < sum(small) < 260
    assert 900 < sum(large) < 1100
    assert all(in_large for in_small, in_large in zip(small, large) if in_small)
    assert [r is None for r in reasons(Sample(0.1, seed=1), *texts)] != small


def test_lists() -> None:
    step = DropListed(("赌博", "casino", "a.b"))
    assert reasons(step, "在线赌博网站", "The CASINO.", "casinos", "a.b", "aXb", None) == [
        "listed",
        "listed",
        None,
        "listed",
        None,
        None,
    ]
    assert reasons(DropListed(("casino",), min_hits=2), "a casino", "casino and casino") == [None, "listed"]
    with pytest.raises(BadSpec, match="words is empty"):
        DropListed(())


def test_simplify() -> None:
    table = Simplify()(
        rows("這個燈泡壞了", "plain", None, tokens=[["燈泡", "x"], None, []], note=['{"a":"壞"}', None, "乾隆乾淨"])
    )
    assert table["text"].to_pylist() == ["这个灯泡坏了", "plain", None]
    assert table["tokens"].to_pylist() == [["灯泡", "x"], None, []]
    assert table["note"].to_pylist() == ['{"a":"坏"}', None, "乾隆干净"]


def test_boilerplate_by_site(tmp_path: Path) -> None:
    """The menu of one site goes; the same line on another, where it is rare, stays. What was only menu goes as a whole."""
    folder = tmp_path / "in"
    folder.mkdir()
    writer = FragmentWriter(folder, rows=4)
    pages = [(f"shop/{i}.html", f"Menu\n\npage {i}\nImprint") for i in range(9)] + [
        ("shop/9.html", "Menu\nImprint"),
        ("blog/a.html", "Menu\nof the day"),
    ]
    for i, (path, text) in enumerate(pages):
        writer.add({"doc_id": f"doc_{i}", "text": text, "source": f"{path}#1", "source_digest": "0", "fetched_at": None}, 1)
    writer.close()
    out = tmp_path / "out"
    out.mkdir()
    figures = clean_into(Dataset(folder), out, build_steps(["drop_boilerplate"]))
    assert Dataset(out).table()["text"].to_pylist() == [*(f"page {i}" for i in range(9)), "Menu\nof the day"]
    assert figures["drops"] == {"boilerplate": 1}
    assert figures["changes"] == {"drop_boilerplate": {"text": 9}}
    with pytest.raises(BadSpec, match="min_documents"):
        DropBoilerplate(min_documents=1)
