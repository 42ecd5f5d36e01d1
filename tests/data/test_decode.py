"""Encodings are found, and wrong bytes spoil their own line only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold.core.errors import BadSpec
from fourfold.data.decode import check_encoding, encoding_of, lines_of

SENTENCES = (
    "您好",
    "退款",
    "我的快递到哪里了？",
    "晨露电水壶烧不开水了，能换一个吗",
    "已收到,谢谢",
    "订单 TM2026031877 还没发货",
)


@pytest.mark.parametrize("text", SENTENCES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_short_chinese_text_is_decoded_right(text: str, encoding: str) -> None:
    assert lines_of(text.encode(encoding), "auto").lines == [text]


def test_rare_characters_of_gb18030_among_common_ones() -> None:
    text = "收件人：喆𠮷先生，地址在余杭区，请尽快发货，谢谢"
    assert encoding_of(text.encode("gb18030")) == "gb18030"
    assert lines_of(text.encode("gb18030"), "auto").lines == [text]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("café au lait, déjà vu, où êtes-vous, naïve façade", "cp1252"),
        ("Der Kühlschrank läuft nicht, ich möchte ihn zurückgeben", "cp1252"),
        ("このポットはお湯が沸きません。交換してください。よろしくお願いします。", "shift_jis"),
        ("주전자가 끓지 않습니다. 교환해 주세요. 감사합니다. 배송이 너무 늦었습니다.", "euc_kr"),
        ("這個電水壺燒不開水，可以換一個新的嗎？謝謝您的幫忙，請盡快回覆。", "big5"),
        ("Чайник не кипятит воду, верните деньги, пожалуйста", "cp1251"),
    ],
)
def test_other_encodings(text: str, encoding: str) -> None:
    assert lines_of(text.encode(encoding), "auto").lines == [text]


def test_utf16_without_a_mark() -> None:
    assert lines_of("plain words\nand more".encode("utf-16-le"), "auto").lines == ["plain words", "and more"]
    assert lines_of("plain words\nand more".encode("utf-16-be"), "auto").lines == ["plain words", "and more"]


def test_a_broken_line_of_utf8_leaves_the_others_whole() -> None:
    data = "好的\n".encode() + b"\xc4\xe3 broken\n" + "谢谢\n最后".encode()
    found = lines_of(data, "auto")
    assert [found.lines[i] for i in (0, 2, 3)] == ["好的", "谢谢", "最后"]
    assert found.broken == {1}
    assert found.spoilt(0, 2)
    assert not found.spoilt(2, 4)


def test_a_broken_line_of_gb18030_leaves_the_others_whole() -> None:
    data = "您好，水壶坏了\n".encode("gb18030") + "请换一个".encode("gb18030") + b"\xff\n" + "谢谢您的帮助".encode("gb18030")
    found = lines_of(data, "auto")
    assert found.broken == {1}
    assert [found.lines[0], found.lines[2]] == ["您好，水壶坏了", "谢谢您的帮助"]


def test_a_lead_byte_at_the_end_of_a_line_does_not_swallow_the_next() -> None:
    data = "您好\n".encode("gb18030") + "水壶".encode("gb18030") + b"\xc4\n" + "谢谢".encode("gb18030")
    found = lines_of(data, "gb18030")
    assert (len(found.lines), found.broken) == (3, {1})


def test_all_line_ends() -> None:
    assert lines_of(b"a\r\nb\nc\rd", "auto").lines == ["a", "b", "c", "d"]
    assert lines_of(b"", "auto").lines == []
    assert lines_of("a\u2028b\x0bc".encode(), "auto").lines == ["a\u2028b\x0bc"]


def test_an_encoding_that_does_not_exist() -> None:
    with pytest.raises(BadSpec, match="no encoding 'utf9'"):
        check_encoding("utf9")
    with pytest.raises(BadSpec):
        check_encoding("hex")


@given(st.binary(max_size=300))
def test_any_bytes_become_lines(data: bytes) -> None:
    found = lines_of(data, "auto")
    whole = [line for i, line in enumerate(found.lines) if i not in found.broken]
    assert [line.encode().decode() for line in whole] == whole


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\ufeff\x00"), max_size=80))
def test_utf8_comes_back_as_it_was(text: str) -> None:
    assert "\n".join(lines_of(text.encode(), "auto").lines) == text
