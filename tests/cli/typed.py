"""How does a test sit at a terminal? A pseudo-terminal, what is typed there, and what is seen."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from claracore.cli.terminal import ESCAPES

WAIT_SECONDS = 60.0


class Typed:
    """One `claracore` on a terminal of its own."""

    def __init__(self, *words: str, env: Mapping[str, str] | None = None) -> None:
        self._screen, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "claracore", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30", **(env or {})},
            start_new_session=True,
        )
        os.close(theirs)
        self.raw = ""
        self._looked = 0

    @property
    def seen(self) -> str:
        """All that was printed, without control sequences."""
        return ESCAPES.sub("", self.raw)

    def type(self, line: str) -> None:
        """Type a line; with a key of its own (`\\x03`) nothing is added."""
        os.write(self._screen, (line if line and line < " " else f"{line}\n").encode())

    def expect(self, text: str) -> None:
        """Wait until `text` is printed after what was expected last."""
        until = time.monotonic() + WAIT_SECONDS
        while self.seen.find(text, self._looked) < 0:
            assert self._more(until), f"no {text!r} in:\n{self.seen[self._looked :]}"
        self._looked = self.seen.find(text, self._looked) + len(text)

    def ended(self) -> int:
        """Read to the end, and return the exit code."""
        until = time.monotonic() + WAIT_SECONDS
        while self._more(until):
            pass
        return self.process.wait(WAIT_SECONDS)

    def _more(self, until: float) -> bool:
        ready, _, _ = select.select([self._screen], [], [], max(0.0, until - time.monotonic()))
        try:
            piece = os.read(self._screen, 65536) if ready else b""
        except OSError:  # EIO: nobody has the terminal open any more
            piece = b""
        self.raw += piece.decode("utf-8", "replace")
        return bool(piece)

    def close(self) -> None:
        """End it, if it has not ended."""
        self.process.kill()
        self.process.wait(WAIT_SECONDS)
        os.close(self._screen)


@contextmanager
def typed(*words: str, env: Mapping[str, str] | None = None) -> Iterator[Typed]:
    """Give a `claracore` on a terminal for the length of a block."""
    one = Typed(*words, env=env)
    try:
        yield one
    finally:
        one.close()
