"""The killer kills what works, counts only that, and says why a child failed."""

from __future__ import annotations

import pytest
from tests.faults.killer import Killing, kill_side_by_side

HERE = "tests.faults.test_killer"


def busy(say, ready):
    """Says that it is ready again and again: also between the end of its time and the kill."""
    say("busy")
    while True:
        ready()


def broken(say, ready):
    ready()
    raise ValueError("the seventh chunk is missing")


def short(say, ready, word):
    ready()
    say(word)


def test_children_are_killed_and_what_they_said_is_known():
    said = kill_side_by_side(Killing(f"{HERE}:busy", 10, 1, 0.05), Killing(f"{HERE}:busy", 5, 2, 0.05))
    assert "busy" in said
    assert [line for line in said if line != "busy"] == ["killed 10", "killed 5"]


def test_a_child_that_ends_by_itself_is_no_kill():
    assert kill_side_by_side(Killing(f"{HERE}:short", 2, 1, 60, ("done",))) == ["done"] * 6 + ["killed 0"]


def test_a_child_that_fails_says_why_and_ends_the_others():
    with pytest.raises(AssertionError, match="ValueError: the seventh chunk is missing"):
        kill_side_by_side(Killing(f"{HERE}:broken", 2, 1, 60), Killing(f"{HERE}:busy", 1_000_000, 1, 60))
