"""How does the kernel keep a port for us until our child takes it?

A bound socket that never listens receives no connection but keeps everybody else from binding. With SO_REUSEPORT set
*after* the exclusive bind, only a socket that asks for SO_REUSEPORT too, under the same user, may join: our child
(`llama-server --reuse-port`). A stranger's plain or SO_REUSEADDR bind still fails. (tests/sockets/test_kernel_facts.py
asks the kernel for each of these facts.)

The same with SO_REUSEADDR: nearly every server sets it, and it lets several sockets bind as long as none listens. A
child that is known to set it may join then, and is alone as soon as it listens. Between its start and that moment only
a stranger that sets it too can be quicker; for programs that set neither the hold has to be given up.

The hold is on all IPv4 addresses: 127.0.0.1 and 0.0.0.0 conflict both ways, so it covers whatever address
the child chooses and notices a stranger on any of them.
"""

from __future__ import annotations

import errno
import socket
import sys

from claracore.host.sockets.bound import Reuse
from claracore.host.sockets.kernel import sockets_on

if sys.platform != "win32":
    import resource

ANY = "0.0.0.0"  # noqa: S104 - bound to keep others out; it never listens
ASIDE = "127.255.255.254"
"""An address of this machine on which nobody serves."""


def hold(port: int) -> socket.socket:
    """Bind the port exclusively; `admit` then lets a child of ours join.

    Call it under the ledger's lock: the TIME_WAIT variant has a gap in which two claimants could both succeed.
    Raises OSError, EADDRINUSE when somebody has the port.
    """
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        _bind_alone(holder, port)
    except BaseException:
        holder.close()
        raise
    return holder


def system_can_share() -> bool:
    """Whether SO_REUSEPORT lets a child join an exclusive bind; BSD's and macOS's differ, Windows has none."""
    return sys.platform == "linux"


def admit(holder: socket.socket, reuse: Reuse) -> None:
    """Let a child of ours that binds with one of these options join a held port; with NONE, nobody any more."""
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, Reuse.ADDRESS in reuse)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, Reuse.PORT in reuse)


def seal(holder: socket.socket | None, port: int) -> socket.socket | None:
    """Let nobody join any more, not even under the same user; for when the child has bound, held or not.

    Taking SO_REUSEPORT from all sockets there is not enough: the kernel lets a socket of the same user and address in
    without looking at the others as long as the last one to bind had SO_REUSEPORT (fastreuseport in inet_csk_get_port).
    A bind without it, on an address that disturbs nobody, makes it look again. Returns that socket, to be closed before
    the next `admit`; None where there is no such address: the child listens on all addresses of both families.
    """
    if holder is not None:
        admit(holder, Reuse.ADDRESS)
    try:
        plain = _bind_aside(socket.AF_INET6, "::1", port) or _bind_aside(socket.AF_INET, ASIDE, port)
    finally:
        if holder is not None:
            admit(holder, Reuse.NONE)
    if plain is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return plain


def _bind_aside(family: socket.AddressFamily, host: str, port: int) -> socket.socket | None:
    try:
        plain = socket.socket(family)
    except OSError:
        return None
    try:
        if family is socket.AF_INET6:
            plain.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # beside the hold, which listens as little
        plain.bind((host, port))
    except OSError:
        plain.close()
        return None
    return plain


def hold_budget() -> int:
    """Return how many ports may be held: half of the files this process may have open, the rest is for connections."""
    if sys.platform == "win32":
        return 4096
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft // 2 if soft != resource.RLIM_INFINITY else 32768


def _bind_alone(holder: socket.socket, port: int) -> None:
    if sys.platform == "win32":
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    try:
        holder.bind((ANY, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE or sys.platform == "win32" or somebody_on(port, silent=True):
            raise
        # Only remains of finished connections are left (TIME_WAIT), which SO_REUSEADDR passes.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((ANY, port))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)


def somebody_on(port: int, *, silent: bool = False) -> bool:
    """Whether somebody listens where a hold is or would be; with `silent`, or has only bound (our own hold, too)."""
    return any(entry.in_the_way_of(ANY) for entry in sockets_on(port, silent=silent))
