"""The process that cleans fragments: `python -m fourfold.data.flow.worker`, a task per line in, its figures per line out."""

from __future__ import annotations

import sys

import msgspec

from fourfold.core.errors import FourfoldError
from fourfold.data.fragment_work import Parts, Task, build_parts, same_parts, work


def main() -> None:
    """Until the input ends."""
    before: Task | None = None
    parts = Parts(None, [])
    for line in sys.stdin.buffer:
        task = msgspec.json.decode(line, type=Task)
        try:
            if not same_parts(before, task):  # a part may have a model to load
                before, parts = None, build_parts(task)
                before = task
            answer = msgspec.json.encode(work(task, parts))
        except FourfoldError as error:
            answer = msgspec.json.encode({"message": error.message, "hint": error.hint})
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
