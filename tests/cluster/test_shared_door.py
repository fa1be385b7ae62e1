"""The head's door for files: who is let in, to what, and which bytes come."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx2
import pytest

from claracore.host.cluster import digesting
from claracore.host.cluster.shared_files import SharedFiles
from claracore.http.api.create import create_app
from fakes.fake_head import shared

BODY = os.urandom(1_300_000)
NAME = "org/qwen 1.gguf"
PATH = "/api/shared/org/qwen%201.gguf"
SECRET = "s" * 32
OURS = {"Authorization": f"Bearer {SECRET}"}


class AtDoor:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "anywhere.gguf"
        self.path.write_bytes(BODY)
        self.files = SharedFiles()
        self.files.secrets = {"lap": "o" * 32, "desk": SECRET}
        self.files.share({shared(NAME, BODY): self.path})
        transport = httpx2.ASGITransport(create_app([self.files]), raise_app_exceptions=False)
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://head")

    async def get(self, path: str = PATH, method: str = "GET", **headers: str) -> httpx2.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, headers={**OURS, **given})


@pytest.fixture
def door(tmp_path: Path) -> AtDoor:
    return AtDoor(tmp_path)


def play(talk: Coroutine[Any, Any, None]) -> None:
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    asyncio.run(talk)
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) <= before


def test_the_whole_and_its_parts(door: AtDoor) -> None:
    async def talk() -> None:
        whole = await door.get()
        assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, BODY, "bytes")
        part = await door.get(range="bytes=1000000-")
        assert (part.status_code, part.content) == (206, BODY[1_000_000:])
        assert part.headers["content-range"] == f"bytes 1000000-1299999/{len(BODY)}"
        assert (await door.get(range="bytes=5-9")).content == BODY[5:10]
        assert (await door.get(range="bytes=5-99999999")).content == BODY[5:]
        again = await door.get(range="bytes=7-", if_range=whole.headers["etag"])
        assert (again.status_code, again.content) == (206, BODY[7:])
        assert (await door.get(range="bytes=7-", if_range='"another"')).status_code == 200
        for odd in ("bytes=-5", "bytes=1-2,4-5", "lines=1-", "bytes=x"):
            assert (await door.get(range=odd)).content == BODY
        for beyond in (f"bytes={len(BODY)}-", "bytes=9-5"):
            refused = await door.get(range=beyond)
            assert (refused.status_code, refused.json()["error"]["code"]) == (416, "range_unusable")
        asked = await door.get(method="HEAD")
        assert (asked.status_code, asked.content, asked.headers["content-length"]) == (200, b"", str(len(BODY)))

    play(talk())


def test_only_who_has_joined_and_only_what_is_shared(door: AtDoor, tmp_path: Path) -> None:
    (tmp_path / "secret.gguf").write_bytes(b"mine")

    async def talk() -> None:
        for wrong in ("", "Bearer", "Bearer x", f"Basic {SECRET}", f"Bearer {SECRET}x", "Bearer \xff"):
            refused = await door.client.get(PATH, headers={b"Authorization": wrong.encode("latin-1")})
            assert refused.status_code == 401, wrong
        assert (await door.client.get(PATH)).status_code == 401
        steps = ("secret.gguf", "../secret.gguf", "%2e%2e/secret.gguf", "org/../secret.gguf", "/etc/passwd", "org/")
        for name in (*steps, str(tmp_path / "secret.gguf"), "anywhere.gguf", "%00", "a" * 3000):
            assert (await door.get(f"/api/shared/{name}")).status_code == 404, name
        door.files.is_meant = lambda machine, file: (machine, file) == ("desk", NAME)
        assert (await door.get(method="HEAD")).status_code == 200
        for query in ("", "?sha256"):
            assert (await door.get(f"{PATH}{query}", Authorization=f"Bearer {'o' * 32}")).status_code == 404
        door.files.share({})
        assert (await door.get()).status_code == 404

    play(talk())


def test_what_is_put_in_its_place_is_not_given(door: AtDoor, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"mine")

    async def talk() -> None:
        version = (await door.get(method="HEAD")).headers["etag"]
        os.utime(door.path, ns=(1, 1))
        assert (await door.get(method="HEAD")).headers["etag"] != version
        door.path.write_bytes(BODY[::-1])
        told: list[int] = []
        door.files.on_change = lambda: told.append(1)
        for _ in range(2):
            assert (await door.get()).status_code == 409
        assert told == [1]
        door.path.unlink()
        assert (await door.get()).status_code == 404
        door.path.symlink_to(secret)
        assert (await door.get()).status_code == 409
        door.path.unlink()
        door.path.mkdir()
        assert (await door.get()).status_code == 409
        door.path.rmdir()
        os.mkfifo(door.path)  # an open that would wait for a writer
        assert (await door.get()).status_code == 409

    play(talk())


def test_just_started_it_asks_for_patience(door: AtDoor) -> None:
    async def talk() -> None:
        for secrets in (None, {"desk": SECRET}):
            door.files = SharedFiles()
            door.files.secrets = secrets
            transport = httpx2.ASGITransport(create_app([door.files]), raise_app_exceptions=False)
            door.client = httpx2.AsyncClient(transport=transport, base_url="http://head")
            refused = await door.get()
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")

    play(talk())


def test_the_checksum_is_read_once(door: AtDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    original = os.pread

    def pread(descriptor: int, size: int, at: int) -> bytes:
        reads.append(size)
        return original(descriptor, size, at)

    async def talk() -> None:
        right = {"sha256": hashlib.sha256(BODY).hexdigest()}
        answers = await asyncio.gather(*(door.get(f"{PATH}?sha256") for _ in range(3)))
        assert [answer.json() for answer in answers] == [right] * 3
        monkeypatch.setattr(os, "pread", pread)
        assert (await door.get(f"{PATH}?sha256")).json() == right
        assert sum(reads) <= 64 * 1024

    play(talk())


def test_a_small_file_does_not_wait_for_the_checksum_of_a_big_one(
    door: AtDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digesting, "SLICE_BYTES", 1 << 20)
    big = tmp_path / "big.gguf"
    big.write_bytes(bytes(1 << 20) * 64)
    door.files.share({shared(NAME, BODY): door.path, shared("big.gguf", big.read_bytes()): big})
    reads: list[tuple[int, int]] = []
    original = os.pread

    async def talk() -> None:
        loop, begun = asyncio.get_running_loop(), asyncio.Event()

        def pread(descriptor: int, size: int, at: int) -> bytes:
            data = original(descriptor, size, at)
            if size == digesting.SLICE_BYTES:
                reads.append((os.fstat(descriptor).st_size, len(data)))
                loop.call_soon_threadsafe(begun.set)
            return data

        monkeypatch.setattr(os, "pread", pread)
        of_big = asyncio.ensure_future(door.get("/api/shared/big.gguf?sha256"))
        await begun.wait()
        assert (await door.get(f"{PATH}?sha256")).json() == {"sha256": hashlib.sha256(BODY).hexdigest()}
        assert not of_big.done()
        assert (await of_big).json() == {"sha256": hashlib.sha256(big.read_bytes()).hexdigest()}
        small = [number for number, (size, _) in enumerate(reads) if size == len(BODY)]
        assert small == list(range(small[0], small[0] + 3))
        assert small[-1] < len(reads) // 2

    play(talk())
