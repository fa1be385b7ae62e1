"""Does a request come back to a server that has sent it to a peer already?

Two servers may each ask the other for names that they do not know, and a peer may be this very server: without an end,
one request would take every file descriptor of both. So a request to a peer says who has sent it on (`Via`, RFC 9110
section 7.6.3), and goes to no peer a second time. What else stood in `Via` stays here: a peer is not told who asked.
"""

from __future__ import annotations

import re
from typing import Final

from claracore.errors import ClaraCoreError
from claracore.host.cluster.identity import IDENTITY

FIELD: Final = b"via"
_OURS: Final = b"1.1 claracore-" + IDENTITY.encode()
_SERVER = re.compile(rb"1\.1 claracore-[0-9a-f]{16}(?![^ \t,])")


class LoopDetected(ClaraCoreError):
    """A peer has sent back what was sent to it; 508."""

    status = 508
    type = "server_error"
    code = "loop_detected"
    cause = "A peer has sent back a request that it got from here."
    way_out = "Look at `unknown_model` and `peers` of both machines: one of them must answer the name."
    should_retry = False


def check_loop(via: bytes, model_id: str) -> None:
    """Refuse a request that was here before and is for a peer again. Raises LoopDetected."""
    if _OURS in via:
        raise LoopDetected(
            f"model {model_id!r} is a peer's, and this request was sent to a peer from here already: "
            "the peer has sent it back (look at 'unknown_model' and 'peers' of both)"
        )


def was_sent_on(via: bytes) -> bool:
    """Whether a server like this one has sent the request on: it is to be answered near, and not to wander."""
    return _SERVER.search(via) is not None


def via_line(via: bytes) -> bytes:
    """Return the header line for a peer: which servers like this one have sent a request on, this one the last."""
    return b"Via: " + b", ".join((*_SERVER.findall(via), _OURS))
