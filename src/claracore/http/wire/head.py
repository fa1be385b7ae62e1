"""What does the head of an HTTP/1.x message say, and what of it may be passed on?

Pure: bytes -> `RequestHead` or `ResponseHead`, and back to bytes. One regular expression accepts a head as a whole or
not at all (RFC 9112): CRLF only, no folded lines, no space before a colon, no control characters. What is ambiguous
about the length of the body is refused here, so that no two readers of the same bytes can disagree (request smuggling).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from claracore.errors import ClaraCoreError
from claracore.http.wire.answers import ExpectationFailed, MalformedRequest, NotSupported, VersionNotSupported

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIELD = _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n"
_REQUEST_LINE = rb"(" + _TOKEN + rb") ([\x21-\x7e]++) HTTP/([0-9])\.([0-9])\r\n"
_STATUS_LINE = rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*+)?\r\n"
_REQUEST = re.compile(_REQUEST_LINE + rb"((?:" + _FIELD + rb")*+)\r\n")
_RESPONSE = re.compile(_STATUS_LINE + rb"((?:" + _FIELD + rb")*+)\r\n")
_BAD_REQUEST_LINE = re.compile(_REQUEST_LINE)
_GOOD_FIELD = re.compile(_FIELD)
_HOST = re.compile(rb"(?:\[[0-9A-Za-z:.%_~\-]+\]|[A-Za-z0-9._~%!$&'()*+,;=\-]*)(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?#@]+)([/?].*)?")
_LENGTH = re.compile(rb"[0-9]{1,18}")

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
"""Those that change nothing (RFC 9110 section 9.2.1), but for TRACE, which nobody answers here."""

# RFC 9110 section 7.6.1, and those that RFC 2616 listed and people still send.
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    )
)
_REQUEST_NOTED = frozenset(
    (
        b"anthropic-version",
        b"api-key",
        b"authorization",
        b"connection",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"origin",
        b"referer",
        b"sec-fetch-site",
        b"transfer-encoding",
        b"upgrade",
        b"via",
        b"x-api-key",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-goog-api-key",
        b"x-request-id",
    )
)
_RESPONSE_NOTED = frozenset((b"connection", b"content-length", b"content-type", b"transfer-encoding", b"upgrade"))
_ONCE = frozenset((b"content-length", b"host", b"transfer-encoding"))


# Not frozen: freezing triples the time that making one takes. Equal only to itself, so that what is worked out from it
# can be remembered by it.
@dataclass(slots=True, eq=False)
class RequestHead:
    """One request's head. `names` (lower case) and `lines` (as sent, no CRLF) go in parallel. Never changed."""

    method: bytes
    target: bytes
    """Origin form: path and query, as sent."""
    path: bytes
    query: bytes
    minor: int
    """0 for HTTP/1.0, 1 for HTTP/1.1."""
    names: list[bytes]
    lines: list[bytes]
    noted: dict[bytes, bytes]
    """Values of the headers that the gateway acts on; repeated ones joined by a comma."""
    sized: bool
    """Whether it has a Content-Length. The number stands beside the head, so that equal heads can be remembered."""
    chunked: bool
    keep_alive: bool

    small: bool
    """Whether it, and what is worked out from it, is short enough to be remembered."""
    upgrade: bytes
    """The protocol that the client asks to change to, lower case; empty when it does not (properly) ask."""


@dataclass(slots=True, eq=False)
class ResponseHead:
    """One response's head, like `RequestHead`."""

    status: int
    minor: int
    status_line: bytes
    names: list[bytes]
    lines: list[bytes]
    noted: dict[bytes, bytes]
    sized: bool
    chunked: bool
    keep_alive: bool
    small: bool
    content_type: str


def request_head(data: bytes) -> tuple[RequestHead, int | None]:
    """Read a complete request head and its Content-Length, or remember how it read.

    On a kept connection the same head comes again and again, only with another length. Raises what `parse_request`
    raises.
    """
    if len(data) > REMEMBERED_BYTES:
        return parse_request(data)
    start, end = _length_in(data)
    if not start:
        return _remembered_request(data)
    return _remembered_request(data[:start] + b"1" + data[end:])[0], int(data[start:end])


