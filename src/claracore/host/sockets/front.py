"""Where does the web interface listen, and what if somebody is there already?

Opens the listening sockets of the public port, or accepts those that systemd has opened (sd_listen_fds(3)). It never
moves to another port by itself: a taken port is an error that names the holder, unless `--listen auto` was asked for.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Collection, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from claracore.core.ports.listen import Listen, bracketed
from claracore.errors import PortTaken
from claracore.host.sockets.owner import holder_in_words

LISTEN_FDS_START = 3
BACKLOG = 2048
IDENTITY_SECONDS = 1.0
TRIES_FOR_A_COMMON_PORT = 50


class AlreadyRunning(PortTaken):
    """The web port belongs to another ClaraCore; `url` and `pid` say which."""

    code = "already_running"
    cause = "Another ClaraCore has this port."
    way_out = "Use that one, stop it, or take another port: `--listen 5801`, `--listen auto`."

    def __init__(self, url: str, pid: int | None) -> None:
        super().__init__(f"ClaraCore is already running at {url}{f' (pid {pid})' if pid is not None else ''}")
        self.url = url
        self.pid = pid


class _BusyError(Exception):
    """An address cannot be bound; who has it is looked up only when it matters."""

    def __init__(self, host: str, port: int, reason: OSError) -> None:
        super().__init__(host, port)
        self.host = host
        self.port = port
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Identity:
    """What a ClaraCore answers to GET /api/identity."""

    pid: int | None


def open_listeners(
    listen: Listen, *, environ: MutableMapping[str, str] | None = None, avoid: Collection[int] = ()
) -> list[socket.socket]:
    """Return the listening sockets of the web port: non-blocking, one for each address, all on one port.

    With socket activation the passed sockets are used and `listen` is not. `auto` takes the first port from
    `listen.port` on that is free on all addresses and not in `avoid`. An IPv6 loopback or wildcard that this host lacks
    is left out. Raises AlreadyRunning or PortTaken, naming the holder; OSError for an address this host does not have.
    """
    passed = _passed_sockets(os.environ if environ is None else environ)
    if passed:
        return passed
    addresses = _resolve(listen.hosts)
    if listen.port == 0:
        return _open_on_any(addresses)
    if not listen.auto:
        try:
            return _open(addresses, listen.port)
        except _BusyError as busy:
            raise _taken(busy.host, busy.port, busy.reason) from busy
    for port in range(listen.port, 65536):
        if port not in avoid:
            with suppress(_BusyError):
                return _open(addresses, port)
    raise PortTaken(f"no port from {listen.port} to 65535 is free on {' and '.join(listen.hosts)}")


def opened_beside(listen: Listen) -> list[socket.socket] | str:
    """Return the listening sockets of a further address of ours, or who has it, in words."""
    try:
        return _open(_resolve(listen.hosts), listen.port)
    except _BusyError as busy:
        if busy.reason.errno == errno.EACCES:
            return f"the operating system (this user may not listen on port {listen.port})"
        return holder_in_words(busy.port, host=_reachable(busy.host)) or "a process that could not be found"
    except OSError as error:
        return f"nobody, but cannot be opened: {error.strerror or error}"


def opened(listen: Listen, listeners: Sequence[socket.socket]) -> Listen:
    """Return where the listeners really are: the port that was asked for may have been 0, auto or systemd's."""
    hosts = tuple(_host_of(listener) for listener in listeners)
    return Listen(hosts, listeners[0].getsockname()[1]) if hosts else listen


def _host_of(listener: socket.socket) -> str:
    address = listener.getsockname()
    zone = address[3] if listener.family == socket.AF_INET6 else 0
    return f"{address[0]}%{socket.if_indextoname(zone)}" if zone and "%" not in address[0] else str(address[0])


def _passed_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the sockets that systemd passed; the variables are removed, so that no child believes they are its own."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environ.get("LISTEN_FDS", "0"))
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    listeners = []
    for descriptor in range(LISTEN_FDS_START, LISTEN_FDS_START + count):
        try:
            listener = socket.socket(fileno=descriptor)
        except OSError as error:
            message = f"LISTEN_FDS promises a socket as file {descriptor}, but it is none ({error.strerror})"
            raise OSError(error.errno, message) from error
        listener.set_inheritable(False)
        listener.setblocking(False)
        listeners.append(listener)
    return listeners


