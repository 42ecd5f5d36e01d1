"""A model's tables on disk: plain arrays for queries, and ARPA for everybody else."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes the functions of pyarrow.compute when it is imported
from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fourfold.compute.ngram.count import bits_of
from fourfold.compute.ngram.estimate import Tables

ARPA_ROWS = 1 << 18  # lines put together at once


def write_tables(tables: Tables, folder: Path) -> None:
    """Write `words.txt`, `keys-<n>.npy`, `log10-<n>.npy` and `backoff-<n>.npy`."""
    (folder / "words.txt").write_text("\n".join(tables.words), encoding="utf-8", newline="\n")
    for name, arrays in (("keys", tables.keys), ("log10", tables.log10), ("backoff", tables.backoff)):
        for order, array in enumerate(arrays, 1):
            np.save(folder / f"{name}-{order}.npy", array, allow_pickle=False)


def read_tables(folder: Path, order: int) -> Tables:
    """What `write_tables` wrote, mapped from disk."""

    def arrays(name: str, last: int) -> list[np.ndarray]:
        return [np.asarray(np.load(folder / f"{name}-{n}.npy", mmap_mode="r", allow_pickle=False)) for n in range(1, last + 1)]

    words = (folder / "words.txt").read_text(encoding="utf-8").split("\n")
    return Tables(words, arrays("keys", order), arrays("log10", order), arrays("backoff", order - 1))


def write_arpa(tables: Tables, path: Path) -> None:
    """Write the model as ARPA: log10 with the digits that give the same float32 back."""
    words = pa.array(tables.words, pa.string())
    bits = bits_of(len(tables.words))
    with path.open("wb") as file:
        sizes = "".join(f"ngram {n}={len(keys)}\n" for n, keys in enumerate(tables.keys, 1))
        file.write(f"\\data\\\n{sizes}".encode())
        for order, keys in enumerate(tables.keys, 1):
            file.write(f"\n\\{order}-grams:\n".encode())
            for start in range(0, len(keys), ARPA_ROWS):
                rows = slice(start, start + ARPA_ROWS)
                columns = [_numbers(tables.log10[order - 1][rows]), _spelled(tables, words, order, keys[rows], bits)]
                if order < len(tables.keys):
                    columns.append(_numbers(tables.backoff[order - 1][rows]))
                lines = pc.binary_join_element_wise(*columns, "\t")
                file.write(pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), "\n")[0].as_buffer())
                file.write(b"\n")
        file.write(b"\n\\end\\\n")


def _numbers(values: np.ndarray) -> pa.Array:
    return pa.array(values).cast(pa.string())


def _spelled(tables: Tables, words: pa.Array, order: int, keys: np.ndarray, bits: int) -> pa.Array:
    """The n-grams of these keys, words separated by spaces."""
    parts = []
    for below in range(order - 1, -1, -1):
        parts.append(words.take(pa.array(keys & ((1 << bits) - 1))))
        if below:
            keys = tables.keys[below - 1][keys >> bits]
    return parts[0] if order == 1 else pc.binary_join_element_wise(*reversed(parts), " ")
