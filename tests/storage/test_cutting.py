"""Where files are cut: at tensors, or where the content says."""

from __future__ import annotations

import json
import random

import pytest

from fourfold.core.fingerprint import digest_bytes
from fourfold.storage import cutting

MIB = 1 << 20


def model(tensors: dict[str, bytes], note: str = "") -> bytes:
    """A file of safetensors, made by hand."""
    head, at = {"__metadata__": {"note": note}}, 0
    for name, data in tensors.items():
        head[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [at, at + len(data)]}  # type: ignore[assignment]
        at += len(data)
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(tensors.values())


def cut(tmp_path, data: bytes, name: str = "model.safetensors") -> list[bytes]:
    (tmp_path / name).write_bytes(data)
    pieces = list(cutting.pieces(tmp_path / name, len(data)))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= cutting.CHUNK_BYTES
    return pieces


def test_safetensors_are_cut_at_their_tensors(tmp_path):
    random_ = random.Random(1)
    big, small = random_.randbytes(17 * MIB), [random_.randbytes(1000) for _ in range(3)]
    own = random_.randbytes(cutting.OWN_BYTES)
    pieces = cut(tmp_path, model({"a": small[0], "b": small[1], "big": big, "own": own, "c": small[2]}))
    assert pieces[1:] == [small[0] + small[1], big[: 16 * MIB], big[16 * MIB :], own, small[2]]


def test_a_longer_header_and_a_changed_tensor_leave_the_other_chunks_as_they_are(tmp_path):
    random_ = random.Random(2)
    tensors = {str(i): random_.randbytes(300_000) for i in range(20)}
    first = {digest_bytes(piece) for piece in cut(tmp_path, model(tensors))}
    tensors["7"] = random_.randbytes(300_000)
    second = {digest_bytes(piece) for piece in cut(tmp_path, model(tensors, note="longer" * 100))}
    assert len(second - first) == 2  # the header and the tensor


def test_what_only_looks_like_safetensors_is_cut_by_content(tmp_path):
    data = random.Random(3).randbytes(3 * MIB)
    good = model({"a": data})
    wrong = [
        data, b"", b"1234567", b"\xff" * 20, good + b"more", good[:-1],
        (2).to_bytes(8, "little") + b"[]", (2).to_bytes(8, "little") + b"{]",
        good.replace(b'"data_offsets"', b'"data_offsetz"'), good.replace(b"[0, ", b"[1, "),
    ]  # fmt: skip
    for i, content in enumerate(wrong):
        (tmp_path / f"{i}.safetensors").write_bytes(content)
        assert b"".join(cutting.pieces(tmp_path / f"{i}.safetensors", len(content))) == content


def test_other_files_are_cut_where_their_content_says(tmp_path):
    data = random.Random(4).randbytes(70 * MIB)
    first = cut(tmp_path, data, "table.bin")
    assert 5 <= len(first) <= 70
    shifted = cut(tmp_path, b"a few bytes more" + data, "table.bin")
    known = {digest_bytes(piece) for piece in first}
    assert sum(digest_bytes(piece) not in known for piece in shifted) <= 3


@pytest.mark.parametrize("name, size, whole", [
    ("a.bin", 64 * MIB, True), ("a.bin", 64 * MIB + 1, False),
    ("a.safetensors", 16 * MIB, True), ("a.safetensors", 16 * MIB + 1, False),
])  # fmt: skip
def test_small_files_are_kept_whole(tmp_path, name, size, whole):
    assert cutting.is_one_chunk(tmp_path / name, size) is whole
