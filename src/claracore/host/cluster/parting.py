"""What do a node and its head say to each other after it has joined: that they know each other, or do no more?

The node speaks to the head with its secret, the head to the node with its key there. Nothing here raises for a machine
that is away: whoever asks goes on without it.
"""

from __future__ import annotations

from typing import Any, Final

import httpx2

from claracore.core.cluster.joined import HeadOfNode, JoinedNode, Standing, peer_of, standing
from claracore.errors import BadRequest
from claracore.host.cluster.join_exchange import client_of_head
from claracore.host.cluster.json_there import json_of
from claracore.host.cluster.polled import client_of

KNOWN_PATH: Final = "/api/nodes/known"
LEFT_PATH: Final = "/api/nodes/left"
CERTIFICATE_PATH: Final = "/api/nodes/certificate"
HEAD_PATH: Final = "/api/node/head"
CONNECT_SECONDS: Final = 3.0
PARTING_SECONDS: Final = 30.0
"""The node ends its Ray meanwhile."""
TOLD: Final = ""
"""What is returned where the other machine was told."""


async def ask_standing(head: HeadOfNode) -> Standing:
    """Ask the head whether it knows this machine still."""
    try:
        answer = await _to_head(head, KNOWN_PATH)
        found = json_of(answer) if answer.status_code == 200 else {}
        return standing(head, is_known=bool(found["known"]), cluster=str(found["cluster"]))
    except (OSError, TimeoutError, httpx2.HTTPError, ValueError, KeyError, TypeError):
        return Standing.UNHEARD


async def ask_certificate(head: HeadOfNode, request: str) -> tuple[str, str]:
    """Have the head certify this machine's key for Ray; return that and its authority, as PEM. Raises BadRequest."""
    try:
        answer = await _to_head(head, CERTIFICATE_PATH, request=request)
        if answer.status_code == 200:
            found = json_of(answer)
            return str(found["certificate"]), str(found["authority"])
    except (OSError, TimeoutError, httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"{head.url} makes no certificate: {error or type(error).__name__}") from error
    raise BadRequest(f"{head.url} makes no certificate: {_words(answer)}")


async def tell_left(head: HeadOfNode) -> str:
    """Tell the head that this machine leaves; return `TOLD`, or why it could not be told."""
    try:
        answer = await _to_head(head, LEFT_PATH)
    except (OSError, TimeoutError, httpx2.HTTPError) as error:
        return f"{head.url} cannot be reached: {error or type(error).__name__}"
    return TOLD if answer.is_success else _words(answer)


async def tell_forgotten(node: JoinedNode) -> str:
    """Tell a node that it is none of ours any more; return `TOLD`, or why it could not be told.

    One that does not know our key has left already, or joined another machine, which removes it: it needs no word.
    """
    try:
        async with await client_of(peer_of(node)) as client:
            answer = await client.delete(HEAD_PATH, timeout=httpx2.Timeout(PARTING_SECONDS, connect=CONNECT_SECONDS))
    except (OSError, TimeoutError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        return f"{node.url} cannot be reached: {error or type(error).__name__}"
    return TOLD if answer.is_success or answer.status_code == 401 else _words(answer)


async def _to_head(head: HeadOfNode, path: str, **more: str) -> httpx2.Response:
    async with await client_of_head(head.url, head.fingerprint) as client:
        return await client.post(path, json={"secret": head.secret, **more})


def _words(answer: httpx2.Response) -> str:
    """Return what an answer says that is an error."""
    try:
        found: Any = json_of(answer)
        return str(found["error"]["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return f"it answers {answer.status_code}"
