"""Every call that the threat model says is refused is tried here."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import pytest

from claracore.errors import Forbidden
from claracore.http.access.admitted import admitted
from claracore.http.access.guard import MOST_BODY_BYTES, Guard, is_from_this_machine, right_for
from claracore.http.access.keyring import KeyRing
from claracore.http.access.keys import NamedKey, Right, digest_of
from claracore.http.access.origins import Origins, Rules

OUR_NAMES = frozenset({"box", "box.local"})
HERE, ELSEWHERE = "127.0.0.1", "203.0.113.7"
EVERY_RIGHT = [Right.INFERENCE, Right.READ, Right.ADMIN]


def named(text: str, *rights: Right, expires_at: float | None = None) -> NamedKey:
    return NamedKey(text, digest_of(text.encode()).hex(), frozenset(rights), None, 0.0, expires_at)


class Answer:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""


async def application(scope: Any, receive: Any, send: Any) -> None:
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    grant = scope["state"]["grant"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": grant.name.encode() if grant else b"nobody"})


def call(
    method: str,
    path: str,
    *headers: tuple[str, str],
    ring: KeyRing | None = None,
    rules: Rules | None = None,
    client: str = HERE,
    server: str = "192.0.2.1",
    host: str | None = "localhost:5800",
    body: Iterable[bytes] = (b"",),
    app: Any = application,
) -> Answer:
    answer, pieces = Answer(), list(body)
    lines = ([("host", host)] if host is not None else []) + list(headers)
    ring, sent = ring or KeyRing(), [(name.lower().encode(), value.encode("latin-1")) for name, value in lines]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": sent,
        "state": {"grant": admitted(ring, dict(sent), b"/")[1]},
        "client": (client, 1),
        "server": (server, 5800),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], dict(message["headers"])
        else:
            answer.body += message["body"]

    guard = Guard(app, ring, Origins(rules or Rules(own_names=OUR_NAMES)))
    asyncio.run(guard(scope, receive, send))
    return answer


JSON = ("content-type", "application/json")
FULL = ("content-length", "2")
UNLOAD = ("POST", "/api/models/unload")
SHOW, PULL, DELETE = ("POST", "/api/show"), ("POST", "/api/pull"), ("DELETE", "/api/delete")
FORM = ("content-type", "application/x-www-form-urlencoded")
EVIL, INVITED = ("origin", "http://evil.example"), ("origin", "http://localhost:3000")
CROSS = ("sec-fetch-site", "cross-site")
LAN = "192.168.1.5"
FIREFOX = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
POWERSHELL = ("user-agent", "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.26100.1")

REFUSED = [
    ("a page of another site", call(*UNLOAD, ("origin", "http://evil.example")), 403),
    ("a form of another site", call(*UNLOAD, ("origin", "http://evil.example"), ("content-type", "text/plain")), 403),
    ("a page without an origin of its own", call(*UNLOAD, ("origin", "null")), 403),
    ("another port of this host is another site", call(*UNLOAD, ("origin", "http://localhost:3000")), 403),
    ("an origin that is none", call(*UNLOAD, ("origin", "http://[oops")), 403),
    ("browsers say whence it comes", call(*UNLOAD, ("sec-fetch-site", "cross-site")), 403),
    ("a neighbour's page", call(*UNLOAD, ("sec-fetch-site", "same-site")), 403),
    ("a name that was pointed at us", call(*UNLOAD, host="evil.example:5800"), 403),
    ("... with an origin that fits", call(*UNLOAD, ("origin", "http://evil.example"), host="evil.example"), 403),
    ("... for reading", call("GET", "/api/models", host="evil.example"), 403),
    ("... for the names of models, in a browser", call("GET", "/v1/models", FIREFOX, host="evil.example"), 403),
    (
        "... in one that says less",
        call("GET", "/v1/models", ("referer", "http://evil.example/"), host="evil.example"),
        403,
    ),
    (
        "... for them with an origin that fits",
        call("GET", "/v1/models", ("origin", "http://evil.example"), host="evil.example"),
        403,
    ),
    ("... that looks like this host's", call("GET", "/api/models", host="localhost.evil.example"), 403),
    ("... that looks like an address", call("GET", "/api/models", host="127.0.0.1.evil.example"), 403),
    ("a host that is none", call("GET", "/api/models", host="[::1"), 403),
    ("text where JSON belongs", call("PUT", "/api/config", ("content-type", "text/plain"), FULL), 415),
    ("a form where JSON belongs", call("POST", "/api/keys", ("content-type", "multipart/form-data"), FULL), 415),
    ("a body without a type", call("POST", "/api/keys", FULL), 415),
    ("chunks without a type", call("POST", "/api/keys", ("transfer-encoding", "chunked")), 415),
    ("the old GET obeys the same rule", call("GET", "/unload", ("referer", "http://evil.example/a")), 403),
    ("... also as a picture", call("GET", "/unload", ("sec-fetch-site", "cross-site")), 403),
    ("... and under a pointed name", call("GET", "/unload", host="evil.example"), 403),
    (
        "... and for a browser that does not say where it is",
        call("GET", "/unload", FIREFOX, client=LAN, server=LAN),
        403,
    ),
    ("... not even here", call("GET", "/unload", FIREFOX), 403),
    ("... which an empty line does not change", call("GET", "/unload", FIREFOX, ("referer", "")), 403),
    ("... nor asking for its head", call("HEAD", "/unload", FIREFOX), 403),
    ("a strange page makes us work", call("GET", "/api/doctor", CROSS, ("sec-fetch-dest", "image")), 403),
    ("... with an origin", call("GET", "/api/hardware", CROSS, ("origin", "http://evil.example")), 403),
    ("... in a frame", call("GET", "/api/doctor", CROSS, ("sec-fetch-dest", "iframe")), 403),
    ("an address with a name behind it", call("GET", "/api/models", host="[::1].evil.example"), 403),
    ("... and a port", call("GET", "/api/models", host="127.0.0.1:1.evil.example"), 403),
    ("... and somebody", call("GET", "/api/models", host="127.0.0.1:1@evil.example"), 403),
    ("a page of such a host", call(*UNLOAD, ("origin", "http://[::1].evil.example"), host="[::1].evil.example"), 403),
    ("another host administers", call(*UNLOAD, client=ELSEWHERE), 403),
    ("another host unloads by GET", call("GET", "/unload", client=ELSEWHERE), 403),
    ("another host reads secrets", call("GET", "/api/config", client=ELSEWHERE), 403),
    ("another host reads old secrets", call("GET", "/api/config/backups/x", client=ELSEWHERE), 403),
    ("another host looks at the disk", call("GET", "/api/setup/browse", client=ELSEWHERE), 403),
    ("another host reads keys", call("HEAD", "/api/keys", client=ELSEWHERE), 403),
    ("a proxy forwards another host", call(*UNLOAD, ("x-forwarded-for", ELSEWHERE)), 403),
    ("a proxy forwards in the new way", call(*UNLOAD, ("forwarded", f"for={ELSEWHERE}")), 403),
    ("a page shows a model as Ollama's clients do", call(*SHOW, FORM, FULL, EVIL), 403),
    ("... and does not say where it is", call(*SHOW, FORM, FULL, FIREFOX), 403),
    ("... under a pointed name", call(*SHOW, FORM, FULL, ("cookie", "a=b"), host="evil.example"), 403),
    ("a page fetches a model", call(*PULL, FORM, FULL, EVIL), 403),
    ("... also one that may use the models", call(*PULL, FORM, FULL, INVITED), 403),
    ("... by a form whose page is not said", call(*PULL, FORM, FULL, FIREFOX), 403),
    ("... of a neighbour", call(*PULL, FORM, FULL, ("sec-fetch-site", "same-site")), 403),
    ("a page deletes one", call(*DELETE, FULL, EVIL), 403),
    ("another host fetches one", call(*PULL, FULL, client=ELSEWHERE), 403),
    ("another host deletes one", call(*DELETE, FULL, client=ELSEWHERE), 403),
    ("another host makes an alias", call("POST", "/api/copy", FULL, client=ELSEWHERE), 403),
    ("another host sends a blob", call("POST", "/api/blobs/sha256:0", FULL, client=ELSEWHERE), 403),
    ("a page speaks MCP", call("POST", "/mcp", JSON, FULL, EVIL), 403),
    ("... also one that may use the models", call("POST", "/mcp", JSON, FULL, INVITED), 403),
    ("... by a form", call("POST", "/mcp", FORM, FULL), 415),
    ("... under a pointed name", call("POST", "/mcp", JSON, FULL, host="evil.example"), 403),
    ("a body that is too large", call("PUT", "/api/config", JSON, ("content-length", str(MOST_BODY_BYTES + 1))), 413),
]


@pytest.mark.parametrize(("answer", "status"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused_without_keys(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert answer.body.startswith((b'{"error":{"message":', b'{"error":"'))


ALLOWED = [
    ("curl", call(*UNLOAD)),
    ("curl without a body and with curl's type", call(*UNLOAD, ("content-type", "application/x-www-form-urlencoded"))),
    ("our own page", call("PUT", "/api/config", JSON, FULL, ("origin", "http://localhost:5800"))),
    ("our own page, browsers say so", call(*UNLOAD, ("sec-fetch-site", "same-origin"))),
    ("an address", call("GET", "/api/models", host="192.168.1.5:5800")),
    ("an IPv6 address", call("GET", "/api/models", host="[fe80::1]:5800")),
    ("a name of the local network", call("GET", "/api/models", host="claracore:5800")),
    ("a link on another site", call("GET", "/metrics", CROSS, ("sec-fetch-dest", "document"))),
    (
        "a page that may use the models lists them",
        call("GET", "/v1/models", CROSS, ("origin", "http://localhost:3000")),
    ),
    ("a program lists models under a name that we do not know", call("GET", "/v1/models", host="ai.example")),
    ("... and looks at one", call("GET", "/v1/models/a/b", host="ai.example")),
    (
        "... and so does a page that may use them",
        call("GET", "/models", FIREFOX, ("origin", "http://localhost:3000"), host="ai.example"),
    ),
    ("a router's network", call("GET", "/api/models", host="box.home")),
    ("Kubernetes", call("GET", "/api/models", host="claracore.ai.svc")),
    ("a tailnet", call("GET", "/api/models", host="box.tail1234.ts.net")),
    ("no domain at all", call("GET", "/api/models", host="box.localdomain")),
    ("files of the interface on another site", call("GET", "/ui/favicon.svg", CROSS)),
    ("a person types the old address", call("GET", "/unload", FIREFOX, ("sec-fetch-site", "none"))),
    ("a link on our own page", call("GET", "/unload", FIREFOX, ("referer", "http://localhost:5800/ui/"))),
    ("curl and the old address", call("GET", "/unload", ("user-agent", "curl/8.14.1"))),
    ("no browser, whatever it says", call("GET", "/unload", POWERSHELL)),
    ("a browser that reads", call("GET", "/api/models", FIREFOX)),
    ("mDNS", call("GET", "/api/models", host="box.local")),
    ("docker", call("GET", "/api/models", host="host.docker.internal:5800")),
    ("HTTP/1.0", call("GET", "/api/models", host=None)),
    ("another host reads", call("GET", "/api/models", client=ELSEWHERE)),
    ("another host checks its health", call("GET", "/health", client=ELSEWHERE, host="lb.example.com")),
    ("our own address is us", call(*UNLOAD, client="192.0.2.1", server="192.0.2.1")),
    ("curl shows a model as Ollama's documentation says", call(*SHOW, FORM, FULL)),
    ("... from another host", call(*SHOW, FORM, FULL, client=ELSEWHERE)),
    ("... without any type", call(*SHOW, FULL)),
    ("a page that may use the models shows one", call(*SHOW, FULL, INVITED, ("sec-fetch-site", "cross-site"))),
    ("curl fetches a model", call(*PULL, FORM, FULL)),
    ("curl deletes one", call(*DELETE, FORM, FULL)),
    ("another host speaks MCP", call("POST", "/mcp", JSON, FULL, client=ELSEWHERE)),
    ("IPv6 loopback", call(*UNLOAD, client="::1")),
    ("IPv4 in IPv6", call(*UNLOAD, client="::ffff:127.0.0.1")),
    ("the schema is no secret", call("GET", "/api/config/schema", client=ELSEWHERE)),
]


@pytest.mark.parametrize(("client", "right", "refused"), [
    (ELSEWHERE, Right.READ, False),
    (ELSEWHERE, Right.ADMIN, True),
    (HERE, Right.ADMIN, False),
])  # fmt: skip
def test_who_answers_can_ask_for_another_right(client: str, right: Right, *, refused: bool) -> None:
    async def asks(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["check_right"](right)
        await application(scope, receive, send)

    with pytest.raises(Forbidden) if refused else nullcontext():
        assert call("POST", "/mcp", JSON, client=client, app=asks).status == 200


@pytest.mark.parametrize("answer", [case[1] for case in ALLOWED], ids=[case[0] for case in ALLOWED])
def test_allowed_without_keys(answer: Answer) -> None:
    assert (answer.status, answer.body) == (200, b"nobody")
    assert answer.headers[b"x-content-type-options"] == b"nosniff"
    assert answer.headers[b"x-frame-options"] == b"DENY"


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/v1/models", [("anthropic-version", "2023-06-01")], b'{"type":"error","error":{"type":"permission_error",'),
        ("/api/tags", [], b'{"error":"'),
        ("/v1/models", [], b'{"error":{"message":"'),
    ],
)
def test_refused_in_the_shape_that_the_caller_reads(path: str, headers: list[tuple[str, str]], body: bytes) -> None:
    answer = call("GET", path, *headers, FIREFOX, host="evil.example")
    assert answer.status == 403
    assert answer.body.startswith(body)


def test_head_is_get_without_a_body_where_that_can_be() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["method"])
        await application(scope, receive, send)

    for path in ("/health", "/api/models", "/unload", "/api/stream", "/logs/stream/one"):
        assert call("HEAD", path, app=app).status == 200
    assert seen == ["GET", "GET", "HEAD", "HEAD", "HEAD"]


def test_insecure_lets_other_hosts_administer_but_no_pages() -> None:
    rules = Rules(insecure=True)
    assert call(*UNLOAD, client=ELSEWHERE, rules=rules).status == 200
    assert call(*UNLOAD, ("origin", "http://evil.example"), client=ELSEWHERE, rules=rules).status == 403


def test_a_proxy_in_front_is_named() -> None:
    rules = Rules(allowed_hosts=frozenset({"ai.example.com"}))
    assert call("GET", "/api/models", host="ai.example.com", rules=rules).status == 200
    ring = KeyRing(["key"])
    key = ("authorization", "Bearer key")
    page = ("origin", "https://ai.example.com")
    assert call(*UNLOAD, key, page, host="127.0.0.1:5800", ring=ring, rules=rules).status == 200


class TestWithKeys:
    ring = KeyRing(
        ["config-key"],
        [
            named("guest", Right.INFERENCE),
            named("reader", Right.READ),
            named("boss", Right.ADMIN),
            named("former", *EVERY_RIGHT, expires_at=time.time() - 1),
        ],
    )

    def status(self, method: str, path: str, key: str | None = None, *more: tuple[str, str], **where: Any) -> int:
        headers = [("x-api-key", key)] if key else []
        return call(method, path, *headers, *more, ring=self.ring, **where).status

    def test_loopback_needs_one_too(self) -> None:
        answer = call("GET", "/api/models", ring=self.ring)
        assert answer.status == 401
        assert answer.headers[b"www-authenticate"].startswith(b"Basic")

    @pytest.mark.parametrize("path", ["/", "/health", "/wol-health", "/favicon.ico", "/api/identity"])
    def test_some_paths_are_open(self, path: str) -> None:
        assert self.status("GET", path) == 200

    @pytest.mark.parametrize("path", ["/ui", "/ui/", "/ui/assets/x.js", "/docs", "/apple-touch-icon.png"])
    def test_files_of_the_interface_are_open(self, path: str) -> None:
        assert self.status("GET", path) == 200
        assert self.status("HEAD", path, host="ai.example.com") == 200

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", "/ui/"), ("DELETE", "/ui/x"), ("PUT", "/docs"), ("GET", "/uix"), ("GET", "/docs/x")],
    )
    def test_what_is_near_them_is_not(self, method: str, path: str) -> None:
        assert self.status(method, path) == 401

    @pytest.mark.parametrize(
        ("key", "statuses"),
        [
            (None, (401, 401, 401, 401)),
            ("wrong", (401, 401, 401, 401)),
            ("former", (401, 401, 401, 401)),
            ("guest", (200, 403, 403, 403)),
            ("reader", (200, 200, 403, 403)),
            ("boss", (200, 200, 200, 200)),
            ("config-key", (200, 200, 200, 200)),
        ],
    )
    def test_each_key_has_its_scopes(self, key: str | None, statuses: tuple[int, ...]) -> None:
        asked = (("GET", "/v1/models"), ("GET", "/api/models"), ("GET", "/api/config"), UNLOAD)
        assert tuple(self.status(method, path, key) for method, path in asked) == statuses

    def test_every_way_to_present_a_key(self) -> None:
        basic = b64encode(b"any:boss").decode()
        for header in (("authorization", "Bearer boss"), ("authorization", f"Basic {basic}"), ("x-api-key", "boss")):
            assert self.status("GET", "/api/models", None, header) == 200
        assert self.status("GET", "/api/models?key=boss") == 401

    def test_a_key_does_not_make_a_strange_page_welcome(self) -> None:
        assert self.status(*UNLOAD, "boss", ("origin", "http://evil.example")) == 403
        assert self.status(*UNLOAD, "boss", host="evil.example") == 403
        assert self.status("GET", "/api/models", "boss", host="evil.example") == 200, "a page there has no key"

    def test_keys_cannot_be_switched_off_without_one(self) -> None:
        assert self.status("DELETE", "/api/keys/boss") == 401
        assert self.status("DELETE", "/api/keys/boss", "reader") == 403
        assert self.status("PUT", "/api/config", None, JSON) == 401
        assert self.status("POST", "/api/settings/system", "guest", JSON) == 403


def test_a_body_that_lies_about_its_length_is_cut_off() -> None:
    from claracore.errors import PayloadTooLarge

    with pytest.raises(PayloadTooLarge):
        call("PUT", "/api/config", JSON, ("transfer-encoding", "chunked"), body=[b"x" * 1_000_000] * 25)


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", "/ui/", None),
        ("GET", "/ui/assets/x.js", None),
        ("GET", "/docs", None),
        ("GET", "/openapi.json", Right.READ),
        ("GET", "/v1/models/a/b", None),
        ("GET", "/api/v0/models/a/b", None),
        ("GET", "/api/v1/models", None),
        ("POST", "/api/v1/models/load", Right.ADMIN),
        ("GET", "/uix", Right.READ),
        ("GET", "/api/logs", Right.READ),
        ("GET", "/metrics", Right.READ),
        ("GET", "/api/config/", Right.ADMIN),
        ("GET", "/api/configx", Right.READ),
        ("GET", "/api/config/schema/", Right.ADMIN),
        ("GET", "/api/captures/1", Right.ADMIN),
        ("POST", "/anything/new", Right.ADMIN),
        ("PROPFIND", "/health", Right.ADMIN),
        ("PUT", "/api/node/part", Right.NODE),
        ("POST", "/api/node/files", Right.NODE),
        ("GET", "/api/node/files/v", Right.NODE),
        ("DELETE", "/api/node/head", Right.NODE),
        ("POST", "/api/models/unload/org/x", Right.NODE),
        ("POST", "/api/models/load/x", Right.NODE),
        ("POST", "/api/models/unload", Right.ADMIN),
        ("POST", "/api/models/unload/", Right.ADMIN),
        ("POST", "/api/node/join", Right.ADMIN),
        ("GET", "/api/node", Right.READ),
    ],
)
def test_rights(method: str, path: str, right: Right | None) -> None:
    assert right_for(method, path) is right


def test_who_is_from_this_machine() -> None:
    assert is_from_this_machine({"client": None}, {})
    assert not is_from_this_machine({"client": ("nonsense", 1), "server": None}, {})
    assert is_from_this_machine({"client": ("127.8.8.8", 1), "server": ("::", 1)}, {})


PAGE = ("origin", "http://localhost:3000")
READABLE = {b"access-control-allow-origin": b"http://localhost:3000", b"vary": b"Origin"}


@pytest.mark.parametrize(
    ("answer", "status", "readable"),
    [
        (call("GET", "/v1/models", PAGE, CROSS), 200, True),
        (call("GET", "/v1/models/one", PAGE, CROSS), 200, True),
        (call("GET", "/health", PAGE, CROSS), 200, True),
        (call("GET", "/v1/models", PAGE, ring=KeyRing(["key"])), 401, True),
        (call("GET", "/health", ("origin", "http://evil.example"), CROSS), 200, False),
        (call("GET", "/api/models", PAGE), 200, False),
        (call("GET", "/api/models", PAGE, CROSS), 403, False),
    ],
)
def test_what_a_page_that_may_use_the_models_can_read(answer: Answer, status: int, *, readable: bool) -> None:
    assert answer.status == status
    assert (answer.headers.items() >= READABLE.items()) is readable
    assert (b"access-control-allow-origin" in answer.headers) is readable


@pytest.mark.parametrize(("endpoint", "readable"), [(None, True), (application, False)])
def test_such_a_page_reads_that_a_path_is_not_there_but_not_that_a_thing_is_not(
    endpoint: object, *, readable: bool
) -> None:
    async def nothing(scope: Any, _receive: Any, send: Any) -> None:
        if endpoint is not None:
            scope["endpoint"] = endpoint
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    answer = call("GET", "/api/captures/1", PAGE, app=nothing)
    assert (b"access-control-allow-origin" in answer.headers) is readable
