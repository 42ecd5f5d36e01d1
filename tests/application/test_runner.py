"""The runner of jobs: it stops when it is told to, whatever it was about to do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fourfold.application.runner import Runner
from fourfold.storage.ledger import Ledger


@pytest.mark.parametrize("ticks", range(6))
def test_it_stops_even_if_it_was_woken_just_before(tmp_path: Path, ticks: int):
    ledger = Ledger.open(tmp_path)

    async def stop_while_waking() -> bool:
        runner = Runner(ledger, workers=1)
        running = asyncio.create_task(runner.run())
        await asyncio.sleep(0.2)  # it waits for work now
        runner.wake()
        for _ in range(ticks):
            await asyncio.sleep(0)
        running.cancel()
        stopped, _ = await asyncio.wait({running}, timeout=5)
        running.cancel()
        return bool(stopped)

    assert asyncio.run(stop_while_waking())
    ledger.close()
