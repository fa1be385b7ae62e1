"""What do a node and its head say to each other when the node joins?

One POST to the head, twice: first with nothing but the versions, so that nothing is changed where they do not fit, then
with the address and the key of the node. The connection trusts the one certificate whose fingerprint the line has.
"""

from __future__ import annotations

import ssl
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from claracore.core.cluster.invitation import JoinLine, Versions
from claracore.core.cluster.joined import JoinedNode
from claracore.errors import BadRequest
from claracore.host.cluster.json_there import json_of
from claracore.host.sockets.pinned import AnotherCertificate, pinned_context

PATH: Final = "/api/nodes/join"
ANSWER_SECONDS: Final = 20.0
"""The head tries meanwhile whether it reaches the node."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the head says to a node that has joined."""

    name: str
    """What the node is called there."""
    gcs: str = ""
    """Where the head's Ray is, `host:port`; empty without."""
    ray_token: str = ""
    secret: str = ""
    """By which the head knows the node when it speaks to it."""
    cluster: str = ""
    """Names what the head remembers."""
    ray_tls: bool = False
    """Whether its Ray encrypts."""


async def ask_head(line: JoinLine, versions: Versions, node: JoinedNode | None) -> Welcome:
    """Ask the head whether the versions fit (`node` None), or to take a node in. Raises BadRequest with its words."""
    wish: dict[str, Any] = {"secret": line.secret, "versions": asdict(versions), "node": None}
    if node is not None:
        wish["node"] = {"name": node.name, "url": node.url, "key": node.key, "fingerprint": node.fingerprint}
    try:
        async with await client_of_head(line.url, line.fingerprint) as client:
            answer = await client.post(PATH, json=wish)
    except AnotherCertificate as error:
        raise BadRequest(f"{line.url} is not the machine that has invited: {error.strerror}") from error
    except (OSError, TimeoutError, httpx2.HTTPError) as error:
        raise BadRequest(f"the head at {line.url} cannot be reached: {error or type(error).__name__}") from error
    return _welcome(answer)


def _welcome(answer: httpx2.Response) -> Welcome:
    try:
        found = json_of(answer)
        if answer.status_code == 200:
            return Welcome(
                str(found["name"]),
                str(found["gcs"]),
                str(found["ray_token"]),
                # Heads of before say nothing of these.
                secret=str(found.get("secret", "")),
                cluster=str(found.get("cluster", "")),
                ray_tls=found.get("ray_tls") is True,
            )
        words = str(found["error"]["message"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(f"no ClaraCore that takes nodes answers there ({answer.status_code})") from error
    raise BadRequest(f"the head says: {words}")


async def client_of_head(url: str, fingerprint: str) -> httpx2.AsyncClient:
    """Return a client for a head, which trusts the one certificate that is meant. Raises OSError, TimeoutError."""
    trusted: ssl.SSLContext | bool = True
    if fingerprint:
        parts = urlsplit(url)
        trusted = await pinned_context(parts.hostname or "", parts.port or 0, fingerprint)
    return httpx2.AsyncClient(base_url=url, timeout=ANSWER_SECONDS, trust_env=False, verify=trusted)
