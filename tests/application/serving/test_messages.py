"""Framing and messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold.application.serving.messages import (
    Answer,
    Answers,
    Frames,
    Infer,
    InferBatch,
    Load,
    Ping,
    Pong,
    Problem,
    frame,
    replies,
    requests,
)
from fourfold.core.errors import BadInput, Corrupt

MESSAGES = [
    Ping(),
    Load("d", "noop@1", "noop", ("tag",), "/somewhere"),
    InferBatch([Infer(1, "d", "tag", b"\x90", b"\x80", 1.5, 2.5), Infer(2, "d", "tag", b"x" * 1000, b"\x80", 1.5, 2.5)]),
]


@given(st.lists(st.sampled_from(MESSAGES), max_size=6), st.integers(1, 50))
def test_messages_survive_any_cutting(sent, size):
    stream = b"".join(bytes(frame(m)) for m in sent)
    frames = Frames()
    found = [m for at in range(0, len(stream), size) for m in frames.feed(stream[at : at + size])]
    assert [requests.decode(m) for m in found] == sent


def test_replies_survive():
    sent = [Pong(3), Answers([Answer(1, b"[]", problem=Problem.of(BadInput("no", hint="yes")))])]
    stream = b"".join(bytes(frame(m)) for m in sent)
    assert [replies.decode(m) for m in Frames().feed(stream)] == sent
    assert sent[1].answers[0].problem == Problem("bad_input", 400, "no", "yes")  # type: ignore[union-attr]


def test_a_length_that_no_message_has():
    with pytest.raises(Corrupt):
        list(Frames().feed(b"\xff\xff\xff\xff"))
