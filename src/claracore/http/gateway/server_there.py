"""Which path does a peer get when a client asks for the own paths of a model's server, below `/upstream/{model}/`?

Our key there may allow more than the client's key here does: reading, settings, other models. So a path goes on only as
far as it reaches nothing but that model, unless the client may do everything here as well. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from claracore.core.cluster.model import NodeKind
from claracore.errors import Forbidden
from claracore.http.access.keys import Right
from claracore.http.gateway.routes import ROUTES, UPSTREAM

if TYPE_CHECKING:
    from claracore.http.access.keys import Grant
    from claracore.http.gateway.targets import Target

_HAS_UPSTREAM = (NodeKind.CLARACORE, NodeKind.LLAMA_SWAP)
_IS_ONE_SERVER = (NodeKind.LLAMA_SERVER, NodeKind.VLLM)


def path_there(target: Target, kind: NodeKind, method: bytes, rest: bytes, grant: Grant | None) -> bytes:
    """Return the path at the peer of a target for `rest`, which comes after the model's name and begins with a slash.

    `kind`: the program there; OTHER also for one that is not known. Raises Forbidden for a path that may reach more
    than the model: of a program with an API of its own, or with more models than the client's key is for.
    """
    if kind in _HAS_UPSTREAM:
        return UPSTREAM + quote(target.use_model_name or target.model_id).encode() + rest
    if grant is None or grant.may(Right.ADMIN):
        return rest
    if grant.models is not None:
        raise Forbidden(
            f"the key {grant.name!r} is for some models, and paths of the server of {target.model_id!r} on the peer"
            f" {target.peer!r} may reach others: ask for the model at this machine's own paths, /v1/..."
        )
    if kind not in _IS_ONE_SERVER and method not in ROUTES.get(rest, {}):
        raise Forbidden(
            f"the key {grant.name!r} may use the models of the peer {target.peer!r}, and {rest.decode('latin-1')} may"
            " be another thing there: a key with the scope 'admin' may ask for it"
        )
    return rest
