"""A killer: runs an act in forked children, one after the other, and kills each with signal 9 after a random, seeded time.

`python -m tests.faults.killer MODULE:FUNCTION COUNT SEED LONGEST_SECONDS ARGUMENT…` calls FUNCTION(say, ready, *ARGUMENTS) in
each child. `say(line)` prints a line in one write, so that what was said before the kill is known. The time runs from
`ready()`, and in one of ten children from the start. A child that ends by itself is not counted as a kill.
"""

from __future__ import annotations

import importlib
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def kill_often(target: str, count: int, seed: int, longest_seconds: float, *arguments: str) -> subprocess.Popen[str]:
    """A process that lets `target` be killed `count` times; its output is what the children said, and `killed N` at the end."""
    command = [sys.executable, "-m", "tests.faults.killer", target, str(count), str(seed), str(longest_seconds), *arguments]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def say(line: str) -> None:
    """Print a line at once."""
    os.write(1, f"{line}\n".encode())


def main(target: str, count: int, seed: int, longest_seconds: float, arguments: list[str]) -> None:
    """Kill `count` children."""
    module, _, name = target.partition(":")
    act: Callable[..., None] = getattr(importlib.import_module(module), name)
    chance, killed, tried = random.Random(seed), 0, 0
    while killed < count and tried < 3 * count:
        tried += 1
        killed += _one(act, chance.uniform(0, longest_seconds), arguments, at_once=chance.random() < 0.1)
    say(f"killed {killed}")


def _one(act: Callable[..., None], seconds: float, arguments: list[str], *, at_once: bool) -> bool:
    """Whether the child was killed in the midst of its work."""
    begun, begin = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(begun)
        code = 1
        try:
            if at_once:
                os.write(begin, b"x")
            act(say, lambda: os.write(begin, b"x"), *arguments)
            code = 0
        finally:
            os._exit(code)
    os.close(begin)
    os.read(begun, 1)
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and select.select([begun], [], [], left)[0]:
        if not os.read(begun, 1):
            break  # the child ended, which closed the pipe
    os.close(begun)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise SystemExit(f"the child failed with {os.WEXITSTATUS(status)}")
    return os.WIFSIGNALED(status)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5:])
