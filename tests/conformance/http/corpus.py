"""Conversations: what a client sends, and what the model server answers to each request that reaches it.

What the gateway must say to both is in `expected.json`, one entry per conversation. After a change run
`REWRITE_EXPECTED=1 pytest tests/conformance/http -k rewrite` and read the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
SSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"b\r\ndata: one\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)
TINY = b'{"model":"m"}'


@dataclass(frozen=True, slots=True)
class Conversation:
    """One connection of one client."""

    name: str
    client: bytes
    answers: tuple[bytes, ...] = ()
    locked: bool = False
    only_whole: str = ""
    """Why the pieces of the request make a difference to the model server, or those of the answer to the client."""


def post(body: bytes = TINY, *lines: bytes, path: bytes = b"/v1/completions", version: bytes = b"HTTP/1.1") -> bytes:
    head = [b"POST " + path + b" " + version, b"Host: h", *lines, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def get(path: bytes, *lines: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([method + b" " + path + b" " + version, b"Host: h", *lines]) + b"\r\n\r\n"


def chunks(body: bytes, *lines: bytes, path: bytes = b"/v1/completions") -> bytes:
    head = [b"POST " + path + b" HTTP/1.1", b"Host: h", *lines, b"Transfer-Encoding: chunked"]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def _answer(head: bytes, body: bytes) -> bytes:
    return head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body


BOASTS = b"""
Access-Control-Allow-Origin: *
access-control-allow-credentials: true
Access-Control-Expose-Headers: x-a
Accept-CH: Device-Memory
Alt-Svc: h3=":443"
Clear-Site-Data: "*"
NEL: {"report_to":"x","max_age":9}
Report-To: {"group":"x"}
Service-Worker-Allowed: /
Strict-Transport-Security: max-age=9
X-A: b"""
"""What is about the origin of the model server, and two lines that are not."""

GOOD = (
    Conversation("plain post", post(), (OK,)),
    Conversation("streamed answer", post(), (SSE,)),
    Conversation("alias", post(b'{"model":"alias"}'), (OK,)),
    Conversation("keep-alive, two requests", post() + post(b'{"model":"org/m"}'), (OK, OK)),
    Conversation("pipelined five", post() * 5, (OK, SSE, OK, SSE, OK)),
    Conversation("pipelined with the application between", post() + get(b"/page") + post(), (OK, OK)),
    Conversation("connection close", post(TINY, b"Connection: close") + post(), (OK, OK)),
    Conversation("http/1.0 closes", post(version=b"HTTP/1.0"), (OK,)),
    Conversation("http/1.0 keep-alive", post(TINY, b"Connection: keep-alive", version=b"HTTP/1.0") * 2, (OK, OK)),
    Conversation("http/1.0 without host", b"POST /v1/completions HTTP/1.0\r\nContent-Length: 13\r\n\r\n" + TINY, (OK,)),
    Conversation("http/1.0 gets a chunked answer as plain bytes", post(version=b"HTTP/1.0"), (SSE,)),
    Conversation(
        "http/1.0 chunked answer ends keep-alive", post(TINY, b"Connection: keep-alive", version=b"HTTP/1.0"), (SSE,)
    ),
    Conversation("empty lines before a request", b"\r\n\r\n" + post(), (OK,)),
    Conversation("empty line between requests", post() + b"\r\n" + post(), (OK, OK)),
    Conversation("chunked request", chunks(b"d\r\n" + TINY + b"\r\n0\r\n\r\n"), (OK,)),
    Conversation(
        "chunked request in many chunks", chunks(b"".join(b"1\r\n%c\r\n" % byte for byte in TINY) + b"0\r\n\r\n"), (OK,)
    ),
    Conversation("chunked request with extension", chunks(b'd;a=b;c="d e"\r\n' + TINY + b"\r\n0;x\r\n\r\n"), (OK,)),
    Conversation(
        "chunked request with trailers",
        chunks(b"d\r\n" + TINY + b"\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n") + post(),
        (OK, OK),
    ),
    Conversation("chunked request, upper case size", chunks(b"D\r\n" + TINY + b"\r\n0\r\n\r\n"), (OK,)),
    Conversation("chunked request, leading zeros", chunks(b"000d\r\n" + TINY + b"\r\n000\r\n\r\n"), (OK,)),
    Conversation("chunked to the application", chunks(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", path=b"/echo")),
    Conversation("expect 100-continue", post(TINY, b"Expect: 100-continue"), (OK,)),
    Conversation("expect is not passed on", post(TINY, b"Expect: 100-Continue", b"X: y"), (OK,)),
    Conversation(
        "hop-by-hop lines are cut out",
        post(TINY, b"Keep-Alive: 5", b"TE: trailers", b"Proxy-Connection: x", b"X-A: 1"),
        (OK,),
    ),
    Conversation(
        "lines named by Connection are cut out",
        post(TINY, b"Connection: x-secret, keep-alive", b"X-Secret: 1", b"X-A: 1"),
        (OK,),
    ),
    Conversation("Connection cannot cut out the length", post(TINY, b"Connection: content-length, host"), (OK,)),
    Conversation("case and order are kept", post(TINY, b"x-B: 1", b"X-a:2", b"x-B:\t3 "), (OK,)),
    Conversation("empty header value", post(TINY, b"X-Empty:"), (OK,)),
    Conversation("obs-text in a value", post(TINY, b"X-Name: Andr\xe9"), (OK,)),
    Conversation(
        "forwarded lines of a stranger are replaced",
        post(TINY, b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: a"),
        (OK,),
    ),
    Conversation("query is passed on", post(path=b"/v1/completions?a=1&b=%20"), (OK,)),
    Conversation("absolute form", post(path=b"http://other:80/v1/completions?x"), (OK,)),
    Conversation("absolute form without a path", get(b"http://other")),
    Conversation("json in a form's clothes", post(TINY, b"Content-Type: application/x-www-form-urlencoded"), (OK,)),
    Conversation(
        "urlencoded form", post(b"a=b&model=org%2Fm", b"Content-Type: application/x-www-form-urlencoded"), (OK,)
    ),
    Conversation(
        "multipart",
        post(
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n\x00\xff\r\n--b\r\n'
            b'Content-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n',
            b"Content-Type: multipart/form-data; boundary=b",
            path=b"/v1/audio/transcriptions",
        ),
        (OK,),
    ),
    Conversation(
        "multipart is rewritten in one part only",
        post(
            b'--b\r\nContent-Disposition: form-data; name="model"\r\nX: y\r\n\r\nedited\r\n--b\r\n'
            b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n\x00edited\xff\r\n--b--',
            b'Content-Type: multipart/form-data; boundary="b"',
            path=b"/v1/audio/transcriptions",
        ),
        (OK,),
    ),
    Conversation("filters", post(b'{ "seed" : 1, "model":"edited","x":[1.0,2e5] }'), (OK,)),
    Conversation(
        "filters on a chunked body give it a length", chunks(b'e\r\n{"model":"edit\r\n4\r\ned"}\r\n0\r\n\r\n'), (OK,)
    ),
    Conversation("escaped model", post(b'{"mod\\u0065l":"\\u006d"}'), (OK,)),
    Conversation("model inside messages does not count", post(b'{"messages":[{"model":"x"}],"model":"m"}'), (OK,)),
    Conversation("query route", get(b"/props?model=org/m&x=1"), (OK,)),
    Conversation("query route, head", get(b"/props?model=m", method=b"HEAD"), (OK[:-2],)),
    Conversation(
        "voices by get and by post", get(b"/v1/audio/voices?model=m") + post(path=b"/v1/audio/voices"), (OK, OK)
    ),
    Conversation("/v is removed", post(path=b"/v/chat/completions"), (OK,)),
    Conversation("/audioapi is removed", post(path=b"/audioapi/v1/tasks/run"), (OK,)),
    Conversation("a proxy with a base path", post(b'{"model":"based"}', path=b"/v1/completions?q"), (OK,)),
    Conversation("upstream path", get(b"/upstream/m/some/path?x=1"), (OK,)),
    Conversation("upstream, longest name", get(b"/upstream/org/m/x"), (OK,)),
    Conversation("upstream, encoded slash", get(b"/upstream/org%2Fm/a%2Fb%20c"), (OK,)),
    Conversation("upstream root", get(b"/upstream/m/"), (OK,)),
    Conversation("upstream, double slash stays", get(b"/upstream/m//x"), (OK,)),
    Conversation("upstream with a base path", get(b"/upstream/based/x"), (OK,)),
    Conversation("upstream delete", get(b"/upstream/m/x", method=b"DELETE"), (OK,)),
    Conversation("upstream options are the model server's", get(b"/upstream/m/x", method=b"OPTIONS"), (OK,)),
    Conversation("upstream post is not edited", post(b"anything", path=b"/upstream/edited/v1/completions"), (OK,)),
    Conversation(
        "upstream chunked",
        chunks(b"3\r\nabc\r\n0\r\n\r\n", path=b"/upstream/m/x"),
        (OK,),
        only_whole="it is sent on in the pieces in which it comes",
    ),
    Conversation(
        "upstream head", get(b"/upstream/m/x", method=b"HEAD"), (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n",)
    ),
    Conversation("upstream redirect", get(b"/upstream/m?x=1") + get(b"/upstream/org/m", method=b"HEAD")),
    Conversation("upstream redirect of a post", post(path=b"/upstream/m")),
    Conversation("upstream list", get(b"/upstream")),
    Conversation("application", get(b"/api/x?y=z")),
    Conversation("application, head", get(b"/api/x", method=b"HEAD") + get(b"/again")),
    Conversation("application, body", post(b"hello", path=b"/echo")),
    Conversation("application streams", get(b"/stream") + get(b"/again")),
    Conversation("application streams to http/1.0", get(b"/stream", version=b"HTTP/1.0")),
    Conversation("application streams to head", get(b"/stream", method=b"HEAD") + get(b"/again")),
    Conversation("application, http/1.0 keep-alive", get(b"/a", b"Connection: keep-alive", version=b"HTTP/1.0") * 2),
    Conversation("application, percent-encoded path", get(b"/a%20b/%C3%A9")),
    Conversation(
        "preflight",
        get(
            b"/v1/chat/completions",
            b"Origin: http://localhost:3000",
            b"Access-Control-Request-Headers: x-a, content-type",
            method=b"OPTIONS",
        ),
    ),
    Conversation(
        "preflight with evil header names",
        get(b"/rerank", b"Origin: http://[::1]", b"Access-Control-Request-Headers: a<b>", method=b"OPTIONS"),
    ),
    Conversation(
        "preflight of a page that nobody has invited",
        get(b"/rerank", b"Origin: http://x", method=b"OPTIONS"),
    ),
    Conversation(
        "preflight for what no page may do",
        get(b"/api/x", b"Origin: http://localhost:3000", method=b"OPTIONS"),
    ),
    Conversation(
        "an invited page may read the answer, whatever the model server says about pages",
        post(TINY, b"Origin: http://127.0.0.1:3000"),
        (OK.replace(b"\r\n", b"\r\nAccess-Control-Allow-Origin: *\r\n", 1),),
    ),
    Conversation(
        "what a model server says about its origin stays there",
        post() + get(b"/upstream/m/x"),
        (_answer(b"HTTP/1.1 200 OK\nContent-Length: 2" + BOASTS, b"{}"),) * 2,
    ),
    Conversation(
        "... also when it switches to WebSocket",
        get(b"/upstream/m/ws", b"Connection: Upgrade", b"Upgrade: websocket"),
        (_answer(b"HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade" + BOASTS, b""),),
    ),
    Conversation(
        "... and in a hint before the answer", post(), (_answer(b"HTTP/1.1 103 Early Hints" + BOASTS, b"") + OK,)
    ),
    Conversation("an invited page may read an error", post(b'{"model":"nope"}', b"Origin: http://127.0.0.1:3000")),
    Conversation("a page of the host itself", post(TINY, b"Origin: http://h"), (OK,)),
    Conversation("the page of an installed program", post(TINY, b"Origin: chrome-extension://abc"), (OK,)),
    Conversation("options of the whole server", get(b"*", method=b"OPTIONS")),
)

ANSWERS = (
    Conversation(
        "answer without length ends with the connection", post(), (b"HTTP/1.1 200 OK\r\n\r\nall of it<close>",)
    ),
    Conversation("http/1.0 answer", post() * 2, (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", OK)),
    Conversation("answer without a reason phrase", post(), (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",)),
    Conversation("answer with a foreign reason", post(), (b"HTTP/1.1 299 Who knows\r\nContent-Length: 2\r\n\r\nok",)),
    Conversation("204", post() * 2, (b"HTTP/1.1 204 No Content\r\n\r\n", OK)),
    Conversation("304 with a length", post() * 2, (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", OK)),
    Conversation(
        "errors of the model server pass", post(), (b"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\nX: y\r\n\r\nerr",)
    ),
    Conversation("100 before the answer is swallowed", post(), (b"HTTP/1.1 100 Continue\r\n\r\n" + OK,)),
    Conversation("103 before the answer passes", post(), (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK,)),
    Conversation(
        "103 does not pass to http/1.0", post(version=b"HTTP/1.0"), (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,)
    ),
    Conversation(
        "hop-by-hop lines of the answer",
        post(),
        (
            (
                b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive, X-H\r\nX-H: 1\r\nX-K: 2\r\n"
                b"Content-Length: 0\r\n\r\n"
            ),
        ),
    ),
    Conversation(
        "the server closes after its answer",
        post() * 2,
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", OK),
    ),
    Conversation(
        "bytes after the answer never reach the next client",
        post() * 2,
        (OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nEVIL!", OK),
        only_whole="what comes later finds an idle connection",
    ),
    Conversation(
        "chunked answer with extensions and trailers",
        post(),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2;a=b\r\nok\r\n0\r\nX: 1\r\n\r\n",),
    ),
    Conversation(
        "empty chunked answer", post() * 2, (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", OK)
    ),
    Conversation("no answer at all", post() * 2, (b"<close>", OK)),
    Conversation("half a head", post() * 2, (b"HTTP/1.1 200 OK\r\nConte<close>", OK)),
    Conversation("not http", post() * 2, (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", OK)),
    Conversation(
        "answer with two lengths", post(), (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",)
    ),
    Conversation(
        "answer with length and chunked",
        post(),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",),
    ),
    Conversation("answer with bare LF", post(), (b"HTTP/1.1 200 OK\nX: y\r\n\r\n",)),
    Conversation("short body", post(), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort<close>",)),
    Conversation("stream broken off between events", post(), (SSE[: SSE.index(b"e\r\ndata: [D")] + b"<close>",)),
    Conversation("stream broken off inside an event", post(), (SSE[:-16] + b"<close>",)),
    Conversation(
        "stream broken off, http/1.0", post(version=b"HTTP/1.0"), (SSE[: SSE.index(b"e\r\ndata: [D")] + b"<close>",)
    ),
    Conversation(
        "chunked json broken off",
        post(),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{\r\n<close>",),
        only_whole="its head may be out already",
    ),
    Conversation(
        "bad chunk size in an answer",
        post(),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",),
        only_whole="its head may be out already",
    ),
    Conversation(
        "101 without being asked",
        post(),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",),
    ),
    Conversation(
        "websocket",
        get(b"/upstream/m/ws", b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: abc"),
        (
            (
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: d\r\n\r\n\x81\x02hi"
            ),
        ),
    ),
    Conversation(
        "websocket refused",
        get(b"/upstream/m/ws", b"Connection: Upgrade", b"Upgrade: websocket") + post(),
        (b"HTTP/1.1 426 No\r\nContent-Length: 0\r\n\r\n", OK),
    ),
    Conversation(
        "h2c is not passed on",
        get(b"/upstream/m/x", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAM"),
        (OK,),
    ),
    Conversation("upgrade without Connection is not passed on", get(b"/upstream/m/x", b"Upgrade: websocket"), (OK,)),
)

REFUSED = (
    Conversation("no model", post(b"{}")),
    Conversation("empty model", post(b'{"model":""}')),
    Conversation("null model", post(b'{"model":null}')),
    Conversation("list as model", post(b'{"model":["m"]}')),
    Conversation("number as model", post(b'{"model":7}')),
    Conversation("true as model", post(b'{"model":true}')),
    Conversation("model twice", post(b'{"model":"m","model":"org/m"}')),
    Conversation("unknown model", post(b'{"model":"org/n"}') + post(), (OK,)),
    Conversation("invalid json", post(b'{"model":"m",}')),
    Conversation("truncated json", post(b'{"model":"m"')),
    Conversation("invalid json on line 2", post(b'{"model":"m",\n "x": nope}')),
    Conversation("json array", post(b"[]")),
    Conversation("no body", post(b"")),
    Conversation("nested too deeply", post(b'{"a":' + b"[" * 2000)),
    Conversation("invalid utf-8 in the model", post(b'{"model":"\xff"}')),
    Conversation("lone surrogate in the model", post(b'{"model":"\\ud800"}')),
    Conversation("multipart without boundary", post(b"x", b"Content-Type: multipart/form-data")),
    Conversation("multipart without model", post(b"--b--", b"Content-Type: multipart/form-data; boundary=b")),
    Conversation("query without model", get(b"/v1/audio/voices")),
    Conversation("query with two models", get(b"/props?model=m&model=x")),
    Conversation("wrong method", get(b"/v1/chat/completions") + post(), (OK,)),
    Conversation("wrong method with a body", post(path=b"/props") + post(), (OK,)),
    Conversation("upstream of an unknown model", get(b"/upstream/nobody/x")),
    Conversation("upstream with dots", get(b"/upstream/m/../x")),
    Conversation("upstream with encoded dots", get(b"/upstream/m/%2e%2E/x")),
    Conversation("upstream with doubly encoded dots", get(b"/upstream/m/a/%252e%252e/x")),
    Conversation("upstream with an encoded slash and dots", get(b"/upstream/m/a%2f..%2fx")),
    Conversation("upstream with a backslash and dots", get(b"/upstream/m/..\\x")),
    Conversation("upstream of a cold model, ignored path", get(b"/upstream/cold/favicon.ico")),
    Conversation("body longer than allowed", post(b"x" * 4097)),
    Conversation(
        "length longer than allowed, expecting",
        get(b"/v1/completions", b"Content-Length: 99999", b"Expect: 100-continue", method=b"POST"),
    ),
    Conversation("chunked body longer than allowed", chunks(b"1001\r\n" + b"x" * 4097 + b"\r\n0\r\n\r\n")),
    Conversation("expectation that nobody knows", post(TINY, b"Expect: a-miracle")),
)

_HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: h\r\n"
HOSTILE = (
    Conversation(
        "length and chunked",
        _HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n",
    ),
    Conversation("chunked and length", _HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
    Conversation("two lengths", _HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    Conversation("two equal lengths", _HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    Conversation("length as a list", _HEAD + b"Content-Length: 5, 5\r\n\r\nhello"),
    Conversation("negative length", _HEAD + b"Content-Length: -1\r\n\r\n"),
    Conversation("length with a plus", _HEAD + b"Content-Length: +5\r\n\r\nhello"),
    Conversation("hexadecimal length", _HEAD + b"Content-Length: 0x5\r\n\r\nhello"),
    Conversation("empty length", _HEAD + b"Content-Length:\r\n\r\n"),
    Conversation("length of twenty digits", _HEAD + b"Content-Length: 18446744073709551616\r\n\r\n"),
    Conversation("length with an underscore", _HEAD + b"Content-Length: 1_3\r\n\r\n" + TINY),
    Conversation("chunked twice", _HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    Conversation("chunked, chunked", _HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    Conversation("identity", _HEAD + b"Transfer-Encoding: identity\r\n\r\n"),
    Conversation("gzip, chunked", _HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    Conversation("xchunked", _HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    Conversation("chunked with a vertical tab", _HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    Conversation("space before the colon", _HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    Conversation("tab before the colon", _HEAD + b"Content-Length\t: 5\r\n\r\nhello"),
    Conversation("folded line", _HEAD + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
    Conversation("folded transfer-encoding", _HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    Conversation("line that begins with a space", b"GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
    Conversation("bare LF in the head", b"GET / HTTP/1.1\nHost: h\n\n"),
    Conversation("one bare LF", b"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n"),
    Conversation("bare CR in a value", _HEAD + b"X: a\rContent-Length: 5\r\n\r\n"),
    Conversation("NUL in a value", _HEAD + b"X: a\x00b\r\n\r\n"),
    Conversation("NUL in the target", b"GET /a\x00b HTTP/1.1\r\nHost: h\r\n\r\n"),
    Conversation("DEL in a value", _HEAD + b"X: a\x7fb\r\n\r\n"),
    Conversation("header without a colon", _HEAD + b"X\r\n\r\n"),
    Conversation("header without a name", _HEAD + b": x\r\n\r\n"),
    Conversation("header name with a space", _HEAD + b"X Y: z\r\n\r\n"),
    Conversation("header name with a bracket", _HEAD + b"X(Y): z\r\n\r\n"),
    Conversation("non-ascii header name", _HEAD + b"X\xe9: z\r\n\r\n"),
    Conversation("no host", b"GET / HTTP/1.1\r\n\r\n"),
    Conversation("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    Conversation("host with a slash", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    Conversation("host with an at sign", b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    Conversation("http/2.0", b"GET / HTTP/2.0\r\nHost: h\r\n\r\n"),
    Conversation("http/1.2", b"GET / HTTP/1.2\r\nHost: h\r\n\r\n"),
    Conversation("http/0.9", b"GET /\r\n\r\n"),
    Conversation("http/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Conversation("lower case version", b"GET / http/1.1\r\nHost: h\r\n\r\n"),
    Conversation("two spaces in the request line", b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
    Conversation("tab in the request line", b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    Conversation("trailing space in the request line", b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n"),
    Conversation("space in the target", b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),
    Conversation("space before the method", b" GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    Conversation("brackets in the method", b"G<T / HTTP/1.1\r\nHost: h\r\n\r\n"),
    Conversation("raw utf-8 in the target", "GET /é HTTP/1.1\r\nHost: h\r\n\r\n".encode()),
    Conversation("fragment in the target", b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"),
    Conversation("target without a slash", b"GET a HTTP/1.1\r\nHost: h\r\n\r\n"),
    Conversation("asterisk for get", b"GET * HTTP/1.1\r\nHost: h\r\n\r\n"),
    Conversation("connect", b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n"),
    Conversation("absolute form with a user", b"GET http://user@h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    Conversation("absolute form of another scheme", b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    Conversation("tls hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    Conversation("noise", b"\x00\x01\x02\x03"),
    Conversation("head too long", _HEAD + b"X: " + b"a" * 1100 + b"\r\n\r\n"),
    Conversation("head too long without an end", b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 1100),
    Conversation("bad chunk size", chunks(b"g\r\nx\r\n0\r\n\r\n")),
    Conversation("empty chunk size", chunks(b"\r\nx\r\n0\r\n\r\n")),
    Conversation("negative chunk size", chunks(b"-1\r\nx\r\n0\r\n\r\n")),
    Conversation("chunk size with 0x", chunks(b"0x1\r\nx\r\n0\r\n\r\n")),
    Conversation("chunk size with an underscore", chunks(b"1_0\r\nx\r\n0\r\n\r\n")),
    Conversation("chunk size with spaces before", chunks(b" 1\r\nx\r\n0\r\n\r\n")),
    Conversation("chunk size of seventeen digits", chunks(b"11111111111111111\r\nx")),
    Conversation("chunk longer than its size", chunks(b"1\r\nxy\r\n0\r\n\r\n")),
    Conversation("chunk size ended by LF", chunks(b"1\nx\r\n0\r\n\r\n")),
    Conversation("chunk data ended by LF", chunks(b"d\r\n" + TINY + b"\n0\r\n\r\n")),
    Conversation("bare CR in a chunk extension", chunks(b"1;a\rb\r\nx\r\n0\r\n\r\n")),
    Conversation("NUL in a chunk extension", chunks(b"1;\x00\r\nx\r\n0\r\n\r\n")),
    Conversation("malformed trailer", chunks(b"d\r\n" + TINY + b"\r\n0\r\nno colon\r\n\r\n")),
    Conversation(
        "smuggled request after a chunked one is its own",
        chunks(b"d\r\n" + TINY + b"\r\n0\r\n\r\n") + get(b"/admin"),
        (OK,),
    ),
    Conversation(
        "chunked in http/1.0",
        b"POST /v1/completions HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
)

PAGES = (
    Conversation("a page that nobody has invited", post(TINY, b"Origin: http://evil.example")),
    Conversation("a page without an origin of its own", post(TINY, b"Origin: null")),
    Conversation("a page of a name that is like this host's", post(TINY, b"Origin: http://localhost.evil.example")),
    Conversation(
        "a page whose name was pointed at us",
        post(TINY, b"Origin: http://evil.example").replace(b"Host: h", b"Host: evil.example"),
    ),
    Conversation(
        "an image of another site",
        get(b"/upstream/m/x", b"Sec-Fetch-Site: cross-site"),
    ),
)

LOCKED = (
    Conversation("no key", post(), locked=True),
    Conversation("no key, application", get(b"/api/x") + get(b"/health"), locked=True),
    Conversation("wrong key", post(TINY, b"Authorization: Bearer nope"), locked=True),
    Conversation("bearer", post(TINY, b"Authorization: Bearer key1", b"X: y"), (OK,), locked=True),
    Conversation("bearer, odd case", post(TINY, b"authorization: bEARER  key2"), (OK,), locked=True),
    Conversation("basic", post(TINY, b"Authorization: Basic dXNlcjprZXkx"), (OK,), locked=True),
    Conversation("broken basic", post(TINY, b"Authorization: Basic ?"), locked=True),
    Conversation("x-api-key", post(TINY, b"X-Api-Key: key2"), (OK,), locked=True),
    Conversation(
        "the model server's own key stays",
        post(TINY, b"X-Api-Key: key2", b"Authorization: Bearer theirs"),
        (OK,),
        locked=True,
    ),
    Conversation("key on upstream", get(b"/upstream/m/x", b"X-Api-Key: key1"), (OK,), locked=True),
    Conversation("no key on upstream", get(b"/upstream/m/x") + get(b"/upstream"), locked=True),
    Conversation("open paths", get(b"/") + get(b"/favicon.ico") + get(b"/wol-health"), locked=True),
    Conversation("preflight needs no key", get(b"/v1/models", method=b"OPTIONS"), locked=True),
)

OLLAMA = (
    Conversation(
        "ollama: vectors of no text need no server",
        post(
            b'{"model":"m","input":[],"keep_alive":0}',
            b"Content-Type: application/x-www-form-urlencoded",
            path=b"/api/embed",
        ),
    ),
    Conversation(
        "ollama: a vector",
        post(b'{"model":"m","prompt":"a"}', path=b"/api/embeddings")
        + chunks(b'16\r\n{"prompt":"a","model":\r\n4\r\n"m"}\r\n0\r\n\r\n', path=b"/api/embeddings"),
        (_answer(b"HTTP/1.1 200 OK\nContent-Length: 40", b'{"data":[{"index":0,"embedding":[1,2]}]}'),) * 2,
    ),
    Conversation(
        "ollama: the model server's error",
        post(
            b'{"model":"m","messages":[{"role":"user","content":"a"}]}', b"Accept-Encoding: gzip", path=b"/api/chat?x=1"
        ),
        (_answer(b"HTTP/1.1 501 No\nContent-Length: 28", b'{"error":{"message":"no"}}  '),),
    ),
    Conversation("ollama: a body that is no JSON", post(b"{model", path=b"/api/chat")),
    Conversation("ollama: a member of another type", post(b'{"model":"m","prompt":1}', path=b"/api/generate")),
    Conversation("ollama: no key", post(path=b"/api/chat"), locked=True),
)

_MESSAGES = post(path=b"/v1/messages")
_FULL = b'{"error":{"code":400,"message":"full","type":"x"}}'
_NO = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
_START = b'event: message_start\ndata: {"type":"message_start"}\n\n'
_LATE = b'event: error\ndata: {"code":500,"message":"late","type":"x"}\n\n'
_EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

SHAPES = (
    Conversation("Anthropic: no such model", post(b'{"model":"x"}', path=b"/v1/messages")),
    Conversation("Anthropic: no JSON", post(b"{", path=b"/v1/messages/count_tokens")),
    Conversation("Anthropic: method", get(b"/v1/messages")),
    Conversation("Anthropic: no such model below upstream", post(path=b"/upstream/x/v1/messages")),
    Conversation("Anthropic: another path", post(b'{"model":"x"}', b"Anthropic-Version: 2023-06-01")),
    Conversation(
        "Anthropic: the server's error", _MESSAGES, (_NO + b"Content-Length: %d\r\n\r\n%b" % (len(_FULL), _FULL),)
    ),
    Conversation(
        "Anthropic: the server's error in chunks",
        _MESSAGES,
        (
            _NO
            + b"Transfer-Encoding: chunked\r\n\r\n9\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
            % (_FULL[:9], len(_FULL) - 9, _FULL[9:]),
        ),
    ),
    Conversation(
        "Anthropic: an error in a stream",
        post(b'{"model":"m","stream":true}', path=b"/v1/messages"),
        (_EVENTS + b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(_START), _START, len(_LATE), _LATE),),
        only_whole="its chunks are our own",
    ),
    Conversation("Anthropic: no key", _MESSAGES, locked=True),
    Conversation("Ollama: no such model", post(b'{"model":"x"}', path=b"/api/chat")),
    Conversation("slots of a model", get(b"/slots?model=m"), (OK,)),
    Conversation("slots of nobody", get(b"/slots")),
    Conversation("Cohere's second version", post(path=b"/v2/rerank"), (OK,)),
    Conversation("tokens of a response", post(path=b"/v1/responses/input_tokens"), (OK,)),
)

_LONGEST = b"a" * 128
_ECHO = b"HTTP/1.1 200 OK\r\n%b: %b\r\nContent-Length: 2\r\n\r\n{}"
IDS = (
    Conversation("id: the client's own", post(TINY, b"X-Request-Id: job:1._-a"), (OK,)),
    Conversation("id: as others write it", post(TINY, b"x-request-id: a") + post(TINY, b"X-Request-ID: b"), (OK, OK)),
    Conversation("id: as hardly anybody writes it", post(TINY, b"X-REQUEST-ID:\t a "), (OK,)),
    Conversation("id: the longest", post(TINY, b"X-Request-Id: " + _LONGEST), (OK,)),
    Conversation("id: too long", post(TINY, b"X-Request-Id: a" + _LONGEST), (OK,)),
    Conversation("id: empty", post(TINY, b"X-Request-Id:"), (OK,)),
    Conversation("id: with a space", post(TINY, b"X-Request-Id: a b"), (OK,)),
    Conversation("id: not ASCII", post(TINY, "X-Request-Id: \u00fcber".encode()), (OK,)),
    Conversation("id: two", post(TINY, b"X-Request-Id: a", b"X-Request-Id: a"), (OK,)),
    Conversation("id: two, written differently", post(TINY, b"X-REQUEST-ID: b", b"X-Request-Id: a"), (OK,)),
    Conversation("id: a line end in it", post(TINY, b"X-Request-Id: a\nX-Evil: b"), (OK,)),
    Conversation("id: a carriage return in it", post(TINY, b"X-Request-Id: a\rX-Evil: b"), (OK,)),
    Conversation("id: after a bare line feed", post(TINY, b"X-A: a\nX-Request-Id: b"), (OK,)),
    Conversation("id: folded", post(TINY, b"X-Request-Id: a\r\n b"), (OK,)),
    Conversation("id: of the second request only", post(TINY, b"X-Request-Id: a") + post(), (OK, OK)),
    Conversation("id: of an error", post(b"{}", b"X-Request-Id: a") + get(b"/v1/nothing", b"X-Request-Id: b")),
    Conversation("id: of a page", get(b"/page", b"X-Request-Id: a")),
    Conversation("id: repeated by the server", post(TINY, b"X-Request-Id: a"), (_ECHO % (b"x-request-ID", b"a"),)),
    Conversation("id: the server's own", post(TINY, b"X-Request-Id: a"), (_ECHO % (b"X-Request-Id", b"req_7"),)),
    Conversation(
        "id: of an Ollama client",
        post(b'{"model":"m","prompt":"a"}', b"X-Request-Id: a", path=b"/api/embeddings"),
        (_answer(b"HTTP/1.1 200 OK\nContent-Length: 40", b'{"data":[{"index":0,"embedding":[1,2]}]}'),),
    ),
    Conversation("id: over HTTP/1.0", post(TINY, b"X-Request-Id: a", version=b"HTTP/1.0"), (SSE,)),
)

ALL = (*GOOD, *ANSWERS, *REFUSED, *HOSTILE, *PAGES, *LOCKED, *SHAPES, *OLLAMA, *IDS)
