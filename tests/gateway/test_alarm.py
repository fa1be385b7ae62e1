from __future__ import annotations

import asyncio

from claracore.http.gateway.alarm import NEVER, Alarm
from gateway.stand import StandIn, answers, config, model_server, play, post, stage

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_only_an_earlier_deadline_moves_the_alarm() -> None:
    async def conversation() -> None:
        alarm = Alarm(asyncio.get_running_loop(), lambda _: NEVER)
        alarm.set(1e9)
        alarm.set(2e9)
        assert alarm.at == 1e9
        alarm.set(5e8)
        assert alarm.at == 5e8
        alarm.cancel()
        assert alarm.at == NEVER

    play(conversation)


def test_it_rings_and_goes_on_with_the_next_deadline() -> None:
    async def conversation() -> None:
        rang = asyncio.Event()

        def look(now: float) -> float:
            rang.set()
            return now + 100

        loop = asyncio.get_running_loop()
        alarm = Alarm(loop, look)
        alarm.set(loop.time())
        await rang.wait()
        await asyncio.sleep(0)
        assert loop.time() + 90 < alarm.at < NEVER
        alarm.cancel()

    play(conversation)


def test_an_idle_gateway_is_not_woken_before_something_is_due() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            reader, writer = await here.connect()
            writer.write(post("/v1/completions", b'{"model":"smol"}', connection="keep-alive"))
            await reader.readuntil(b"{}")
            here.gateway.alarm.cancel()
            here.gateway.alarm.set(here.gateway.look_after(here.gateway.relay.now()))
            assert here.gateway.alarm.at > here.gateway.relay.now() + 50
            writer.close()

    play(conversation)
