"""Words as people count them, and tokens in step with their text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fourfold.data.globs import fits
from fourfold.data.tokens import gaps, join
from fourfold.data.words import has_words, words


def test_words() -> None:
    assert words("Hello, my - world 42!") == ["Hello,", "my", "world", "42!"]
    assert words("我的快递呢？") == ["我", "的", "快递", "呢"]
    assert has_words("a " * 10_000, 10_000)
    assert not has_words("a " * 10_000, 10_001)


def test_gaps() -> None:
    assert gaps(" a  b.", ["a", "b", "."]) == [" ", "  ", "", ""]
    assert gaps("a x b", ["a", "b"]) is None
    assert gaps("a b c", ["a", "b"]) is None
    assert gaps("", []) == [""]


@given(st.lists(st.tuples(st.sampled_from(["a", "bb", "中", "."]), st.sampled_from(["", " ", "\n"]))))
def test_join_undoes_gaps(pairs: list[tuple[str, str]]) -> None:
    text = "".join(token + space for token, space in pairs)
    tokens = [token for token, _ in pairs]
    spaces = gaps(text, tokens)
    assert spaces is not None
    assert join(spaces, tokens) == text


def test_globs() -> None:
    assert fits("a/b/c.csv", "*.csv")
    assert not fits("a/b/c.csv", "a/*.csv")
    assert fits("a/b/c.csv", "a/**/*.csv")
    assert fits("a/c.csv", "a/**/*.csv")
    assert not fits("a/c.csvx", "*.csv")
    assert fits("a/[1].csv", "[1].csv")
