"""Who may come in, and for which model?

The key that a request carries, looked up in the ring: once a request, here. A header that carried one of our keys is
ours and is not passed on; a key for the model server is. What a key may do on the control plane is `guard`'s question.
"""

from __future__ import annotations

import re

from claracore.errors import Forbidden, Unauthorized
from claracore.http.access.keyring import KeyRing, presented
from claracore.http.access.keys import Grant, Right

# No key is asked for here: liveness probes (llama-swap's paths), the entry page, what browsers fetch unasked, the
# redirect to the models page, who this is, which a second start on the same port asks, and where a machine joins by an
# invitation, or speaks of itself by its secret, which are its keys.
OPEN_PATHS = frozenset(
    (b"/", b"/health", b"/wol-health", b"/favicon.ico", b"/apple-touch-icon.png", b"/upstream", b"/api/identity",
     b"/api/nodes/join", b"/api/nodes/known", b"/api/nodes/left",
     b"/api/nodes/certificate")
)  # fmt: skip
# The interface's files are no secret; were they closed, the browser would ask for the key before our page can.
# Nodes fetch files of shared models by a secret of their own, which whoever answers checks.
OPEN_FILES = re.compile(rb"/ui(/.*)?|/docs|/api/shared/.+")
_NOTHING: tuple[frozenset[bytes], None] = (frozenset(), None)


def admitted(ring: KeyRing, noted: dict[bytes, bytes], path: bytes) -> tuple[frozenset[bytes], Grant | None]:
    """Return the names of the headers that carry one of our keys, and what the first of these keys allows.

    `noted` are the request's header values by lower-case name. Raises Unauthorized when a key is needed and there is
    none.
    """
    if not ring.any:
        return _NOTHING
    carriers = set()
    first: Grant | None = None
    for name, key in presented(noted):
        grant = ring.grant(key)
        if grant is not None:
            carriers.add(name)
            first = first or grant
    if first is None and path not in OPEN_PATHS and not OPEN_FILES.fullmatch(path):
        raise without_key()
    return frozenset(carriers), first


def without_key() -> Unauthorized:
    """Return the error for a request that needs a key and carries none that counts."""
    return Unauthorized("no valid API key: send 'Authorization: Bearer KEY' or 'x-api-key: KEY'")


def check_model(grant: Grant, model_id: str) -> None:
    """Raise Forbidden when the key is not for inference with this model."""
    grant.check(Right.INFERENCE)
    if not grant.knows(model_id):
        raise Forbidden(f"the key {grant.name!r} is not for model {model_id!r}", param="model")
