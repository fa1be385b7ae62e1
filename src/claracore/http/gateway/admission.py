"""What does the head of an inference request decide, before a byte of its body is read?

Who asks, whether they may, which route it is and how the body is to be read. On a kept connection the same head comes
again and again, so it is worked out once and remembered by the head, as long as keys stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from claracore.http.gateway.asked import reader_of, with_model_in_query
from claracore.http.gateway.heads import Onward, head_bytes, request_parts
from claracore.http.gateway.routes import errors_for

if TYPE_CHECKING:
    from claracore.core.key_limits import KeyMeter
    from claracore.http.access.keys import Grant
    from claracore.http.gateway.asked import Asked
    from claracore.http.gateway.contract import ServerCall
    from claracore.http.gateway.heads import Peer
    from claracore.http.gateway.routes import Route
    from claracore.http.gateway.targets import Target
    from claracore.http.gateway.upstream import Destination
    from claracore.http.wire.buffer import Body
    from claracore.http.wire.head import RequestHead

MOST_REMEMBERED = 512
_NO_LOAD = re.compile(rb"(?:^|&)autoload=(?:false|0)(?:&|$)")


class Admission:
    """One head of an inference request that may come in."""

    __slots__ = (
        "_onward",
        "_parts",
        "asked",
        "dropped",
        "errors",
        "grant",
        "head",
        "loads",
        "meter",
        "method",
        "origin",
        "path",
        "path_text",
        "route",
        "unlimited",
    )  # fmt: skip

    def __init__(
        self,
        head: RequestHead,
        path: bytes,
        route: Route | None = None,
        *,
        dropped: frozenset[bytes] = frozenset(),
        grant: Grant | None = None,
        origin: bytes = b"",
        meter: KeyMeter | None = None,
    ) -> None:
        self.head = head
        self.path = path
        """What the model server sees, with query, without the base path of its `proxy`."""
        self.route = route
        """None below `/upstream`, where the path names the model."""
        self.dropped = dropped
        """Names of headers that carried our own key."""
        self.grant = grant
        """What the client's key allows; None when none is needed."""
        self.origin = origin
        """Of the page that asks and may read the answer; empty when it is none."""
        self.meter = meter
        """Counts what the client's key uses; None when it has no limits."""
        self.unlimited = grant is not None and grant.unlimited
        self.errors = errors_for(head)
        """In whose shape the client hears of errors."""
        self.loads = route is None or _NO_LOAD.search(head.query) is None
        """Whether a model that is not there may be loaded for it; llama.cpp's web interface says when it may not."""
        # A body that is to be translated is JSON whatever its label: curl calls it a form.
        is_json = route is not None and route.request_edit is not None
        self.asked: Callable[[Body], Asked] = reader_of(b"" if is_json else head.noted.get(b"content-type", b""))
        self.method = head.method.decode()
        self.path_text = head.path.decode("latin-1")
        self._onward: tuple[Target, Destination, Peer, bool, bytes] | None = None
        self._parts = (b"", b"")

    def request_bytes(  # noqa: PLR0917 - called once a request, by position
        self,
        target: Target,
        destination: Destination,
        peer: Peer,
        length: int | None,
        call: ServerCall | None,
        request_id: bytes,
    ) -> bytes:
        """Return the head to send to the model server, with its empty line; `length` is that of the body as sent.

        `call`: what is asked instead of what the client has asked.
        """
        onward = self._onward
        sized = length is not None
        own_path = self.path if call is None else call.path
        if (
            onward is None
            or onward[0] is not target
            or onward[1] is not destination
            or onward[2] != peer
            or onward[3] is not sized
            or onward[4] != own_path
        ):
            path = target.base_path + own_path if target.base_path else own_path
            if target.use_model_name and self.route is not None:
                path = with_model_in_query(path, target.use_model_name)
            host, edited = target.host or destination.host, call is not None
            onward_to = Onward(path, host, peer, self.dropped, target.own_lines, sized, edited)
            self._parts = request_parts(self.head, onward_to)
            self._onward = (target, destination, peer, sized, own_path)
        before, after = self._parts
        return head_bytes(before, length, after, request_id)
