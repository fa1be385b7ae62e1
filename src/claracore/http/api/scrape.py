"""How is a small page of a model's server read?

Only of a server that is ready, and without a trace: it is no request. Bounded in time and size.
"""

from __future__ import annotations

import asyncio

from claracore.http.gateway.inside import Inside

TIMEOUT_SECONDS = 2.0
MOST_BYTES = 4 * 1024 * 1024


async def scrape(inside: Inside, model_id: str, path: str) -> str:
    """Return the body of GET `path`. Raises ClaraCoreError and TimeoutError, and ValueError when it is no 200."""
    async with asyncio.timeout(TIMEOUT_SECONDS), await inside.ask(model_id, "GET", path, counts=False) as reply:
        if reply.status != 200:
            raise ValueError(f"the server of model {model_id!r} answered {reply.status} to GET {path}")
        return (await reply.read(MOST_BYTES)).decode("utf-8", "replace")
