"""Who may call what on the control plane?

An ASGI application in front of the real one. Everything that is refused is refused here, before a handler runs:
no key or one without the right (401, 403), a page of another site (Origin, Sec-Fetch-Site), a name that an attacker may
have pointed at us (Host: DNS rebinding), a form where JSON belongs (415), a body that is too large (413). Why:
docs/threat-model.md.

What the caller's key allows has been found out by the gateway (`admitted`) and is in the scope: `state["grant"]`.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from fastapi.responses import JSONResponse

from claracore.core.ports.address import is_loopback
from claracore.errors import ClaraCoreError, Forbidden, PayloadTooLarge
from claracore.http.access.admitted import OPEN_FILES, OPEN_PATHS, without_key
from claracore.http.access.keyring import KeyRing
from claracore.http.access.keys import Grant, Right
from claracore.http.access.origins import FOR_ANY_KEY, Origins, check_host, cors_fields, is_for_pages
from claracore.http.asgi import AsgiApp, Message, Receive, Scope, Send
from claracore.http.wire.error_shapes import ANTHROPIC_VERSION, ErrorShape, shape_of_call, shaped
from claracore.http.wire.head import SAFE_METHODS

MOST_BODY_BYTES = 20 * 1024 * 1024
CHANGED_BY_GET: Final = frozenset({"/unload"})
"""llama-swap's clients unload by GET."""

OPEN: Final = frozenset(path.decode() for path in OPEN_PATHS)
OPEN_TO_READ: Final = re.compile(OPEN_FILES.pattern.decode())
YAML_TYPES = frozenset((b"application/yaml", b"application/x-yaml", b"text/yaml", b"text/x-yaml"))
READ_BY_POST: Final = frozenset({"/api/show"})
"""What Ollama's clients ask by POST although nothing changes by it."""
BY_SECRET: Final = frozenset({"/api/nodes/join", "/api/nodes/known", "/api/nodes/left", "/api/nodes/certificate"})
"""What a secret in the body opens; whoever answers checks it."""
RIGHTS_OF_POST: Final = {"/mcp": Right.READ, "/api/tokens": Right.READ}
"""Where what is asked for stands in the body: whoever answers checks the rest (`state["check_right"]`, the grant)."""
OF_HEAD: Final = re.compile(r"/api/node/(files|head|part|ranks)(/.*)?|/api/models/(load|unload)/.+")
"""What the machine changes here that this one has joined, and nobody else but an administrator: who may write models
may as well have one loaded or unloaded."""
ANY_MEDIA: Final = re.compile(r"/api/(show|pull|push|delete|copy|create|blobs/.+)")
"""Where clients of Ollama send JSON without its type. What keeps pages of other sites out is where they come from: a
browser says it with every POST and DELETE."""
SECRET: Final = re.compile(r"/api/(config(?!/schema$)|keys|captures|setup)(/.*)?")
"""Reading these shows secrets or the disk: for `admin`."""

NO_HEAD: Final = re.compile(r"/unload|/api/(stream|events)|/logs/stream(/.*)?|/api/(shared|node/files)/.+")
"""Paths where HEAD is not what GET would say without its body: one changes something, others never end, or are long."""
BROWSER: Final = re.compile(rb"Mozilla/(?!.*PowerShell)")
"""How every browser calls itself; a page of another site cannot change it: that would take a preflight."""
SIGNS_OF_A_PAGE: Final = (b"origin", b"referer", b"sec-fetch-site", b"cookie")
"""What only browsers say."""
FORWARDED: Final = (b"x-forwarded-for", b"forwarded", b"x-real-ip")
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


class UnsupportedMedia(ClaraCoreError):
    """A body that is not JSON; 415."""

    status = 415
    type = "invalid_request_error"
    code = "unsupported_media_type"
    cause = "A body that changes something is not labelled as JSON."
    way_out = "Send `Content-Type: application/json`."


