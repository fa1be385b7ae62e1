"""Which path is meant where a client has put together the one that it asks for with a slip?

`//v1/models`, `/v1//models`, `/v1/models/` and `/v1/v1/models` come from base URLs that end in a slash or have the
`/v1` already. Such paths are served as what they mean, not redirected: not every client sends its body a second time.
Only what the gateway or the lists of models answer is meant so: the paths of a model's server are its own business.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace

from claracore.errors import NotFound
from claracore.http.access.origins import is_for_pages
from claracore.http.gateway.routes import LM_STUDIO, ROUTES
from claracore.http.wire.head import RequestHead

_SLASHES = re.compile(rb"//+")
_TWICE = re.compile(rb"/v1(?:/v1)+/")
LISTS = ("/v1/models", "/models")
NOT_NAMED = (b"/v/", LM_STUDIO.encode())
"""Paths that nobody means who writes another one: for odd servers, and of another program's API."""
_MOST_LETTERS = 200


def straightened(head: RequestHead) -> RequestHead:
    """Return a head whose path is the one that is meant; the same head where nothing is known to be meant."""
    path = head.path
    meant = _TWICE.sub(b"/v1/", _SLASHES.sub(b"/", path))
    if len(meant) > 1:
        meant = meant.removesuffix(b"/")
    if meant == path or (meant not in ROUTES and not is_for_pages(meant.decode("latin-1"))):
        return head
    return replace(head, path=meant)


def no_such_path(path: str) -> NotFound:
    """Return the error for a path that nobody answers; it names the nearest one that is for models."""
    routes = ((route.decode(), methods) for route, methods in ROUTES.items() if not route.startswith(NOT_NAMED))
    known = {route: " or ".join(sorted(map(bytes.decode, methods))) for route, methods in routes}
    known |= dict.fromkeys(LISTS, "GET")
    if path == "/v1/":
        known = {}  # as near to one as to another
    begun = [route for route in known if route.startswith(path) and len(path) > len("/v1/")]
    near = begun or difflib.get_close_matches(path[:_MOST_LETTERS], known, n=1, cutoff=0.6)
    hint = f"; did you mean {known[near[0]]} {near[0]}?" if near else ""
    if not near and path.startswith("/v1/"):
        hint = "; GET /openapi.json lists what there is"
    return NotFound(f"no such path: {path}{hint}")
