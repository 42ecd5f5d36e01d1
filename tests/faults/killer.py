"""A killer: runs an act in forked children, one after the other, and kills each with signal 9 after a random, seeded time.

`python -m tests.faults.killer MODULE:FUNCTION COUNT SEED LONGEST_SECONDS ARGUMENT…` calls FUNCTION(say, ready, *ARGUMENTS) in
each child. `say(line)` prints a line in one write, so that what was said before the kill is known. The time runs from
`ready()`, and in one of ten children from the start. A child that ends by itself is not counted as a kill; one that fails ends
the killing, and says why.
"""

from __future__ import annotations

import importlib
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Killing:
    """An act that is to be killed `count` times, each time after at most so many seconds."""

    act: str
    count: int
    seed: int
    longest_seconds: float
    arguments: tuple[str, ...] = ()


def kill_side_by_side(*killings: Killing) -> list[str]:
    """What the children of all killings said, and `killed N` of each. Raises AssertionError with the traceback of a child that
    failed; the other killings are ended then."""
    with tempfile.TemporaryDirectory() as folder:
        running = [_started(killing, Path(folder) / str(number)) for number, killing in enumerate(killings)]
        try:
            while any(process.poll() is None for process in running) and not any(process.poll() for process in running):
                time.sleep(0.05)
        finally:
            for process in running:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        errors = [path.read_text() for path in sorted(Path(folder).glob("*.err"))]
        assert [process.returncode for process in running] == [0] * len(running), "\n".join(errors)
        return [line for path in sorted(Path(folder).glob("*.out")) for line in path.read_text().splitlines()]


def _started(killing: Killing, path: Path) -> subprocess.Popen[bytes]:
    """Its words go to files: a pipe that nobody reads would hold its children up."""
    settings = (killing.act, str(killing.count), str(killing.seed), str(killing.longest_seconds), *killing.arguments)
    command = [sys.executable, "-m", "tests.faults.killer", *settings]
    with open(path.with_suffix(".out"), "wb") as out, open(path.with_suffix(".err"), "wb") as err:
        return subprocess.Popen(command, cwd=REPOSITORY, stdout=out, stderr=err, start_new_session=True)


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
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    os.close(begin)
    os.read(begun, 1)
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and select.select([begun], [], [], left)[0]:
        if not os.read(begun, 1):
            break  # the child ended, which closed the pipe
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(begun)  # not before: a child that says it is ready to a closed pipe would fail of that
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise SystemExit(f"the child failed with {os.WEXITSTATUS(status)}")
    return os.WIFSIGNALED(status)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5:])
