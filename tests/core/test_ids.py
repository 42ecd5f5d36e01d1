"""Ids sort by time; digests do not depend on the order of keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold.core.fingerprint import digest_bytes, digest_file, fingerprint
from fourfold.core.ids import base32, from_base32, new_id


@given(st.integers(min_value=0, max_value=2**60 - 1))
def test_base32_there_and_back(number):
    assert from_base32(base32(number, 12)) == number


@given(st.tuples(st.floats(0, 2e9), st.floats(0, 2e9)))
def test_ids_sort_by_time(times):
    early, late = sorted(times)
    if int(late * 1000) > int(early * 1000):
        assert new_id("run", now=early) < new_id("run", now=late)


def test_ids_differ_and_digits_are_checked():
    assert len({new_id("run", now=1.0) for _ in range(1000)}) == 1000
    with pytest.raises(ValueError, match="substring not found"):
        from_base32("ilou")


def test_a_fingerprint_is_of_content_not_of_order():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})


def test_a_file_has_the_digest_of_its_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 1_000_000)
    assert digest_file(tmp_path / "x") == digest_bytes(b"abc" * 1_000_000)
