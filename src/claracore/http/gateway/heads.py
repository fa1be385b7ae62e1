"""Which head does the model server see, and which the client?

Pure: what is hop-by-hop is cut out (RFC 9110, section 7.6.1), a few lines are added, and every other line keeps its
bytes, its case and its order.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import lru_cache
from typing import NamedTuple

from claracore.core.ports.address import address_of
from claracore.http.access.keyring import KEY_HEADERS
from claracore.http.access.origins import cors_lines
from claracore.http.gateway.loops import FIELD, via_line
from claracore.http.wire.head import RequestHead, ResponseHead, hop_by_hop, keep
from claracore.http.wire.request_id import FIELD as REQUEST_ID
from claracore.http.wire.request_id import LINE, as_theirs, id_line
from claracore.http.wire.sse import MEDIA_TYPE

_OURS = frozenset((b"host", b"expect", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", REQUEST_ID))
_CREDENTIALS = frozenset((b"authorization", *KEY_HEADERS))
_ASKER = frozenset((b"forwarded", b"via", b"x-real-ip"))
_ABOUT_CONTENT = frozenset((b"accept", b"accept-encoding", b"content-encoding", b"content-type"))
_LENGTH = b"content-length"
_NUMBER = b"\0"  # Stands where the number of bytes goes; no head can contain it.
WITHOUT_BODY = (204, 304)
_CODING = frozenset((b"transfer-encoding",))
# What a model server says about its origin is not about ours, which it shares with the web interface and other models:
# who may read, what to forget, where else to connect, whom to send reports, how far a service worker reaches.
_ABOUT_THE_ORIGIN = frozenset(
    (
        b"accept-ch",
        b"access-control-allow-credentials",
        b"access-control-allow-origin",
        b"alt-svc",
        b"clear-site-data",
        b"nel",
        b"report-to",
        b"service-worker-allowed",
        b"strict-transport-security",
    )
)
# What comes piece by piece is to be passed on so: nginx keeps it back otherwise, and others compress it.
_UNDELAYED = (
    (b"cache-control", b"Cache-Control: no-cache, no-transform"),
    (b"x-accel-buffering", b"X-Accel-Buffering: no"),
)


class Peer(NamedTuple):
    """Who is at the other end of the client's connection."""

    address: bytes
    """Literal IP address; empty for a Unix socket."""
    trusted: bool
    """On this machine or network: may be a TLS proxy in front of us, whose X-Forwarded-* lines are believed."""
    local: bool = True
    """On this machine."""
    secure: bool = False
    """Reached us over TLS of our own."""
    text: str = ""
    """The address, for people."""


def peer_of(peername: object, *, secure: bool = False) -> Peer:
    """Read what the transport says about the client."""
    if not isinstance(peername, tuple):
        return Peer(b"", trusted=True, secure=secure)
    address = address_of(str(peername[0]))
    trusted = address.is_private or address.is_loopback
    return Peer(str(address).encode(), trusted, address.is_loopback, secure, str(address))


class Onward(NamedTuple):
    """What there is to know about a request's way on, besides its head."""

    path: bytes
    """With query."""
    host: bytes
    peer: Peer
    dropped: frozenset[bytes]
    """Names of headers that carried our own key."""
    own_lines: tuple[bytes, ...] | None
    """Instead of whatever says who asked: for a peer."""
    sized: bool
    """Whether the body has a known length; otherwise it is chunked, or there is none."""
    edited: bool = False
    """Whether the body is another one than the client's, and JSON; the client gets another answer than comes for it."""


def request_parts(head: RequestHead, onward: Onward) -> tuple[bytes, bytes]:
    """Return the head to send to the model server, as `head_bytes` takes it.

    The Content-Length is that of the body as it is sent: it may have been collected or edited.
    """
    path, host, peer, dropped, own_lines, sized, edited = onward
    if own_lines is not None:
        dropped |= (_CREDENTIALS | _ASKER) if own_lines else _ASKER
    lines = [b"%b %b HTTP/1.1" % (head.method, path), b"Host: " + host]
    if edited:
        dropped |= _ABOUT_CONTENT
    lines += keep(head.names, _with_gap(head), hop_by_hop(head.noted) | _OURS | dropped)
    if edited:
        lines.append(b"Content-Type: application/json")
    if sized and not head.sized:
        lines.append(b"Content-Length: " + _NUMBER)
    elif head.chunked and not sized:
        lines.append(b"Transfer-Encoding: chunked")
    if head.upgrade == b"websocket":
        lines += (b"Upgrade: websocket", b"Connection: Upgrade")
    if own_lines is None:
        lines += _forwarded(head, peer)
    else:
        lines += (*own_lines, via_line(head.noted.get(FIELD, b"")))
    return _parts(lines)


def _parts(lines: list[bytes]) -> tuple[bytes, bytes]:
    """Return a head before and after the number in its Content-Length line; what it ends with waits for the id."""
    before, _, after = b"\r\n".join([*lines, LINE]).partition(_NUMBER)
    return before, after


def head_bytes(before: bytes, length: int | None, after: bytes, request_id: bytes) -> bytes:
    """Return a whole head, with its empty line: the body's length, if it has one, and the id are put into place."""
    if length is None:
        return b"%b%b\r\n\r\n" % (before, request_id)
    return b"%b%d%b%b\r\n\r\n" % (before, length, after, request_id)


def _with_gap(head: RequestHead | ResponseHead) -> list[bytes]:
    """Return the lines, without the number in the Content-Length line."""
    if not head.sized:
        return head.lines
    lines = list(head.lines)
    place = head.names.index(_LENGTH)
    value = lines[place].partition(b":")[2].lstrip(b" \t")
    lines[place] = lines[place][: -len(value)] + _NUMBER
    return lines


