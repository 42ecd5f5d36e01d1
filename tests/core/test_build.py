"""Spec → part: strict, with the path and the closest name in every refusal."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fourfold.core.build import build_part, settings_of
from fourfold.core.errors import BadSpec, MissingExtra
from fourfold.core.registry import Table, split_spec


@dataclass(frozen=True, slots=True)
class Part:
    """A part to build."""

    min_words: int = 5
    share: float = 0.5
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.min_words < 0:
            raise ValueError("min_words is 0 or more")


TABLE = Table("thing", {"part": f"{__name__}:Part", "absent": "no_such_library.x:Y"})


def test_settings_are_filled_in():
    part = build_part(Part, {"min_words": 3, "share": 1}, path="clean.steps[1].part")
    assert settings_of(part) == {"min_words": 3, "share": 1.0, "words": ()}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_word": 3}, "clean.part has no setting 'min_word'. Did you mean 'min_words'?"),
        ({"min_words": "3"}, "clean.part.min_words: Expected `int`, got `str`."),
        ({"min_words": 2.5}, "clean.part.min_words: Expected `int`, got `float`."),
        ({"min_words": -1}, "clean.part: min_words is 0 or more."),
        ({"words": "abc"}, "clean.part.words: Expected `array`"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_path(settings, message):
    with pytest.raises(BadSpec) as caught:
        build_part(Part, settings, path="clean.part")
    assert message in caught.value.message


def test_a_value_of_the_wrong_type_is_told_its_type_and_default():
    with pytest.raises(BadSpec) as caught:
        build_part(Part, {"words": [1]}, path="part")
    assert str(caught.value) == "part.words[0]: Expected `str`, got `int`. It is of type tuple[str, ...], by default ()."


@pytest.mark.parametrize(("spec", "built"), [("a", ("a", {})), ({"a": None}, ("a", {})), ({"a": {"b": 1}}, ("a", {"b": 1}))])
def test_forms_of_a_spec(spec, built):
    assert split_spec(spec, path="steps[0]") == built


@pytest.mark.parametrize("spec", [3, None, {}, {"a": 1, "b": 2}, {"a": [1]}])
def test_what_is_no_spec(spec):
    with pytest.raises(BadSpec, match=r"steps\[0\]"):
        split_spec(spec, path="steps[0]")


def test_an_unknown_part_is_refused_with_the_closest():
    with pytest.raises(BadSpec, match=r"there is no thing 'prat'\. Did you mean 'part'"):
        TABLE.build("prat")


def test_a_part_whose_library_is_absent_names_it():
    with pytest.raises(MissingExtra, match="needs no_such_library"):
        TABLE.build("absent")


def test_a_table_lists_without_importing():
    assert TABLE.names() == ["part", "absent"]