class Guard:
    """Refuses what must not reach the application."""

    def __init__(self, app: AsgiApp, ring: KeyRing, origins: Origins) -> None:
        self._app = app
        self._ring = ring
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, or answer it with a JSON error (`refusal`)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        guarded = _with_headers(scope, send, self._origins.reader(headers))
        grant = scope["state"]["grant"]
        scope["state"]["check_right"] = partial(self._check_right, scope, headers, grant)
        try:
            self.admit(scope, headers, grant)
        except ClaraCoreError as error:
            shape = shape_of_call(scope["path"], has_version=ANTHROPIC_VERSION.encode() in headers)
            await refusal(error, shape)(scope, receive, guarded)
            return
        if scope["method"] == "HEAD" and NO_HEAD.fullmatch(scope["path"]) is None:
            scope["method"] = "GET"  # The gateway leaves the body away; probes like to ask so.
        await self._app(scope, _bounded(receive), guarded)

    def admit(self, scope: Scope, headers: dict[bytes, bytes], grant: Grant | None) -> None:
        """Raise Unauthorized, Forbidden, UnsupportedMedia or PayloadTooLarge for what must not reach the application.

        `grant` is what the caller's key allows; None without a key that counts.
        """
        method, path = scope["method"], scope["path"]
        changes = method not in SAFE_METHODS or path in CHANGED_BY_GET
        self._check_right(scope, headers, grant, right_for(method, path))
        if changes and path in READ_BY_POST:
            self._origins.check(method.encode(), headers, has_key=grant is not None)
            check_whence(headers)
        elif changes:
            self.check_site(headers)
            of_any_media = ANY_MEDIA.fullmatch(path) is not None
            if method in SAFE_METHODS or of_any_media:
                check_whence(headers)
            if not of_any_media:
                check_media(headers)
        elif not is_open(method, path):
            check_reader(path, headers)
        is_list = (not changes or path in READ_BY_POST) and self._is_list(path, headers)
        if (changes or grant is None) and not is_open(method, path) and not is_list:
            check_host(self._origins.rules, headers.get(b"host", b""))
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > MOST_BODY_BYTES:
            raise too_large()

    def _is_list(self, path: str, headers: dict[bytes, bytes]) -> bool:
        """Whether who asks for the list of models may have it under any name: as open as inference is.

        A page that asks its own site, whose name suddenly means us, says no Origin in a GET: what looks like a browser
        is served under names only that we know.
        """
        if FOR_ANY_KEY.fullmatch(path) is None:
            return False
        if b"origin" in headers:
            return self._origins.reader(headers) != b""
        return not any(name in headers for name in SIGNS_OF_A_PAGE) and not BROWSER.match(
            headers.get(b"user-agent", b"")
        )

    def _check_right(self, scope: Scope, headers: dict[bytes, bytes], grant: Grant | None, right: Right | None) -> None:
        if self._ring.any:
            if grant is None and not is_open(scope["method"], scope["path"]):
                raise without_key()
            if grant is not None and right is not None:
                grant.check(right)
        elif (
            right in {Right.ADMIN, Right.NODE}
            and not self._origins.rules.insecure
            and not is_from_this_machine(scope, headers)
        ):
            raise Forbidden(
                "without an API key only this machine may do that: make a key with 'claracore keys add NAME --scope "
                "admin', or start with --insecure"
            )

    def check_site(self, headers: dict[bytes, bytes]) -> None:
        """Refuse what a page of another site asks a browser to send. Raises Forbidden."""
        host = headers.get(b"host", b"").decode("latin-1")
        for name in (b"origin", b"referer"):
            value = headers.get(name)
            if value is not None and not self._origins.rules.is_our_page(value.decode("latin-1"), host):
                raise Forbidden(f"a page of {value.decode('latin-1')[:100]!r} may not change anything here")
        if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            raise Forbidden("a page of another site may not change anything here")


def is_open(method: str, path: str) -> bool:
    """Whether a call needs neither a key nor a name that is known."""
    return path in OPEN or (method in SAFE_METHODS and OPEN_TO_READ.fullmatch(path) is not None)


def right_for(method: str, path: str) -> Right | None:
    """Return the right that a call needs; None when any key will do."""
    if method == "POST" and (path in READ_BY_POST or path in BY_SECRET):
        return None
    if method == "POST" and path in RIGHTS_OF_POST:
        return RIGHTS_OF_POST[path]
    if OF_HEAD.fullmatch(path) and (method not in SAFE_METHODS or path.startswith("/api/node/files/")):
        return Right.NODE
    if method not in SAFE_METHODS or path in CHANGED_BY_GET or SECRET.fullmatch(path):
        return Right.ADMIN
    return None if is_open(method, path) or FOR_ANY_KEY.fullmatch(path) else Right.READ


def check_whence(headers: dict[bytes, bytes]) -> None:
    """Refuse what a form or a link could ask for, from a browser that does not say whence it comes. Raises Forbidden.

    Over plain http, to any address but this machine's, it sends no Sec-Fetch-Site, and a page may withhold its Referer.
    """
    says = (b"origin", b"referer", b"sec-fetch-site")
    if BROWSER.match(headers.get(b"user-agent", b"")) and not any(headers.get(name) for name in says):
        raise Forbidden(
            "the browser does not say which page asks for this: use the web interface, or a program that is no browser"
        )


def check_reader(path: str, headers: dict[bytes, bytes]) -> None:
    """Refuse what a page of another site asks for and cannot read: some of it is work. Raises Forbidden.

    A link that a person follows is served; so are the lists that invited pages may read.
    """
    cross_site = headers.get(b"sec-fetch-site") == b"cross-site" and headers.get(b"sec-fetch-dest") != b"document"
    if cross_site and FOR_ANY_KEY.fullmatch(path) is None:
        raise Forbidden("a page of another site may not read this")


def check_media(headers: dict[bytes, bytes]) -> None:
    """Refuse bodies that a form of another site can send: JSON and YAML it cannot. Raises UnsupportedMedia."""
    has_body = headers.get(b"content-length", b"0") not in (b"0", b"") or b"transfer-encoding" in headers
    media = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if has_body and media != b"application/json" and not media.endswith(b"+json") and media not in YAML_TYPES:
        raise UnsupportedMedia("send the body as 'Content-Type: application/json'")


def is_from_this_machine(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether the client is on this machine; what a proxy forwards is not."""
    if any(name in headers for name in FORWARDED):
        return False
    client, server = scope.get("client"), scope.get("server")
    if client is None:  # a Unix socket
        return True
    if server is not None and client[0] == server[0]:
        return True
    return is_loopback(str(client[0]))


def refusal(error: ClaraCoreError, shape: ErrorShape) -> JSONResponse:
    """Return the answer for an error."""
    return JSONResponse(shaped(error, shape), error.status, error.headers())


def too_large() -> PayloadTooLarge:
    """Return the error for a body over the limit."""
    return PayloadTooLarge(f"the body is longer than {MOST_BODY_BYTES} bytes")


def _headers(scope: Scope) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        found.setdefault(name, value)
    return found


def _with_headers(scope: Scope, send: Send, page: bytes) -> Send:
    """Add what every answer has; `page` is the origin of a page that may use the models, empty for none."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _value in message.get("headers", ())}
            more = [pair for pair in HEADERS if pair[0] not in present]
            is_no_path = message["status"] == 404 and "endpoint" not in scope
            if page and (is_no_path or is_for_pages(scope["path"])):
                more += cors_fields(page)
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return sending


def _bounded(receive: Receive) -> Receive:
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MOST_BODY_BYTES:
            raise too_large()
        return message

    return receiving
