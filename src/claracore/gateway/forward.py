"""Which head does the model server see, and which the client?

Pure: what is hop-by-hop is cut out (RFC 9110, section 7.6.1), a few lines are added, and every other line keeps its
bytes, its case and its order.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from claracore.gateway.head import RequestHead, ResponseHead, hop_by_hop, keep

_OURS = frozenset((b"host", b"expect", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"))
_LENGTH = frozenset((b"content-length",))
_CODING = frozenset((b"transfer-encoding",))


class Peer(NamedTuple):
    """Who is at the other end of the client's connection."""

    address: bytes
    """Literal IP address; empty for a Unix socket."""
    trusted: bool
    """On this machine or network: may be a TLS proxy in front of us, whose X-Forwarded-* lines are believed."""


def peer_of(peername: object) -> Peer:
    """Read what the transport says about the client."""
    if not isinstance(peername, tuple):
        return Peer(b"", trusted=True)
    address = ip_address(str(peername[0]).partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return Peer(str(address).encode(), trusted=address.is_private or address.is_loopback)


class Onward(NamedTuple):
    """What there is to know about a request's way on, besides its head."""

    path: bytes
    """With query."""
    host: bytes
    peer: Peer
    dropped: frozenset[bytes]
    """Names of headers that carried our own key."""
    length: int | None
    """Number of bytes of the collected or edited body; None: the client's own framing goes on."""


def request_bytes(head: RequestHead, onward: Onward) -> bytes:
    """Return the head to send to the model server, with its empty line.

    What was worked out for a small head is remembered.
    """
    return _remembered_request(head, onward) if head.small else _request_bytes(head, onward)


def _request_bytes(head: RequestHead, onward: Onward) -> bytes:
    path, host, peer, dropped, length = onward
    removed = hop_by_hop(head.noted) | _OURS | dropped
    own_length = length is not None and length != head.length
    if own_length:
        removed |= _LENGTH
    lines = [b"%b %b HTTP/1.1" % (head.method, path), b"Host: " + host]
    lines += keep(head.names, head.lines, removed)
    if own_length:
        lines.append(b"Content-Length: %d" % (length or 0))
    elif head.chunked and length is None:
        lines.append(b"Transfer-Encoding: chunked")
    if head.upgrade == b"websocket":
        lines += (b"Upgrade: websocket", b"Connection: Upgrade")
    lines += _forwarded(head, peer)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _forwarded(head: RequestHead, peer: Peer) -> list[bytes]:
    noted = head.noted
    lines = []
    before = noted.get(b"x-forwarded-for") if peer.trusted else None
    addresses = b", ".join(part for part in (before, peer.address) if part)
    if addresses:
        lines.append(b"X-Forwarded-For: " + addresses)
    said_host = noted.get(b"x-forwarded-host") if peer.trusted else None
    if host := said_host or noted.get(b"host"):
        lines.append(b"X-Forwarded-Host: " + host)
    said_proto = noted.get(b"x-forwarded-proto") if peer.trusted else None
    lines.append(b"X-Forwarded-Proto: " + (said_proto or b"http"))
    return lines


def response_bytes(head: ResponseHead, connection: bytes, *, chunked: bool) -> bytes:
    """Return the head to send to the client, with its empty line.

    `chunked`: the body goes out in the chunks in which it came. `connection`: value of the Connection line, none when
    empty.
    """
    return _remembered_response(head, connection, chunked) if head.small else _response_bytes(head, connection, chunked)


def _response_bytes(head: ResponseHead, connection: bytes, chunked: bool) -> bytes:  # noqa: FBT001 - see response_bytes
    removed = hop_by_hop(head.noted)
    if chunked:
        removed -= _CODING
    lines = [b"HTTP/1.1" + head.status_line[8:]]
    lines += keep(head.names, head.lines, removed)
    if connection:
        lines.append(b"Connection: " + connection)
    return b"\r\n".join(lines) + b"\r\n\r\n"


_remembered_request = lru_cache(maxsize=512)(_request_bytes)
_remembered_response = lru_cache(maxsize=512)(_response_bytes)


def switching_bytes(head: ResponseHead) -> bytes:
    """Return the 101 head for the client of a WebSocket."""
    lines = [b"HTTP/1.1" + head.status_line[8:], *keep(head.names, head.lines, hop_by_hop(head.noted))]
    lines += (b"Upgrade: " + head.noted.get(b"upgrade", b"websocket"), b"Connection: Upgrade")
    return b"\r\n".join(lines) + b"\r\n\r\n"