def _resolve(hosts: Sequence[str]) -> list[tuple[socket.AddressFamily, str]]:
    """Return family and literal address of each host; a name may have several."""
    found: dict[tuple[socket.AddressFamily, str], None] = {}
    for host in hosts:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except socket.gaierror as error:
            message = f"--listen: {host!r} is not the name or address of an interface of this host ({error.strerror})"
            raise OSError(errno.EADDRNOTAVAIL, message) from error
        for family, _, _, _, address in answers:
            zone = f"%{address[3]}" if len(address) == 4 and address[3] else ""  # of a link-local address
            found[family, f"{str(address[0]).partition('%')[0]}{zone}"] = None
    return list(found)


def _open(addresses: Sequence[tuple[socket.AddressFamily, str]], port: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    try:
        for family, host in addresses:
            listener = _listener(family, host, port)
            if listener is not None:
                listeners.append(listener)
                port = listener.getsockname()[1]
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    if not listeners:
        raise OSError(errno.EADDRNOTAVAIL, f"this host has none of the addresses {[host for _, host in addresses]}")
    return listeners


def _open_on_any(addresses: Sequence[tuple[socket.AddressFamily, str]]) -> list[socket.socket]:
    """Open all addresses on a port that the kernel chooses for the first. Raises PortTaken after 50 tries."""
    for _ in range(TRIES_FOR_A_COMMON_PORT):
        with suppress(_BusyError):
            return _open(addresses, 0)
    raise PortTaken("found no port that is free on all addresses")


def _listener(family: socket.AddressFamily, host: str, port: int) -> socket.socket | None:
    """Bind and listen; None for an IPv6 loopback or wildcard on a host without IPv6."""
    optional = host in {"::1", "::"}
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        if optional:
            return None
        raise
    try:
        _prepare(listener, family)
        # Numbers only: nothing is asked of a name server. A pair would lose the zone of a link-local address.
        listener.bind(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][4])
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if optional and error.errno == errno.EADDRNOTAVAIL:
            return None
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            raise _BusyError(host, port, error) from error
        raise OSError(error.errno, f"cannot listen on {bracketed(host)}:{port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


def _prepare(listener: socket.socket, family: socket.AddressFamily) -> None:
    if sys.platform == "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        # Connections of our former life may be in TIME_WAIT; a listener of somebody else still refuses us.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _taken(host: str, port: int, error: OSError) -> PortTaken:
    if error.errno == errno.EACCES:
        return PortTaken(
            f"this user may not listen on port {port}\n"
            "  take a port from 1024 on, or give ClaraCore the capability CAP_NET_BIND_SERVICE"
        )
    reachable = _reachable(host)
    identity = identify(reachable, port)
    if identity is not None:
        return AlreadyRunning(f"http://{bracketed(reachable)}:{port}", identity.pid)
    who = holder_in_words(port, host=host) or "a process that could not be found"
    return PortTaken(f"port {port} is taken by {who}\n  stop that process, or use --listen {port + 1} or --listen auto")


def _reachable(host: str) -> str:
    """Return where somebody answers who has the port on `host`."""
    # Our listener on :: takes IPv6 only (IPV6_V6ONLY): when that is refused, who has it answers on ::1, and perhaps
    # only there. (A model's server on :: is asked on 127.0.0.1: core/ports/fixed.py.)
    return "127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host  # noqa: S104 - compared


def identify(host: str, port: int) -> Identity | None:
    """Return what a ClaraCore at host:port answers to GET /api/identity; None where none answers within a second."""
    import http.client  # noqa: PLC0415 - only where somebody else is there already

    connection = http.client.HTTPConnection(host, port, timeout=IDENTITY_SECONDS)
    with suppress(OSError, http.client.HTTPException, ValueError):
        try:
            connection.request("GET", "/api/identity", headers={"Accept": "application/json"})
            answer = connection.getresponse()
            body = json.loads(answer.read(65536))
        finally:
            connection.close()
        if answer.status == 200 and isinstance(body, dict) and body.get("name") == "claracore":
            pid = body.get("pid")
            return Identity(pid if isinstance(pid, int) else None)
    return None
