"""Cleaning that is killed goes on where it was: no finished fragment is done again, and the outcome is the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fourfold.core.errors import BadInput
from fourfold.core.nouns import Actor, Version
from fourfold.data import workspace as spaces
from fourfold.data.clean import clean
from fourfold.data.fragments import FragmentWriter
from fourfold.data.workspace import workspace
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
STEPS = ["normalise", "drop_duplicates", {"keep_length": {"min_characters": 3}}, "drop_near_duplicates"]
CHILD = """
import sys
from pathlib import Path
from fourfold.core.nouns import Actor
from fourfold.data.clean import clean
from fourfold.storage.ledger import Ledger

calls = 0

def progress(done, total, unit):
    global calls
    calls += 1
    print(calls, flush=True)
    if calls >= int(sys.argv[3]):
        sys.stdin.read()  # until this process is killed

ledger = Ledger.open(Path(sys.argv[1]))
clean(ledger, Actor("key_1", "Tessa", "admin"), "clean", ledger.version("raw"), STEPS, runner=sys.argv[2], progress=progress)
"""


def home_with_data(folder: Path) -> Version:
    """A home whose dataset raw@1 has twelve fragments."""
    ledger, rng = Ledger.open(folder), random.Random(3)
    with ledger.run("collect", kind="dataset", name="raw", spec={}, actor=ACTOR) as run:
        writer = FragmentWriter(run.folder, rows=20)
        for i in range(240):
            text = " ".join(rng.choice(("a", "bb", "ccc", "台灯", "开关")) for _ in range(rng.randint(1, 30)))
            row = {"doc_id": f"doc_{i}", "text": text, "source": f"a.txt#{i}", "source_digest": "0", "fetched_at": None}
            writer.add(row, 1)
        writer.close()
    version = run.version
    ledger.close()
    return version


def killed(home: Path, runner: str, after: int) -> int:
    """Clean in a process that is killed once it told of `after` fragments; how many it had finished by then."""
    code = CHILD.replace("STEPS", repr(STEPS))
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(home), runner, str(after)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= after:
            break
    if runner == "pool":  # its workers go on with what they were told, and their tasks end
        waited = 0
        while waited < 5:
            count = finished(home)
            time.sleep(0.2)
            waited = waited + 1 if finished(home) == count else 0
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    return finished(home)


def finished(home: Path) -> int:
    return len(list((home / spaces.FOLDER).rglob("*.done")))


@pytest.mark.parametrize(("runner", "after"), [("loop", 3), ("loop", 15), ("pool", 15)])
def test_killed_and_taken_up(tmp_path: Path, runner: str, after: int) -> None:
    home_with_data(tmp_path / "whole")
    ledger = Ledger.open(tmp_path / "whole")
    expected = clean(ledger, ACTOR, "clean", ledger.version("raw"), STEPS)
    assert ledger.find_run(expected.run_id).metrics["resumed_fragments"] == 0
    ledger.close()
    home_with_data(tmp_path / "home")
    done = killed(tmp_path / "home", runner, after)
    assert done >= after
    ledger = Ledger.open(tmp_path / "home")
    ledger.sweep()
    version = clean(ledger, ACTOR, "clean", ledger.version("raw"), STEPS, runner=runner)
    assert ledger.find_run(version.run_id).metrics["resumed_fragments"] == done, "what was done is not done again"
    assert version.digest == expected.digest
    assert list((tmp_path / "home" / spaces.FOLDER).iterdir()) == [], "nothing is left behind"
    ledger.close()


def test_other_settings_begin_anew(tmp_path: Path) -> None:
    home_with_data(tmp_path / "home")
    killed(tmp_path / "home", "loop", 3)
    ledger = Ledger.open(tmp_path / "home")
    version = clean(ledger, ACTOR, "clean", ledger.version("raw"), STEPS[:3])
    assert ledger.find_run(version.run_id).metrics["resumed_fragments"] == 0
    ledger.close()


def test_two_at_once_do_not_meet(tmp_path: Path) -> None:
    with workspace(tmp_path, "recipe") as one, workspace(tmp_path, "recipe") as other:
        assert one != other
        assert one.is_dir() and other.is_dir()
    assert not one.exists() and not other.exists()


def test_what_fails_of_itself_leaves_nothing_and_what_is_stopped_waits(tmp_path: Path) -> None:
    with pytest.raises(BadInput), workspace(tmp_path, "recipe") as folder:
        raise BadInput("no row is left")
    assert not folder.exists()
    with pytest.raises(KeyboardInterrupt), workspace(tmp_path, "recipe") as folder:
        (folder / "part").touch()
        raise KeyboardInterrupt
    with workspace(tmp_path, "recipe") as folder:
        assert (folder / "part").exists()


def test_what_nobody_takes_up_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), workspace(tmp_path, "old") as folder:
        (folder / "part").touch()
        raise KeyboardInterrupt
    os.utime(folder, (1, 1))
    with workspace(tmp_path, "new"):
        assert not folder.exists()
