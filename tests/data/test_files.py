"""The source `files`: what it finds, in which order, and what it leaves alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fourfold.core.errors import BadInput, BadSpec
from fourfold.data.sources import SOURCES
from fourfold.data.sources.files import Files


def write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def found(part: Files) -> list[tuple[str, str]]:
    return [(f.path, f.reason if f.data is None else "read") for f in part()]


def test_files_come_in_order_of_their_paths(tmp_path: Path) -> None:
    write(tmp_path, "b.txt", "a/z.txt", "a/b.txt", "a.txt", "中文/工单.txt")
    assert [path for path, _ in found(Files(str(tmp_path)))] == ["a.txt", "a/b.txt", "a/z.txt", "b.txt", "中文/工单.txt"]


def test_one_file(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    files = list(Files(str(tmp_path / "a.txt"))())
    assert [(f.path, f.data) for f in files] == [("a.txt", b"a.txt")]


def test_include_and_exclude(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "x/a.csv", "x/b.csv", "x/y/a.csv", "x/a.txt")
    root = str(tmp_path)
    assert [p for p, _ in found(Files(root, include=("*.csv",), exclude=("b.*",)))] == ["a.csv", "x/a.csv", "x/y/a.csv"]
    assert [p for p, _ in found(Files(root, include=("x/*.csv",)))] == ["x/a.csv", "x/b.csv"]
    assert [p for p, _ in found(Files(root, include=("x/**",), exclude=("**/y/**",)))] == ["x/a.csv", "x/a.txt", "x/b.csv"]


def test_what_is_left_alone_is_named(tmp_path: Path) -> None:
    root, outside = tmp_path / "in", tmp_path / "out"
    write(root, ".hidden", ".git/config", "sub/a.txt", "big.txt")
    write(outside, "secret.txt")
    (root / "big.txt").write_text("x" * 100)
    (root / "out.txt").symlink_to(outside / "secret.txt")
    (root / "inside.txt").symlink_to(root / "sub" / "a.txt")
    (root / "loop").symlink_to(root)
    (root / "dangling").symlink_to(root / "nothing")
    (root / "round").symlink_to(root / "round")
    os.mkfifo(root / "pipe")
    assert found(Files(str(root), max_file_bytes=50)) == [
        (".git", "hidden"),
        (".hidden", "hidden"),
        ("big.txt", "too_large"),
        ("dangling", "broken_link"),
        ("inside.txt", "read"),
        ("loop", "link_to_folder"),
        ("out.txt", "link_out"),
        ("pipe", "not_a_file"),
        ("round", "broken_link"),
        ("sub/a.txt", "read"),
    ]


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_text("x")
    assert found(Files(str(tmp_path))) == [("\\xff.txt", "bad_name")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_and_folders_that_may_not_be_read(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "closed/b.txt")
    (tmp_path / "a.txt").chmod(0)
    (tmp_path / "closed").chmod(0)
    try:
        assert found(Files(str(tmp_path))) == [("a.txt", "not_permitted"), ("closed", "not_permitted")]
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no file or folder"):
        list(Files(str(tmp_path / "nothing"))())
    assert found(Files(str(tmp_path))) == []


def test_settings(tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match=r"files has no setting 'pth'. Did you mean 'path'\?"):
        SOURCES.build({"files": {"pth": "x"}})
    with pytest.raises(BadSpec):
        SOURCES.build({"files": {"path": "x", "splits": {"*": "training"}}})
    with pytest.raises(BadSpec, match="path is empty"):
        SOURCES.build({"files": {"path": ""}})
