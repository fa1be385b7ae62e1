"""A peer over real sockets: it is there, hangs, dies, comes back, has another address."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

from claracore.core.cluster.model import NodeEvent, NodeGone, NodeLost, NodeSilent, NodeTold, NodeUp
from claracore.core.config.routing import PeerConfig
from claracore.host.cluster.members import Membership, polled_peers
from fakes.ports import free_port


class Peer:
    """A server that answers `/api/node`, or accepts and says nothing."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.hangs = False
        self.keys: set[str] = set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if self.hangs:
                    await asyncio.Event().wait()
                lines = head.decode().split("\r\n")
                self.keys |= {line for line in lines if line.lower().startswith("authorization")}
                body = json.dumps({"kind": "claracore", "models": [{"name": "x", "state": "ready"}]}).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                )
                writer.write(body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    async def die(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    @property
    def config(self) -> PeerConfig:
        return PeerConfig(proxy=f"http://127.0.0.1:{self.port}", models="auto", api_key="secret")


Conversation = Callable[[Peer, Membership, AsyncIterator[NodeEvent]], Awaitable[None]]


def follow(conversation: Conversation) -> None:
    async def all_of_it() -> None:
        peer, members = Peer(free_port()), polled_peers()
        await peer.start()
        events = members.follow()
        members.reconfigure({"desk": peer.config})
        async with asyncio.timeout(60):
            await conversation(peer, members, events)
        await peer.die()
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(all_of_it())


async def until(kind: type[NodeEvent], events: AsyncIterator[NodeEvent]) -> list[str]:
    """Return the names of all events up to one of this kind."""
    names = []
    async for event in events:
        names.append(type(event).__name__)
        if isinstance(event, kind):
            break
    return names


def test_a_peer_dies_and_comes_back() -> None:
    async def conversation(peer: Peer, members: Membership, events: AsyncIterator[NodeEvent]) -> None:
        assert await until(NodeTold, events) == ["NodeUp", "NodeTold"]
        assert peer.keys == {"Authorization: Bearer secret"}
        await peer.die()
        members.look_soon("desk")
        assert (await until(NodeLost, events))[-1] == "NodeLost"
        await peer.start()
        assert await until(NodeTold, events) == ["NodeUp", "NodeTold"]

    follow(conversation)


def test_a_peer_that_hangs_is_silent_first() -> None:
    async def conversation(peer: Peer, members: Membership, events: AsyncIterator[NodeEvent]) -> None:
        del members
        await until(NodeTold, events)
        peer.hangs = True
        assert "NodeLost" not in await until(NodeSilent, events)
        assert await until(NodeLost, events) == ["NodeLost"]
        peer.hangs = False
        assert (await until(NodeUp, events))[-1] == "NodeUp"

    follow(conversation)


def test_a_peer_with_another_address_begins_anew_and_one_that_is_not_named_is_gone() -> None:
    async def conversation(peer: Peer, members: Membership, events: AsyncIterator[NodeEvent]) -> None:
        await until(NodeTold, events)
        members.reconfigure({"desk": peer.config})
        members.reconfigure({"desk": peer.config.model_copy(update={"api_key": "another"})})
        assert (await until(NodeUp, events))[-2:] == ["NodeGone", "NodeUp"]
        members.reconfigure({})
        assert (await until(NodeGone, events))[-1] == "NodeGone"
        assert peer.keys == {"Authorization: Bearer secret", "Authorization: Bearer another"}

    follow(conversation)
