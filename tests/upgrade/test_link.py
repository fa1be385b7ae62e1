"""Two processes speak with each other: messages, open files, and ends."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from claracore.host.upgrade.link import LARGEST_BYTES, MOST_FILES, LinkEnded, Message, PacketLink, TooLarge


def pair() -> tuple[PacketLink, PacketLink]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return PacketLink(one), PacketLink(other)


def test_messages_come_in_order_with_their_files() -> None:
    async def conversation() -> None:
        one, other = pair()
        readers, writers = zip(*(os.pipe() for _ in range(MOST_FILES)), strict=True)
        one.send("first", {"of": [1, 2.5, None]})
        one.send("second", files=readers)
        for each in readers:
            os.close(each)
        assert await other.next() == Message("first", {"of": [1, 2.5, None]})
        second = await other.next_of("second")
        assert len(second.files) == MOST_FILES
        os.write(writers[7], b"x")
        assert os.read(second.files[7], 1) == b"x"
        assert not os.get_inheritable(second.files[7])
        for each in (*second.files, *writers):
            os.close(each)
        one.close()
        other.close()

    asyncio.run(conversation())


def test_more_than_the_kernel_keeps_arrives_all_the_same() -> None:
    async def conversation() -> None:
        one, other = pair()
        for number in range(200):
            one.send("row", [number, "x" * 10_000])
        heard: list[int] = []
        all_of_it = asyncio.Event()

        def hear(message: Message) -> None:
            heard.append(message.body[0])
            if len(heard) == 200:
                all_of_it.set()

        other.follow(hear, lambda: None)
        await all_of_it.wait()
        assert heard == list(range(200))
        one.close()
        other.close()

    asyncio.run(conversation())


def test_an_end_is_heard_once_and_after_all_that_was_said() -> None:
    async def conversation() -> None:
        one, other = pair()
        one.send("last")
        one.close()
        one.send("too late")
        assert (await other.next()).kind == "last"
        with pytest.raises(LinkEnded):
            await other.next()
        ends: list[str] = []
        other.follow(lambda message: ends.append(message.kind), lambda: ends.append("end"))
        other.send("to nobody")
        assert ends == ["end"]

    asyncio.run(conversation())


def test_what_was_not_expected_or_is_too_large_is_an_error() -> None:
    async def conversation() -> None:
        one, other = pair()
        with pytest.raises(TooLarge, match="config"):
            one.send("config", "x" * LARGEST_BYTES)
        one.send("hello")
        with pytest.raises(LinkEnded, match="hello was not expected"):
            await other.next_of("prepared")
        one.close()
        other.close()

    asyncio.run(conversation())
