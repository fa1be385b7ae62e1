"""A process that is kept waits for what is in its way, and says it once."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

import pytest

from claracore.host.cluster import ray_process
from claracore.host.cluster.ray_process import KeptProcess


def test_it_waits_for_what_is_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ray_process, "BLOCKED_SECONDS", 0.0)
    caplog.set_level(logging.WARNING)
    answers = iter(["Ray waits for port 1: x has it"] * 3 + ["Ray waits for port 2: y has it", ""])

    async def run() -> None:
        ran = asyncio.Event()
        words = [sys.executable, "-u", "-c", "import time; print('runs'); time.sleep(60)"]
        kept = KeptProcess(
            "it",
            words,
            dict(os.environ),
            mark=tmp_path / "mark",
            on_line=lambda _line: ran.set(),
            blocked=lambda: next(answers),
        )
        async with asyncio.timeout(30):
            await ran.wait()
        assert not kept.waits
        await kept.close()

    asyncio.run(run())
    assert [each.message for each in caplog.records] == [
        "Ray waits for port 1: x has it",
        "Ray waits for port 2: y has it",
    ]
