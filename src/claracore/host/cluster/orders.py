"""How is a model of another machine loaded and unloaded from here?

In the words of whichever program has it. A key for inference is enough to load: a ClaraCore and llama-swap load a
model whose own `/health` is asked for through them, Ollama one that is asked for nothing. To unload needs more, on a
ClaraCore the scope `node`, which the head of a machine that has joined has there, or `admin`. Sources: llama-swap's
README ("/upstream", "/api/models/unload"), Ollama's docs/api.md ("Load a model", "Unload a model"), LM Studio's REST
API v1 ("/api/v1/models/load", "/unload").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import httpx2

from claracore.core.cluster.model import NodeKind
from claracore.core.config.routing import PeerConfig
from claracore.errors import ClaraCoreError
from claracore.host.cluster.json_there import json_of
from claracore.host.cluster.polled import NewClient, client_of

LONGEST_MESSAGE: Final = 500
"""Characters of what another machine says of itself that are passed on."""
_SWAPPERS: Final = frozenset({NodeKind.CLARACORE, NodeKind.LLAMA_SWAP})


class NotDoneThere(ClaraCoreError):
    """The other machine has not done what it was asked for; 502."""

    status = 502
    code = "machine_refused"
    cause = "Another machine has not done what it was asked for."
    way_out = "The message has its words; look there: `claracore status`, `claracore logs`."


class NotKnownThere(ClaraCoreError):
    """The program on the other machine has no such call; 501."""

    status = 501
    code = "not_supported_there"
    cause = "The program on the other machine loads and unloads by itself."
    way_out = "Do it there, by that program's own means."


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    body: dict[str, object] | None = None


async def load_there(
    node: str, kind: NodeKind, peer: PeerConfig, model: str, *, new_client: NewClient = client_of
) -> None:
    """Return when a model is loaded. Raises NotDoneThere and NotKnownThere; may take as long as the load does."""
    call = _load_call(kind, model)
    if call is None:
        raise NotKnownThere(f"machine {node!r} ({kind.value}) loads its models by itself: nothing can be asked of it")
    await _done(node, f"load {model!r}", peer, call, new_client)


async def unload_there(
    node: str, kind: NodeKind, peer: PeerConfig, model: str, *, new_client: NewClient = client_of
) -> None:
    """Return when a model is unloaded. Raises as `load_there`."""
    call = _unload_call(kind, model)
    if call is None:
        raise NotKnownThere(f"machine {node!r} ({kind.value}) keeps its models: nothing can be asked of it")
    await _done(node, f"unload {model!r}", peer, call, new_client)


def _load_call(kind: NodeKind, model: str) -> _Call | None:
    if kind in _SWAPPERS:
        return _Call("GET", f"/upstream/{quote(model)}/health")
    if kind is NodeKind.OLLAMA:
        return _Call("POST", "/api/generate", {"model": model})
    return _Call("POST", "/api/v1/models/load", {"model": model}) if kind is NodeKind.LM_STUDIO else None


def _unload_call(kind: NodeKind, model: str) -> _Call | None:
    if kind in _SWAPPERS:
        return _Call("POST", f"/api/models/unload/{quote(model)}")
    if kind is NodeKind.OLLAMA:
        return _Call("POST", "/api/generate", {"model": model, "keep_alive": 0})
    return _Call("POST", "/api/v1/models/unload", {"instance_id": model}) if kind is NodeKind.LM_STUDIO else None


async def _done(node: str, what: str, peer: PeerConfig, call: _Call, new_client: NewClient) -> None:
    try:
        async with await new_client(peer) as client:
            connecting = httpx2.Timeout(None, connect=peer.timeouts.connect_seconds or None)
            answer = await client.request(call.method, call.path, json=call.body, timeout=connecting)
    except (httpx2.HTTPError, OSError) as error:
        raise NotDoneThere(f"machine {node!r} could not be asked to {what}: {error or type(error).__name__}") from error
    if answer.status_code in {401, 403}:
        raise NotDoneThere(f"machine {node!r} does not let this one {what}: {_why_not(node, peer, answer.status_code)}")
    # A server that is loaded may have no /health of its own: who asked for it has been let through to it.
    is_through = call.method == "GET" and answer.status_code in {404, 405}
    if not answer.is_success and not (is_through and _code(answer) is None):
        raise NotDoneThere(f"machine {node!r} could not {what}: {message_of(answer)}")


def _why_not(node: str, peer: PeerConfig, status: int) -> str:
    if not peer.joined:
        return (
            f"on a ClaraCore, loading needs a key with the scope inference and unloading node or admin "
            f"(peers.{node}.apiKey)"
        )
    if status == 401:
        return "it does not take the key that it gave when it joined; it has left, or joined another head"
    return "it has joined with --requests-only; do it there"


def _code(answer: httpx2.Response) -> str | None:
    """Return the code of an error in OpenAI's shape, which a ClaraCore's own errors have; None without one."""
    error = _error(answer)
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else None


def message_of(answer: httpx2.Response) -> str:
    """Return what another machine says of why it has refused, in its words."""
    error = _error(answer)
    text = error.get("message") if isinstance(error, dict) else error
    return (text if isinstance(text, str) and text else f"it answers {answer.status_code}")[:LONGEST_MESSAGE]


def _error(answer: httpx2.Response) -> object:
    try:
        found = json_of(answer)
    except ValueError:
        return None
    return found.get("error") if isinstance(found, dict) else None
