"""How is a small page of a model's server read?

HTTP/1.0 over asyncio streams: no keep-alive, no chunks. Bounded in time and size.
"""

from __future__ import annotations

import asyncio

from claracore.types import Endpoint

TIMEOUT_SECONDS = 2.0
MOST_BYTES = 4 * 1024 * 1024


async def scrape(endpoint: Endpoint, path: str) -> str:
    """Return the body of GET `path`. Raises OSError, TimeoutError, or ValueError for an answer other than 200."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        if endpoint.unix_path is not None:
            reader, writer = await asyncio.open_unix_connection(endpoint.unix_path)
        else:
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {endpoint.authority}\r\n\r\n".encode())
            answer = await _all_of(reader)
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] != [b"200"]:
        raise ValueError(f"{endpoint} answered {head[:60]!r}")
    return body.decode("utf-8", "replace")


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    pieces, size = [], 0
    while piece := await reader.read(65_536):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_BYTES:
            raise ValueError("the answer is too large")
    return b"".join(pieces)
