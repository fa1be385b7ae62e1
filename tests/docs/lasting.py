"""Run a verb that goes on until Ctrl-C, until it has shown something; then interrupt it.

`python lasting.py WORDS...`: exit code 0 when it ended as an interrupted verb does.
"""

from __future__ import annotations

import signal
import subprocess
import sys

INTERRUPTED = 130


def main() -> int:
    """Return the exit code."""
    command = [sys.executable, "-m", "claracore", *sys.argv[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        code = process.wait(30)
    if first and code in {0, INTERRUPTED, -signal.SIGINT}:
        return 0
    print(f"{sys.argv[1:]}: exit code {code}\n{(first + rest).decode()}", file=sys.stderr)  # noqa: T201 - it is a program
    return 1


if __name__ == "__main__":
    sys.exit(main())
