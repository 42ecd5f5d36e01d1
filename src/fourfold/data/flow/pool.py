"""Fragments side by side in worker processes, each told its task as a line of JSON."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import msgspec

from fourfold.core.errors import BadInput, FourfoldError
from fourfold.data.fragment_work import Parts, Task

COMMAND = (sys.executable, "-m", "fourfold.data.flow.worker")


class Pool:
    """`processes` workers (default: one per core). A worker ends when its input does, so none outlives this process."""

    def __init__(self, processes: int | None = None) -> None:
        self._size = processes or os.cpu_count() or 1
        self._all: list[subprocess.Popen[bytes]] = []
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()

    def __call__(self, tasks: Sequence[Task], parts: Parts, /) -> Iterator[tuple[int, int]]:
        while len(self._all) < min(self._size, len(tasks)):
            self._all.append(self._started())
            self._idle.put(self._all[-1])
        threads = ThreadPoolExecutor(max(len(self._all), 1))
        try:
            yield from threads.map(self._do, tasks)
        finally:
            threads.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """Ends the workers, whatever they are doing."""
        for worker in self._all:
            worker.kill()
        for worker in self._all:
            worker.communicate()
        self._all.clear()

    def _started(self) -> subprocess.Popen[bytes]:
        # A group of its own: Ctrl-C is for this process, which then closes the pool.
        return subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)

    def _do(self, task: Task) -> tuple[int, int]:
        worker = self._idle.get()
        assert worker.stdin is not None and worker.stdout is not None
        try:
            worker.stdin.write(msgspec.json.encode(task) + b"\n")
            worker.stdin.flush()
            answer = worker.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            raise FourfoldError(f"A worker process ended with code {worker.wait()}.", hint="Try again, or --runner loop.")
        self._idle.put(worker)
        found = msgspec.json.decode(answer)
        if isinstance(found, dict):
            raise BadInput(found["message"], hint=found["hint"])
        return found[0], found[1]
