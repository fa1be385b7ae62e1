"""How is the process started that is to take the place of this one, and what becomes of this one then?"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NoReturn

from claracore.host import notify
from claracore.host.upgrade.link import PacketLink

logger = logging.getLogger("claracore")

VARIABLE: Final = "CLARACORE_SUCCESSOR"
"""The open file by which a process speaks with the one whose place it is to take."""
GUARDIAN: Final = Path(__file__).with_name("guardian.py")
HELD_BACK: Final = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCHLD")
"""What the guardian passes on, or needs; by name, because not every system has all of them."""


def start_successor() -> tuple[subprocess.Popen[bytes], PacketLink]:
    """Start this program once more, as it was started, and return the process and how to speak with it.

    Its group is its own: Ctrl-C reaches it by us alone, once. Raises OSError.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}
    environ.pop("WATCHDOG_PID", None)
    environ[VARIABLE] = str(theirs.fileno())
    try:
        process = subprocess.Popen(
            [sys.executable, *sys.orig_argv[1:]],
            stdin=subprocess.DEVNULL,
            env=environ,
            pass_fds=(theirs.fileno(),),
            process_group=0,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, PacketLink(ours)


def predecessor(environ: Mapping[str, str] = os.environ) -> socket.socket | None:
    """Return how to speak with the process whose place this one is to take; None when it is to take none.

    What starts from here on is not told.
    """
    number = environ.get(VARIABLE, "")
    if not number.isdigit():
        return None
    os.environ.pop(VARIABLE, None)
    with contextlib.suppress(OSError):
        end = socket.socket(fileno=int(number))
        end.set_inheritable(False)
        return end
    return None


GUARDIAN_SAYS: Final = "import sys; exec(open(int(sys.argv.pop(1))).read())  # guardian of a ClaraCore"


def become_guardian(source: str, link: int, successor: int, servers: Iterable[int], *, stays: bool) -> NoReturn:
    """Become the script `source` (`guardian.py`), with the same pid. Raises OSError; must be the main thread.

    With `stays` it is there for as long as the successor, without only for as long as one of the servers.
    """
    os.set_inheritable(link, True)
    sys.stdout.flush()
    sys.stderr.flush()
    script = os.memfd_create("guardian", 0)  # what `ps` shows of it is a line
    os.write(script, source.encode())
    os.lseek(script, 0, os.SEEK_SET)
    facts = [str(script), str(link), str(successor), str(int(stays)), *map(str, servers)]
    words = [sys.executable, "-I", "-S", "-c", GUARDIAN_SAYS, *facts]
    held_back = [signal.Signals[name] for name in HELD_BACK]
    # It unblocks them as soon as it can pass them on.
    signal.pthread_sigmask(signal.SIG_BLOCK, held_back)
    environ = {name: value for name, value in os.environ.items() if name not in notify.VARIABLES}
    try:
        os.execve(sys.executable, words, environ)  # noqa: S606 - no shell, on purpose
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, held_back)
