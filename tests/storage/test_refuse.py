"""What a version may not hold."""

from __future__ import annotations

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from fourfold.core.errors import BadInput
from fourfold.storage import refuse


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=array.dtype.hasobject)
    return out.getvalue()


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_dot_", "."), data)
    return out.getvalue()


OBJECTS = np.array([{"a": 1}], dtype=object)
FIELDS = np.zeros(2, dtype=[("O", "f4"), ("y", "i8")])


@pytest.mark.parametrize("name, data, reason", [
    ("a.bin", pickle.dumps([1], 4), "a.bin is a pickle"),
    ("weights.PT", b"harmless", "is a pickle"),
    ("model.zip", zipped(data_dot_pkl=b"harmless"), "holds the pickle data.pkl"),
    ("checkpoint", zipped(hidden=pickle.dumps([1], 2)), "holds the pickle hidden"),
    ("a.npy", npy(OBJECTS), "holds Python objects"),
    ("a.npz", zipped(a_dot_npy=npy(OBJECTS)), "holds the pickle a.npy"),
    ("fields.npy", npy(np.zeros(2, dtype=[("x", "f4"), ("y", [("z", "O")])])), "holds Python objects"),
])  # fmt: skip
def test_pickles_are_refused_in_any_wrapping(tmp_path, name, data, reason):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=reason) as caught:
        refuse.files(tmp_path)
    assert "safetensors" in caught.value.hint


@pytest.mark.parametrize("name, data", [
    ("a.npy", npy(np.arange(5))), ("b.npy", npy(FIELDS)), ("a.npz", zipped(a_dot_npy=npy(np.arange(5)))),
    ("a.docx", zipped(word=b"<xml/>")), ("broken.zip", zipped(a=b"x" * 100)[:60]), ("empty", b""),
    ("short.npy", b"\x93NUMPY\x01"), ("wrong.npy", b"\x93NUMPY\x01\x00\x03\x00{[}"),
])  # fmt: skip
def test_what_holds_no_pickle_is_taken(tmp_path, name, data):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / name).write_bytes(data)
    assert refuse.files(tmp_path) == [tmp_path / "deep" / name]


def test_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="special file"):
        refuse.files(tmp_path)
