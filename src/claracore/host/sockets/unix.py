"""Where is the Unix socket of a model, and who listens on it?

For models with `transport: unix`. The path must fit into sockaddr_un: 107 bytes on Linux, 103 on macOS (unix(7)); a
long state directory therefore falls back to a short one of this user. A path that a dead server left makes the next
bind fail so it is removed, but only when nobody answers there.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import stat
import struct
import sys
from contextlib import suppress
from pathlib import Path

from claracore.errors import PortTaken
from claracore.host.sockets.kinship import kin
from claracore.host.state import make_private, runtime_folder

LONGEST_PATH_BYTES = 107 if sys.platform == "linux" else 103
PROC_UNIX = Path("/proc/self/net/unix")
"""`Num: RefCount Protocol Flags Type St Inode Path`."""
SO_ACCEPTCON = 0x10000
"""Among the flags there: it listens."""
SOL_LOCAL, LOCAL_PEERPID = 0, 2
"""From macOS's sys/un.h."""


def socket_path(folder: Path | None, model_id: str) -> Path:
    """Return a path for the model's socket that ends in `.sock`, fits the kernel's limit and is its own.

    Creates the folder, private to this user; without a `folder`, or when that is too long, it is the one for things of
    this session. Raises OSError when no folder is short enough or safe.
    """
    name = f"{_readable(model_id)}-{hashlib.sha256(model_id.encode()).hexdigest()[:8]}.sock"
    if folder is None or _too_long(folder / name):
        folder = runtime_folder()
    if not _too_long(folder / name):
        make_private(folder)
        return folder / name
    raise OSError(f"no folder for Unix sockets is short enough: {folder}")


def clear_path(path: Path) -> None:
    """Remove what a dead server left at the path. Raises PortTaken when a server answers there, or it is no socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise PortTaken(f"{path} is in the way of a Unix socket and is none itself; remove it")
    if (pid := listener_pid(path)) is not None:
        raise PortTaken(f"a server (pid {pid}) already listens on {path}; stop it")
    path.unlink(missing_ok=True)


def unix_listener_of(path: Path, pid: int) -> int | None:
    """Return the server at the path if it is the process or one of its `kin`, else None.

    The kernel names who listens whatever its user is, so that nothing is hidden.
    """
    listener = listener_pid(path)
    return listener if listener and listener in kin(pid) else None


def listening_at(path: Path) -> frozenset[int] | None:
    """Return the inodes of the sockets that listen under this name (Linux, 0.1 ms); None where it is not told.

    By connecting it would be seen too, but a server that computes accepts nobody for a while, and each look would take
    a place in its queue until that is full.
    """
    if sys.platform != "linux":
        return None
    try:
        text = PROC_UNIX.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, PermissionError):
        return None
    rows = (line.split(maxsplit=7) for line in text.splitlines()[1:])
    name = str(path)
    return frozenset(int(row[6]) for row in rows if row[-1] == name and int(row[3], 16) & SO_ACCEPTCON)


def listener_pid(path: Path) -> int | None:
    """Return the process that called listen() on the socket (SO_PEERCRED, LOCAL_PEERPID); 0 if not told.

    None when nobody listens.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            pass  # its backlog is full: somebody is there
        except OSError:
            return None
        return peer_pid(probe)


def peer_pid(connection: socket.socket) -> int:
    """Return the process that called listen() on the socket that this one is connected to; 0 where it is not told."""
    pid = 0
    with suppress(OSError):
        if sys.platform == "linux":
            pid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        elif sys.platform == "darwin":
            pid = connection.getsockopt(SOL_LOCAL, LOCAL_PEERPID)
    return pid


def _too_long(path: Path) -> bool:
    return len(os.fsencode(path)) > LONGEST_PATH_BYTES


def _readable(model_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", model_id)[:24]
