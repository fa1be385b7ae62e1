"""Files of shared models that the head does not have: which node is believed, and how they come through it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from claracore.core.cluster.elsewhere import (
    FoundFile,
    SoughtFile,
    chosen,
    found_as_json,
    found_of_json,
    givers,
    with_answer,
)
from claracore.core.config.routing import PeerConfig
from claracore.host.cluster.given_files import GivenFiles
from claracore.host.cluster.relaying import FileRelay, Giver, NoGiver
from claracore.host.cluster.shared_files import SharedFiles
from claracore.http.api.create import create_app
from fakes.fake_head import shared

ONE, OTHER = (FoundFile(9, "h", "one", "v1"),), (FoundFile(9, "h", "other", "v2"),)
BODY = b"GGUF" + os.urandom(3_000_000)


def test_who_has_been_known_for_the_longest_counts_until_he_says_something_else() -> None:
    holders = with_answer(with_answer(with_answer({}, "a", ONE), "b", OTHER), "c", ONE)
    assert chosen(holders) == ONE
    assert (givers(holders, 0, "one"), givers(holders, 0, "other")) == (("a", "c"), ("b",))
    touched = (FoundFile(9, "h", "one", "v9"),)
    assert list(with_answer(holders, "a", touched)) == ["a", "b", "c"]
    replaced = with_answer(holders, "a", OTHER)
    assert list(replaced) == ["b", "c", "a"]
    assert chosen(replaced) == OTHER
    assert list(with_answer(holders, "b", ())) == ["a", "c"]
    # The last one stays: nodes go on with what they were told, and wait.
    alone = with_answer({}, "a", ONE)
    assert with_answer(alone, "a", ()) == alone
    assert with_answer(alone, "b", ()) == alone
    assert chosen(with_answer(alone, "a", OTHER)) == OTHER
    assert chosen({}) == () == chosen(with_answer({}, "a", ()))


@pytest.mark.parametrize(
    "wrong", [[[1, "h", "s"]], [["1", "h", "s", "v"]], [[-1, "h", "s", "v"]], [[1, "h", 2, "v"]], 5]
)
def test_what_is_no_answer_is_refused(wrong: object) -> None:
    assert found_of_json(found_as_json(ONE)) == ONE
    with pytest.raises((TypeError, ValueError)):
        found_of_json(wrong)


# --- the node ---------------------------------------------------------------------------------------------------------


@dataclass
class Folders:
    roots: tuple[Path, ...]


def asked(*paths: Path, name: str = "nowhere") -> tuple[SoughtFile, ...]:
    return tuple(SoughtFile(f"{name}/{path.name}", str(path)) for path in paths)


async def looked(given: GivenFiles, *sets: tuple[SoughtFile, ...], known: dict[str, str] | None = None) -> list[Any]:
    """Return what is found, as soon as all checksums are read."""
    async with asyncio.timeout(30):
        while (found := await given.look(sets, known or {})).reading:
            await asyncio.gather(*given.files.reads)
    return list(found.sets)


def test_a_node_gives_models_only_and_all_shards_or_none(tmp_path: Path) -> None:
    root, outside = tmp_path / "models", tmp_path / "outside"
    for folder in (root / "org", outside):
        folder.mkdir(parents=True)
    model, key = root / "org/a.gguf", root / "org/key"
    shards = [outside / f"s-0000{number}-of-00002.gguf" for number in (1, 2)]
    for path in (model, *shards):
        path.write_bytes(BODY)
    key.write_bytes(b"secret")
    link, pipe = root / "org/link.gguf", root / "org/pipe.gguf"
    link.symlink_to(key)
    os.mkfifo(pipe)
    given = GivenFiles(Folders((root,)))

    async def talk() -> None:
        right = (len(BODY), hashlib.sha256(BODY).hexdigest())
        by_name, by_path, missing = await looked(
            given, asked(Path("/gone/a.gguf"), name="org"), asked(*shards), asked(shards[0], outside / "no.gguf")
        )
        assert [(each.size, each.sha256) for each in (*by_name, *by_path)] == [right] * 3
        assert missing == ()
        odd = (Path("../outside/s-00001-of-00002.gguf"), Path("/dev/zero"), Path("a\0b"), outside, key, link, pipe)
        assert await looked(given, *(asked(path, name="..") for path in odd)) == [()] * len(odd)
        # Only what was asked for last is given.
        with pytest.raises(Exception, match="no model that is shared"):
            await given.files.open(by_name[0].version)

    asyncio.run(talk())


def test_what_the_head_was_told_is_not_read_again(tmp_path: Path) -> None:
    model = tmp_path / "a.gguf"
    model.write_bytes(BODY)

    async def talk() -> None:
        [[file]] = await looked(GivenFiles(Folders(())), asked(model))
        anew = GivenFiles(Folders(()))
        found = await anew.look([asked(model)], {file.version: file.sha256})
        assert (found.sets, found.reading, list(anew.files.reads)) == (((file,),), False, [])
        os.utime(model, ns=(1, 1))
        assert (await anew.look([asked(model)], {file.version: file.sha256})).reading

    asyncio.run(talk())


# --- the way through the head -----------------------------------------------------------------------------------------


@dataclass
class Node:
    """Gives `body` by ranges, as `http/api/given_files.py`, and dies after `dies_after` bytes."""

    body: bytes = BODY
    dies_after: int | None = None
    status: int = 206
    ranges: list[str] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            asked = next(line for line in head.split("\r\n") if line.lower().startswith("range:")).partition("=")[2]
            self.ranges.append(asked)
            begin, end = (int(each) for each in asked.split("-"))
            rest = self.body[begin : end + 1]
            writer.write(
                f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(rest)}\r\n"
                f"Content-Range: bytes {begin}-{end}/{len(self.body)}\r\n\r\n".encode()
            )
            writer.write(rest[: self.dies_after])
            await writer.drain()
        writer.close()

    def giver(self, name: str = "desk") -> Giver:
        return Giver(name, PeerConfig(proxy=f"http://127.0.0.1:{self.port}"), "/api/node/files/v")


@contextlib.asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    servers = [await asyncio.start_server(node.serve, "127.0.0.1", 0) for node in nodes]
    for node, server in zip(nodes, servers, strict=True):
        node.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        for server in servers:
            server.close()


async def all_of(relay: FileRelay) -> bytes:
    await relay.open()
    try:
        return b"".join([piece async for piece in relay.pieces()])
    finally:
        await relay.aclose()


def play(talk: Callable[[], Coroutine[Any, Any, None]]) -> None:
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    asyncio.run(talk())
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) <= before


def test_who_dies_is_followed_by_the_next_behind_the_last_byte() -> None:
    gone, refuses, dies, healthy = Node(), Node(status=409), Node(dies_after=1_000_000), Node()

    async def talk() -> None:
        async with running(refuses, dies, healthy):
            gone.port = 1
            relay = FileRelay("a", [each.giver() for each in (gone, refuses, dies, healthy)], 5, len(BODY))
            assert await all_of(relay) == BODY[5:]
            last = len(BODY) - 1
            assert (refuses.ranges, dies.ranges) == ([f"5-{last}"], [f"5-{last}"])
            assert healthy.ranges == [f"1000005-{last}"]
            alone = FileRelay("a", [dies.giver()], 0, len(BODY))
            with pytest.raises(NoGiver, match="nobody gives it"):
                await all_of(alone)
            with pytest.raises(NoGiver, match="no machine that has it is there"):
                await all_of(FileRelay("a", [], 0, 5))

    play(talk)


def test_the_door_relays_ranges_of_one_version() -> None:
    secret = "s" * 32
    node, files = Node(), SharedFiles()
    digest = hashlib.sha256(BODY).hexdigest()
    file = shared("org/a.gguf", BODY, sha256=digest)

    async def relay(file: Any, begin: int, end: int) -> FileRelay:
        found = FileRelay(file.name, [node.giver()], begin, end)
        await found.open()
        return found

    async def talk() -> None:
        files.secrets, files.relay = {"lap": secret}, relay
        files.share({}, {"m": (file,)})
        app = create_app([files])
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with running(node), httpx2.AsyncClient(transport=transport, base_url="http://head") as client:
            ours = {"Authorization": f"Bearer {secret}"}

            async def get(method: str = "GET", query: str = "", **headers: str) -> httpx2.Response:
                given = {name.replace("_", "-"): value for name, value in headers.items()}
                return await client.request(method, f"/api/shared/org/a.gguf{query}", headers={**ours, **given})

            assert (await client.get("/api/shared/org/a.gguf")).status_code == 401
            whole = await get()
            assert (whole.status_code, whole.content, whole.headers["etag"]) == (200, BODY, f'"{digest}"')
            part = await get(range="bytes=1000-1999", if_range=f'"{digest}"')
            assert (part.status_code, part.content) == (206, BODY[1000:2000])
            assert (await get(range="bytes=9-", if_range='"another"')).content == BODY
            assert (await get("HEAD")).headers["content-length"] == str(len(BODY))
            assert (await get(query="?sha256")).json() == {"sha256": digest}
            # What breaks off is not answered to its end: who counts the bytes asks for the rest.
            node.dies_after = 1000
            sent: list[Any] = []

            async def ask() -> dict[str, Any]:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def take(message: Any) -> None:
                sent.append(message)

            headers = [(b"authorization", ours["Authorization"].encode())]
            scope = {"type": "http", "method": "GET", "path": "/api/shared/org/a.gguf", "headers": headers,
                     "query_string": b"", "asgi": {"version": "3.0", "spec_version": "2.4"}}  # fmt: skip
            await app(scope, ask, take)
            assert (sent[0]["status"], sent[-1]["more_body"]) == (200, True)
            assert b"".join(message.get("body", b"") for message in sent) == BODY[:1000]
            node.status = 404
            refused = await get()
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_giver")
            assert refused.headers["retry-after"] == "5"

    play(talk)
