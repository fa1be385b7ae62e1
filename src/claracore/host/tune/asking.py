"""How fast does a model's server read and write?

Asked with short requests of our own, over connections that are checked to reach the verified server. llama-server and
the embedded engine time each answer themselves (`timings`); embedders do not, so that their whole answer is timed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from claracore.core.tune.tuning import Speeds
from claracore.errors import ClaraCoreError
from claracore.types import Endpoint

ROUNDS = 3
"""Questions with each tuning; the faster one counts: what else runs on a machine only ever makes them slower."""
LONGEST_SECONDS = 6.0
"""No further question is begun after so long."""
PHASE_SECONDS = 1.5
"""Reading and writing are to take about so long each."""
WARMING = 24, 4
"""Tokens to read and to write of the question that nobody counts: it makes pages and caches warm."""
PROBING = 96, 8
"""... and of the one that tells how long a question may be."""
LEAST_READ, MOST_READ = 64, 4096
LEAST_WRITTEN, MOST_WRITTEN = 16, 96
ANSWER_SECONDS = 120.0
HEAD_BYTES, BODY_BYTES = 65_536, 4 * 1024 * 1024
WORDS = (
    *("river", "stone", "garden", "winter", "letter", "engine", "harbour", "signal", "paper", "mountain", "window"),
    *("market", "silver", "bridge", "forest", "number", "candle", "island", "summer", "copper", "village", "shadow"),
)
"""About a token each, with most vocabularies."""


class NoTimings(ClaraCoreError):
    """What answers is no llama-server: it does not say how fast it was."""

    code = "no_timings"
    cause = "What answers does not say how fast it was, as only llama-server does."
    way_out = "Tune and measure models that a llama-server serves."


@dataclass(frozen=True, slots=True)
class Question:
    """How many tokens to read and to write, about; 0 to write is a question to an embedder."""

    read: int
    written: int


class Questioner:
    """Asks one model's server; `verified` says of a connection whether it reaches that server and nobody else."""

    def __init__(
        self, endpoint: Endpoint, verified: Callable[[socket.socket], Awaitable[bool]], *, embeds: bool
    ) -> None:
        self._endpoint = endpoint
        self._verified = verified
        self._embeds = embeds
        self._asked = 0

    async def fitting(self, most_tokens: int) -> Question:
        """Return a question that the server reads and answers in a few seconds; `most_tokens` is all it can read."""
        await self.speeds(Question(*WARMING))
        seen = await self.speeds(Question(*PROBING))
        written = 0 if seen.writing is None else _within(seen.writing * PHASE_SECONDS, LEAST_WRITTEN, MOST_WRITTEN)
        most = max(1, min(MOST_READ, (most_tokens - written) * 3 // 4))
        return Question(_within(seen.reading * PHASE_SECONDS, min(LEAST_READ, most), most), written)

    async def best(self, question: Question) -> Speeds:
        """Ask the same several times, and return the fastest reading and the fastest writing. Raises as `speeds`."""
        await self.speeds(Question(*WARMING))
        began, seen = time.perf_counter(), [await self.speeds(question)]
        while len(seen) < ROUNDS and time.perf_counter() - began < LONGEST_SECONDS:
            seen.append(await self.speeds(question))
        writing = [speeds.writing for speeds in seen if speeds.writing is not None]
        return Speeds(max(speeds.reading for speeds in seen), max(writing, default=None))

    async def speeds(self, question: Question) -> Speeds:
        """Ask once. Raises NoTimings, OSError, TimeoutError, EOFError or ValueError (no HTTP, no JSON)."""
        text = self._text(question.read)
        if self._embeds:
            began = time.perf_counter()
            found = await self._post("/v1/embeddings", {"input": text})
            tokens, took = _number(found, "usage", "prompt_tokens"), time.perf_counter() - began
            if not tokens:
                raise NoTimings("its answer does not say how many tokens it has read")
            return Speeds(tokens / took)
        body = {
            "prompt": text, "n_predict": max(1, question.written), "cache_prompt": False, "ignore_eos": True,
            "temperature": 0.0, "stream": False,
        }  # fmt: skip
        found = await self._post("/completion", body)
        reading, writing = (_number(found, "timings", f"{name}_per_second") for name in ("prompt", "predicted"))
        if not reading or not writing:
            raise NoTimings("its answer has no timings: only llama-server and the embedded engine tell them")
        return Speeds(reading, writing)

    def _text(self, tokens: int) -> str:
        """Return about so many tokens that no earlier question began with, so that nothing of it is remembered."""
        self._asked += 1
        start = self._asked * 7
        return " ".join([str(self._asked), *(WORDS[(start + n * n) % len(WORDS)] for n in range(max(1, tokens - 2)))])

    async def _post(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        async with asyncio.timeout(ANSWER_SECONDS):
            status, raw = await self._exchange(path, json.dumps(body).encode())
        if status != 200:
            raise NoTimings(f"it answered {status}: {raw[:200].decode('utf-8', 'replace')}")
        found = json.loads(raw)
        return found if isinstance(found, dict) else {}

    async def _exchange(self, path: str, body: bytes) -> tuple[int, bytes]:
        with contextlib.closing(await _connected(self._endpoint)) as connection:
            if not await self._verified(connection):
                raise ConnectionRefusedError("it is not the model's server that listens there")
            reader, writer = await asyncio.open_connection(sock=connection.dup(), limit=HEAD_BYTES)
            try:
                head = f"POST {path} HTTP/1.1\r\nHost: {self._endpoint.authority}\r\nConnection: close\r\n"
                head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                return await _answer(reader)
            finally:
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()


async def _connected(endpoint: Endpoint) -> socket.socket:
    family = (
        socket.AF_UNIX
        if endpoint.unix_path is not None
        else socket.AF_INET6
        if ":" in endpoint.host
        else socket.AF_INET
    )
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.setblocking(False)
    address = endpoint.unix_path if endpoint.unix_path is not None else (endpoint.host, endpoint.port)
    try:
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read an answer that ends with its Content-Length or its connection. Raises ValueError for anything else."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    except asyncio.LimitOverrunError as error:
        raise ValueError(str(error)) from error
    version, _, rest = head[0].partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ValueError(f"this is not HTTP: {head[0][:40]!r}")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in head[1:])}
    if b"transfer-encoding" in fields:
        raise ValueError("it answers in pieces")
    length = fields.get(b"content-length", b"")
    body = await (reader.readexactly(min(int(length), BODY_BYTES)) if length.isdigit() else reader.read(BODY_BYTES))
    return int(rest[:3]), body


def _number(found: dict[str, Any], part: str, name: str) -> float | None:
    inner = found.get(part)
    value = inner.get(name) if isinstance(inner, dict) else None
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _within(value: float, least: int, most: int) -> int:
    return max(least, min(most, int(value)))
