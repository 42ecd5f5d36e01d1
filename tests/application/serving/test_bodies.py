"""Bodies: what reaches the engine is exactly what the task's types say."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold.application.serving.bodies import NO_OPTIONS, hash_text, readers, salt_path
from fourfold.application.serving.home import make_salt
from fourfold.application.serving.routing import Limits
from fourfold.compute.tasks import TASKS, RankInput, RankOptions, TagInput
from fourfold.core.errors import BadSpec

SALT = b"s" * 32
READERS = readers(SALT)


def read(task: str, body: object):
    found = READERS[task].read(msgspec.json.encode(body), Limits())
    inputs = msgspec.msgpack.decode(found.inputs, type=list[TASKS[task].input])
    return inputs, msgspec.msgpack.decode(found.options, type=TASKS[task].options), found


def test_every_task_has_a_reader():
    assert list(READERS) == list(TASKS)


@given(st.lists(st.builds(TagInput, st.text(), st.text(), st.none() | st.lists(st.text())), min_size=1, max_size=5))
def test_inputs_arrive_as_they_were_sent(inputs):
    found, _, body = read("tag", {"inputs": inputs})
    assert found == inputs
    assert (body.count, body.options) == (len(inputs), NO_OPTIONS)


def test_the_three_places_of_options_are_one():
    wanted = ([RankInput("a. b")], RankOptions("sentence"))
    assert read("rank", {"inputs": [{"text": "a. b"}], "unit": "sentence"})[:2] == wanted
    assert read("rank", {"inputs": [{"text": "a. b", "unit": "sentence"}]})[:2] == wanted
    assert read("rank", {"text": "a. b", "unit": "sentence"})[:2] == wanted


def test_a_field_beside_inputs_is_refused():
    with pytest.raises(BadSpec, match="'text' stands beside 'inputs'"):
        read("tag", {"inputs": [{"text": "a"}], "text": "b"})


def test_the_hash_is_of_the_texts_alone(tmp_path: Path):
    make_salt(tmp_path)
    make_salt(tmp_path)  # is made once
    reader = readers(salt_path(tmp_path).read_bytes())["tag"]
    one = reader.read(b'{"inputs":[{"id":"a","text":"hello"}]}', Limits())
    other = reader.read(b'{"text":"hello","id":"b"}', Limits())
    assert one.hash == other.hash == hash_text("hello", tmp_path)
    assert reader.read(b'{"text":"hello "}', Limits()).hash != one.hash
    two = reader.read(b'{"inputs":[{"text":"he"},{"text":"llo"}]}', Limits())
    assert two.hash not in (one.hash, reader.read(b'{"inputs":[{"text":"hell"},{"text":"o"}]}', Limits()).hash)
    assert READERS["tag"].read(b'{"text":"hello"}', Limits()).hash != one.hash  # another home's salt
