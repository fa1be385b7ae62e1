from __future__ import annotations

import asyncio

from claracore.host.supervisor.wake import WakeTimer


def test_it_wakes_at_the_earliest_deadline_and_once() -> None:
    async def story() -> int:
        loop, woken, woke = asyncio.get_running_loop(), 0, asyncio.Event()

        def on_due() -> None:
            nonlocal woken
            woken += 1
            woke.set()

        timer = WakeTimer(on_due)
        timer.by(loop.time() + 3600.0)
        timer.by(None)
        timer.by(loop.time())
        timer.by(loop.time() + 7200.0)
        await woke.wait()
        return woken

    assert asyncio.run(story()) == 1


def test_after_it_has_woken_or_was_cancelled_it_can_be_asked_again() -> None:
    async def story() -> None:
        loop, woke = asyncio.get_running_loop(), asyncio.Event()
        timer = WakeTimer(woke.set)
        timer.by(loop.time())
        timer.cancel()
        timer.cancel()
        timer.by(loop.time() + 3600.0)  # would not be moved back, if the cancelled one still counted
        timer.by(loop.time())
        await woke.wait()
        woke.clear()
        timer.by(loop.time())
        await woke.wait()

    asyncio.run(story())
