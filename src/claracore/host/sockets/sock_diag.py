"""Which TCP sockets does Linux know on a port?

Asked of NETLINK_SOCK_DIAG (sock_diag(7), inet_diag.h), which filters by port in the kernel: 30-40 us with 500 sockets,
where reading /proc/net/tcp takes 8-10 ms because it walks the whole hash table. Where netlink is refused (gVisor, odd
seccomp profiles) /proc/net/tcp answers all the same, without silent bound sockets.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from claracore.errors import too_many_files
from claracore.host.sockets.bound import BoundSocket, Stage

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST, NLM_F_REQUEST_DUMP = 0x001, 0x301
NLMSG_ERROR = 2
NLMSG_DONE = 3
INET_DIAG_SKV6ONLY = 11

HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
MESSAGE = struct.Struct("=BBBB2s2s16s16sI8sIIIII")  # struct inet_diag_msg
ATTRIBUTE = struct.Struct("=HH")  # struct nlattr

TCP_TIME_WAIT, TCP_CLOSE, TCP_LISTEN, TCP_BOUND_INACTIVE = 6, 7, 10, 13
STAGES = {TCP_TIME_WAIT: Stage.TIME_WAIT, TCP_CLOSE: Stage.BOUND, TCP_LISTEN: Stage.LISTENING}
"""A bound and silent socket is asked for as TCP_BOUND_INACTIVE (kernel 6.8 and later) and reported as TCP_CLOSE."""


def sockets_on(port: int, *, silent: bool = False) -> list[BoundSocket]:
    """Return the listening sockets on a port; with `silent` also bound ones and those in TIME_WAIT (~0.5 ms).

    Raises OSError when too many files are open to look: that must not be taken for nobody.
    """
    states = 1 << TCP_LISTEN
    if silent:
        states |= 1 << TCP_BOUND_INACTIVE | 1 << TCP_TIME_WAIT
    try:
        return _ask_netlink(port, states)
    except OSError as error:
        if too_many_files(error):
            raise
        return _read_proc(port, silent=silent)


def listening_ports() -> set[int]:
    """Return every port on which somebody listens. Raises OSError as `sockets_on`."""
    try:
        return {entry.port for entry in _entries(0, 1 << TCP_LISTEN)}
    except OSError as error:
        if too_many_files(error):
            raise
        return set(_listening_in_proc())


def _listening_in_proc() -> Iterator[int]:
    for fields in _proc_lines():
        if int(fields[3], 16) == TCP_LISTEN:
            yield int(fields[1].rpartition(":")[2], 16)


def _ask_netlink(port: int, states: int) -> list[BoundSocket]:
    return [entry for entry in _entries(port, states) if entry.port == port]


def _entries(port: int, states: int) -> Iterator[BoundSocket]:
    """Yield what the kernel has in these states on a port; on any with 0."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        for family_number in (socket.AF_INET, socket.AF_INET6):
            netlink.send(_request(family_number, port, states))
            for body in _replies(netlink):
                entry = _parse(body)
                if entry is not None:
                    yield entry


def other_end(connection: socket.socket) -> int:
    """Return the inode of the other end of a TCP connection within this machine; 0 while nobody has accepted it.

    One look-up in the kernel's table of connections (~5 us). Raises OSError when the connection is over, and where
    netlink is refused.
    """
    (own, port), (peer, peer_port) = connection.getsockname()[:2], connection.getpeername()[:2]
    kind = connection.family
    addresses = (socket.inet_pton(kind, address).ljust(16, b"\0") for address in (peer, own))
    sock_id = struct.pack("!HH", peer_port, port) + b"".join(addresses) + struct.pack("=I", 0) + b"\xff" * 8
    body = struct.pack("=BBBxI", kind, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + sock_id
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        netlink.send(HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0) + body)
        reply = next(_replies(netlink))
    return int(MESSAGE.unpack_from(reply)[-1])


def _request(family_number: int, port: int, states: int) -> bytes:
    """Return a dump request: nlmsghdr and inet_diag_req_v2, whose source port the kernel uses as a filter."""
    sock_id = struct.pack("!HH", port, 0) + bytes(32) + struct.pack("=I", 0) + b"\xff" * 8
    body = struct.pack("=BBBxI", family_number, socket.IPPROTO_TCP, 0, states) + sock_id
    return HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, 1, 0) + body


def _replies(netlink: socket.socket) -> Iterator[bytes]:
    while True:
        data = netlink.recv(1 << 16)
        offset = 0
        while offset < len(data):
            length, kind, _, _, _ = HEADER.unpack_from(data, offset)
            body = data[offset + HEADER.size : offset + length]
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                code = -struct.unpack_from("=i", body)[0]
                raise OSError(code, os.strerror(code))
            yield body
            offset += (length + 3) & ~3


def _parse(body: bytes) -> BoundSocket | None:
    (family_number, state, _, _, source_port, _, source, _, _, _, _, _, _, uid, inode) = MESSAGE.unpack_from(body)
    stage = STAGES.get(state)
    if stage is None:
        return None
    address = socket.inet_ntop(family_number, source[: 4 if family_number == socket.AF_INET else 16])
    port = int.from_bytes(source_port, "big")
    return BoundSocket(address, port, stage, inode, uid, v6only=_v6only(body))


def _v6only(body: bytes) -> bool:
    offset = MESSAGE.size
    while offset + ATTRIBUTE.size <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, offset)
        if kind == INET_DIAG_SKV6ONLY:
            return body[offset + ATTRIBUTE.size] != 0
        offset += max(4, (length + 3) & ~3)
    return False


def _read_proc(port: int, *, silent: bool) -> list[BoundSocket]:
    found: list[BoundSocket] = []
    wanted = {TCP_LISTEN, TCP_TIME_WAIT} if silent else {TCP_LISTEN}
    suffix = f":{port:04X}"
    for fields in _proc_lines():
        if fields[1].endswith(suffix) and int(fields[3], 16) in wanted:
            stage = STAGES[int(fields[3], 16)]
            address = _address(fields[1].partition(":")[0])
            found.append(BoundSocket(address, port, stage, int(fields[9]), int(fields[7])))
    return found


def _proc_lines() -> Iterator[list[str]]:
    """Read /proc/net/tcp and tcp6: `sl local:port remote:port st queues timer retransmits uid timeout inode`."""
    for name in ("tcp", "tcp6"):
        with suppress(FileNotFoundError, PermissionError):
            for line in Path("/proc/self/net", name).read_text(encoding="ascii").splitlines()[1:]:
                yield line.split()


def _address(text: str) -> str:
    """Return the address in the notation of /proc/net/tcp: 32-bit words in host byte order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    raw = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
