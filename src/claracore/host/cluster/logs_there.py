"""What has a model's server printed that another machine runs?

Machines keep their own logs: one is asked when somebody looks. Only a ClaraCore can be asked, with our key there, which
needs the scope `read`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx2

from claracore.core.cluster.model import NodeKind
from claracore.core.config.routing import PeerConfig
from claracore.errors import ClaraCoreError
from claracore.host.cluster.json_there import json_of
from claracore.host.cluster.orders import NotDoneThere, message_of
from claracore.host.cluster.polled import NewClient, client_of

PATIENCE_SECONDS: Final = 10.0
"""For lines that are there already."""


class NoLogsThere(ClaraCoreError):
    """The program on the other machine does not give its logs; 501."""

    status = 501
    code = "no_logs_there"
    cause = "The program on the other machine does not give its logs."
    way_out = "Look there, by that program's own means."


@dataclass(frozen=True, slots=True)
class ModelThere:
    """A model of another machine: which, by whom it is served, how that one is reached, and the model's name there."""

    node: str
    kind: NodeKind
    peer: PeerConfig
    name: str


async def lines_there(
    model: ModelThere, lines: int, headers: dict[str, str], *, new_client: NewClient = client_of
) -> list[dict[str, Any]]:
    """Return the last lines as `GET /api/logs` has them. Raises NoLogsThere and NotDoneThere."""
    path = f"/api/logs?source={quote(model.name, safe='')}&lines={lines}"
    async with _asked(model, path, headers, PATIENCE_SECONDS, new_client) as answer:
        try:
            await answer.aread()
            found = json_of(answer)
        except (httpx2.HTTPError, ValueError) as error:
            raise not_given(model, str(error) or type(error).__name__) from error
    rows = found.get("lines") if isinstance(found, dict) else None
    if not isinstance(rows, list):
        raise not_given(model, "it answers with something else")
    return [row for row in rows[-lines:] if isinstance(row, dict)]


@asynccontextmanager
async def followed_there(
    model: ModelThere, headers: dict[str, str], *, history: bool, new_client: NewClient = client_of
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Give what is printed there as it comes, for the length of a block. Raises as `lines_there`."""
    path = f"/logs/stream/{quote(model.name)}{'' if history else '?no-history'}"
    async with _asked(model, path, headers, None, new_client) as answer:
        yield _pieces(answer)


async def _pieces(answer: httpx2.Response) -> AsyncIterator[bytes]:
    """Give the body of an answer; one that breaks off ends."""
    with contextlib.suppress(httpx2.HTTPError, OSError):
        async for piece in answer.aiter_bytes():
            yield piece


@asynccontextmanager
async def _asked(
    model: ModelThere, path: str, headers: dict[str, str], seconds: float | None, new_client: NewClient
) -> AsyncIterator[httpx2.Response]:
    """Give an answer of 200, its body still to be read."""
    if model.kind is not NodeKind.CLARACORE:
        raise NoLogsThere(f"machine {model.node!r} ({model.kind.value}) does not give its logs: look there")
    begun = False
    try:
        async with await new_client(model.peer) as client:
            timeout = httpx2.Timeout(seconds, connect=PATIENCE_SECONDS)
            async with client.stream("GET", path, headers=headers, timeout=timeout) as answer:
                if answer.status_code in {401, 403}:
                    raise not_given(model, "our key there has not the scope 'read'")
                if answer.status_code != 200:
                    await answer.aread()
                    raise not_given(model, message_of(answer))
                begun = True
                yield answer
    except (httpx2.HTTPError, OSError) as error:
        if begun:
            raise
        raise not_given(model, str(error) or type(error).__name__) from error


def not_given(model: ModelThere, why: str) -> NotDoneThere:
    """Return what is said when there is no answer that could be shown."""
    return NotDoneThere(f"machine {model.node!r} could not be asked for the log of {model.name!r}: {why}")
