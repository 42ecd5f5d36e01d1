"""The rehearsal that docs/high-availability.md shows: built by one command, failed over by one line."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.faults.postgres import programs
from tests.faults.swift import CannotInstall, python


def test_a_rehearsal_fails_over(tmp_path: Path) -> None:
    try:
        python(), programs()
    except (CannotInstall, FileNotFoundError) as error:
        pytest.skip(f"PostgreSQL or Swift is missing: {error}")
    command = [sys.executable, "-m", "tests.faults.cluster", str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as rehearsal:
        assert rehearsal.stdin and rehearsal.stdout

        def say(line: str) -> str:
            rehearsal.stdin.write(line + "\n")  # type: ignore[union-attr]
            return rehearsal.stdout.readline()  # type: ignore[union-attr]

        assert rehearsal.stdout.readline().startswith('database = "postgresql://')
        assert rehearsal.stdout.readline().startswith("S3: http://127.0.0.1:")
        assert say("kill 2") == say("kill primary") == "killed\n"
        end = time.monotonic() + 120
        while "promoted True" not in (state := say("state")):
            assert time.monotonic() < end, state
            time.sleep(0.2)
        assert "'one': False, 'two': True" in state
        assert "['node1', 'node3', 'proxy']" in state
        assert say("start 2") == "started\n"
        rehearsal.stdin.close()
    assert rehearsal.returncode == 0