def _forwarded(head: RequestHead, peer: Peer) -> list[bytes]:
    noted = head.noted
    lines = []
    before = noted.get(b"x-forwarded-for") if peer.trusted else None
    addresses = b", ".join(part for part in (before, peer.address) if part)
    if addresses:
        lines.append(b"X-Forwarded-For: " + addresses)
    forwarded_host = noted.get(b"x-forwarded-host") if peer.trusted else None
    if host := forwarded_host or noted.get(b"host"):
        lines.append(b"X-Forwarded-Host: " + host)
    forwarded_proto = noted.get(b"x-forwarded-proto") if peer.trusted else None
    lines.append(b"X-Forwarded-Proto: " + (forwarded_proto or (b"https" if peer.secure else b"http")))
    return lines


def response_bytes(
    head: ResponseHead, length: int | None, connection: bytes, request_id: bytes, *, chunked: bool, origin: bytes = b""
) -> bytes:
    """Return the head to send to the client, with its empty line.

    `chunked`: the body goes out in the chunks in which it came. `connection`: value of the Connection line, none when
    empty. `length`: its Content-Length. `origin`: of the page that may read it; what the model server says is left out.
    """
    work_out = _remembered_response if head.small else _response_parts
    before, after = work_out(head, connection, chunked, origin)
    return head_bytes(before, length, after, request_id)


def _response_parts(
    head: ResponseHead,
    connection: bytes,
    chunked: bool,  # noqa: FBT001 - see response_bytes
    origin: bytes,
) -> tuple[bytes, bytes]:
    removed = hop_by_hop(head.noted) | _ABOUT_THE_ORIGIN
    if chunked:
        removed -= _CODING
    lines = [b"HTTP/1.1" + head.status_line[8:]]
    lines += keep(head.names, _with_gap(head), removed | {REQUEST_ID})
    if REQUEST_ID in head.names and REQUEST_ID not in removed:
        lines.append(as_theirs(head.lines[head.names.index(REQUEST_ID)]))
    if head.status >= 200 and not head.sized and head.status not in WITHOUT_BODY:
        lines += undelayed(head.names)
    lines += cors_lines(origin)
    if connection:
        lines.append(b"Connection: " + connection)
    return _parts(lines)


def with_lines(head: bytes, lines: list[bytes]) -> bytes:
    """Return a head that is written already, with further lines; its empty line stays the last."""
    return b"%b%b\r\n\r\n" % (head[:-2], b"\r\n".join(lines)) if lines else head


def undelayed(names: Container[bytes]) -> list[bytes]:
    """Return the header lines that have proxies pass an answer of unknown length on as it comes.

    `names` (lower case) are those that it has: what the model server says about its caching stands.
    """
    return [line for name, line in _UNDELAYED if name not in names]


_remembered_response = lru_cache(maxsize=512)(_response_parts)


def with_headers(head: ResponseHead, headers: Mapping[bytes, bytes | None]) -> ResponseHead:
    """Return an answer's head with other headers: values by name (lower case), None for a header that is to go.

    Nothing is said of the body's length: whoever changes the head of an answer may change its body.
    """
    dropped = frozenset(headers) | {_LENGTH, *_CODING}
    kept = [(name, line) for name, line in zip(head.names, head.lines, strict=True) if name not in dropped]
    kept += [(name, b"%b: %b" % (name.title(), value)) for name, value in headers.items() if value is not None]
    noted = {name: value for name, value in head.noted.items() if name not in dropped}
    noted |= {name: value for name, value in headers.items() if name in head.noted and value is not None}
    content_type = headers.get(b"content-type", head.content_type.encode("latin-1")) or b""
    return ResponseHead(
        status=head.status,
        minor=head.minor,
        status_line=head.status_line,
        names=[name for name, _ in kept],
        lines=[line for _, line in kept],
        noted=noted,
        sized=False,
        chunked=False,
        keep_alive=head.keep_alive,
        small=False,
        content_type=content_type.decode("latin-1"),
    )


def edited_response_bytes(
    head: ResponseHead, connection: bytes, request_id: bytes, *, chunked: bool, origin: bytes = b""
) -> bytes:
    """Return the head of an answer whose body is changed on its way: `chunked`, in chunks of our own.

    The parameters that `response_bytes` has are the same here. A head that still says how long the body is says so of
    another one: that line is left out.
    """
    coding: dict[bytes, bytes | None] = {b"transfer-encoding": b"chunked"} if chunked else {}
    return response_bytes(with_headers(head, coding), None, connection, request_id, chunked=chunked, origin=origin)


def stream_bytes(connection: bytes, request_id: bytes, *, chunked: bool, origin: bytes = b"") -> bytes:
    """Return the head of an event stream that the gateway begins by itself."""
    lines = [
        b"HTTP/1.1 200 OK",
        b"Content-Type: " + MEDIA_TYPE.encode(),
        *undelayed(()),
        *cors_lines(origin),
        id_line(request_id),
    ]
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    if connection:
        lines.append(b"Connection: " + connection)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def switching_bytes(head: ResponseHead, request_id: bytes) -> bytes:
    """Return the 101 head for the client of a WebSocket."""
    removed = hop_by_hop(head.noted) | _ABOUT_THE_ORIGIN | {_LENGTH, REQUEST_ID}
    lines = [b"HTTP/1.1" + head.status_line[8:], *keep(head.names, head.lines, removed)]
    lines += (b"Upgrade: " + head.noted.get(b"upgrade", b"websocket"), b"Connection: Upgrade", id_line(request_id))
    return b"\r\n".join(lines) + b"\r\n\r\n"
