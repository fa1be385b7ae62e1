"""Run a ClaraCore as a page says, until it is ready; then end it.

`python served.py WORDS...`: its port is any that is free. Exit code 0 when it became ready and ended as it should.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

WAIT_SECONDS = 60


def elsewhere(words: list[str]) -> list[str]:
    """Return the words with any free port of this machine to listen on."""
    kept = list(words)
    if "--listen" in kept:
        kept[kept.index("--listen") + 1] = "127.0.0.1:0"
        return kept
    return [*kept, "--listen", "127.0.0.1:0"]


def main() -> int:
    """Return the exit code."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as news:
        news.bind(str(Path(folder) / "notify"))
        news.settimeout(WAIT_SECONDS)
        environment = {**os.environ, "NOTIFY_SOCKET": str(Path(folder) / "notify"), "XDG_STATE_HOME": folder}
        command = [sys.executable, "-m", "claracore", *elsewhere(sys.argv[1:])]
        with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL) as process:
            ready = False
            try:
                while not ready:
                    ready = b"READY=1" in news.recv(4096)
            finally:
                process.send_signal(signal.SIGTERM)
            return process.wait(WAIT_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