def response_head(data: bytes) -> tuple[ResponseHead, int | None]:
    """Read a complete response head and its Content-Length, or remember how it read. Raises `ValueError`."""
    if len(data) > REMEMBERED_BYTES:
        return parse_response(data)
    start, end = _length_in(data)
    if not start:
        return _remembered_response(data)
    return _remembered_response(data[:start] + b"1" + data[end:])[0], int(data[start:end])


def _length_in(data: bytes) -> tuple[int, int]:
    """Return where the number in the first Content-Length line is, if it is written in one of the usual ways."""
    start = data.find(b"\nContent-Length: ")
    if start < 0:
        start = data.find(b"\ncontent-length: ")
        if start < 0:
            return 0, 0
    start += 17
    end = data.find(b"\r", start)
    digits = data[start:end]
    # bytes.isdigit() knows ASCII digits only. A zero stays as it is: no body is not the same as some body.
    return (start, end) if digits.isdigit() and digits[:1] != b"0" and len(digits) < 18 else (0, 0)


def parse_request(data: bytes) -> tuple[RequestHead, int | None]:
    """Read a complete request head (ending with its empty line) and its Content-Length.

    Raises `MalformedRequest`, `NotSupported`, `ExpectationFailed` or `VersionNotSupported`.
    """
    found = _REQUEST.fullmatch(data)
    if found is None:
        raise _what_is_wrong(data)
    method, target, major, digit, block = found.groups()
    if major != b"1" or digit > b"1":
        raise VersionNotSupported("ClaraCore speaks HTTP/1.0 and HTTP/1.1 here")
    minor = 1 if digit == b"1" else 0
    names, lines, noted = _fields(block, _REQUEST_NOTED)
    target = _origin_form(method, target, noted)
    length, chunked = _body_length(noted, minor)
    if minor and b"host" not in noted:
        raise MalformedRequest("an HTTP/1.1 request needs a Host header")
    if _HOST.fullmatch(noted.get(b"host", b"")) is None:
        raise MalformedRequest("the Host header is not a host")
    if noted.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise ExpectationFailed("only 'Expect: 100-continue' is understood")
    path, _, query = target.partition(b"?")
    keep_alive = _keeps_alive(noted, minor)
    upgrade = _upgrade(noted) if minor and b"upgrade" in noted else b""
    head = RequestHead(
        method=method,
        target=target,
        path=path,
        query=query,
        minor=minor,
        names=names,
        lines=lines,
        noted=noted,
        sized=length is not None,
        chunked=chunked,
        keep_alive=keep_alive,
        small=len(data) <= REMEMBERED_BYTES,
        upgrade=upgrade,
    )
    return head, length


def parse_response(data: bytes) -> tuple[ResponseHead, int | None]:
    """Read a complete response head (ending with its empty line) and its Content-Length. Raises `ValueError`."""
    found = _RESPONSE.fullmatch(data)
    if found is None:
        raise ValueError("the answer does not begin with a proper HTTP/1.x head")
    digit, status, block = found.groups()
    minor = 1 if digit == b"1" else 0
    try:
        names, lines, noted = _fields(block, _RESPONSE_NOTED)
        length, chunked = _body_length(noted, 1)
    except ClaraCoreError as error:
        raise ValueError(error.message) from error
    status_line = data[: data.index(b"\r\n")]
    head = ResponseHead(
        status=int(status),
        minor=minor,
        status_line=status_line,
        names=names,
        lines=lines,
        noted=noted,
        sized=length is not None,
        chunked=chunked,
        keep_alive=_keeps_alive(noted, minor),
        small=len(data) <= REMEMBERED_BYTES,
        content_type=noted.get(b"content-type", b"").decode("latin-1"),
    )
    return head, length


# What is remembered is bounded: 512 heads of 2 KB, each about 8 KB when it is read.
REMEMBERED_BYTES = 2_048
_remembered_request = lru_cache(maxsize=512)(parse_request)
_remembered_response = lru_cache(maxsize=512)(parse_response)


def hop_by_hop(noted: dict[bytes, bytes]) -> frozenset[bytes]:
    """Return the names that end at this hop: the known ones and those that `Connection` lists."""
    connection = noted.get(b"connection")
    if connection is None:
        return HOP_BY_HOP
    listed = _tokens(connection) - {b"close", b"keep-alive", b"content-length", b"host", b"content-type"}
    return HOP_BY_HOP | listed if listed else HOP_BY_HOP


def keep(names: list[bytes], lines: list[bytes], dropped: frozenset[bytes]) -> list[bytes]:
    """Return the lines whose names are not `dropped`, in their order and with their bytes."""
    return [line for name, line in zip(names, lines, strict=True) if name not in dropped]


def check_incomplete(data: bytes, start: int) -> None:
    """Raise `MalformedRequest` for bytes that do not hold a whole head yet and can never become one.

    `start` is where the unread part begins. A bare LF, a NUL or a TLS hello would otherwise wait for its timeout.
    """
    never = _NEVER_IN_A_HEAD.search(data, max(0, start - 1)) is not None
    if never or (data and _GOOD_START.match(data) is None):
        raise _what_is_wrong(data)


def without_empty_lines(data: bytes) -> bytes:
    """Return the bytes after any empty lines at their beginning (RFC 9112, section 2.2)."""
    found = _EMPTY_LINES.match(data)
    return data[found.end() :] if found else data


_EMPTY_LINES = re.compile(rb"(?:\r\n)*+")
_NEVER_IN_A_HEAD = re.compile(rb"(?<!\r)\n|\r[^\n]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_GOOD_START = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]|\r")


def _fields(block: bytes, wanted: frozenset[bytes]) -> tuple[list[bytes], list[bytes], dict[bytes, bytes]]:
    names: list[bytes] = []
    noted: dict[bytes, bytes] = {}
    if not block:
        return names, [], noted
    lines = block[:-2].split(b"\r\n")
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        names.append(name)
        if name in wanted:
            value = value.strip(b" \t")
            if name in noted:
                if name in _ONCE:
                    raise MalformedRequest(f"{name.decode()} is given twice")
                value = noted[name] + b", " + value
            noted[name] = value
    return names, lines, noted


def _body_length(noted: dict[bytes, bytes], minor: int) -> tuple[int | None, bool]:
    coding = noted.get(b"transfer-encoding")
    text = noted.get(b"content-length")
    if coding is not None:
        # RFC 9112 section 6.3: both together "ought to be handled as an error"; HTTP/1.0 has no transfer codings.
        if text is not None or minor == 0:
            raise MalformedRequest("the length of the body is ambiguous (Transfer-Encoding)")
        if coding.lower() != b"chunked":
            raise NotSupported("the only transfer coding that is understood is 'chunked'")
        return None, True
    if text is None:
        return None, False
    if _LENGTH.fullmatch(text) is None:
        raise MalformedRequest("Content-Length is not a number of bytes")
    return int(text), False


def _keeps_alive(noted: dict[bytes, bytes], minor: int) -> bool:
    connection = noted.get(b"connection")
    if connection is None:
        return minor == 1
    tokens = _tokens(connection)
    return b"close" not in tokens if minor else b"keep-alive" in tokens


def _tokens(value: bytes) -> frozenset[bytes]:
    return frozenset(token.strip(b" \t") for token in value.lower().split(b",")) - {b""}


def _upgrade(noted: dict[bytes, bytes]) -> bytes:
    asks = b"upgrade" in _tokens(noted.get(b"connection", b""))
    return noted[b"upgrade"].lower() if asks else b""


def _origin_form(method: bytes, target: bytes, noted: dict[bytes, bytes]) -> bytes:
    if method == b"CONNECT":
        raise NotSupported("ClaraCore is not a forward proxy: CONNECT is not supported")
    if b"#" in target:
        raise MalformedRequest("a request target has no fragment")
    if target[:1] == b"/" or (target == b"*" and method == b"OPTIONS"):
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise MalformedRequest("the request target is neither a path nor an http URL")
    noted[b"host"] = absolute[1]  # RFC 9112 section 3.2.2: the target's authority replaces Host
    rest: bytes = absolute[2] or b"/"
    return rest if rest[:1] == b"/" else b"/" + rest


def _what_is_wrong(data: bytes) -> MalformedRequest:
    """Name the first line that is wrong; only called for heads that are refused."""
    line = _BAD_REQUEST_LINE.match(data)
    if line is None:
        return MalformedRequest("the request line is not 'METHOD target HTTP/1.1'")
    position = line.end()
    number = 1
    while (field := _GOOD_FIELD.match(data, position)) is not None:
        position = field.end()
        number += 1
    return MalformedRequest(f"header line {number} is malformed")
