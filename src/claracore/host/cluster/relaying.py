"""How does a range of a file come through this machine from one that has it?

As fast as it is taken, a piece at a time: nothing is kept. When the machine that gives it goes, the next that has the
same file goes on behind the last byte; which version is meant stands in the address, so that it cannot be another one.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from claracore.errors import ClaraCoreError

if TYPE_CHECKING:
    import httpx2

    from claracore.core.config.routing import PeerConfig

CONNECT_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 20.0
"""A machine that gives nothing for so long is left for the next one."""
RETRY_AFTER_SECONDS: Final = 5
WHOLE: Final = 200
PART: Final = 206

logger = logging.getLogger("claracore.cluster")


class NoGiver(ClaraCoreError):
    """No machine that has a file gives it now; 503."""

    status = 503
    code = "no_giver"
    cause = "A file of a shared model is not on the head, and the machines that have it are away."
    way_out = "Nothing to do when they come back: nodes ask again. `claracore nodes` says which machines are there."


@dataclass(frozen=True, slots=True)
class Giver:
    """A machine that has a file."""

    name: str
    peer: PeerConfig
    path: str
    """Where it has it: a path of its API."""


class FileRelay:
    """One range of one file, from one machine after the other. Whoever has it closes it with `aclose`."""

    def __init__(self, file: str, givers: Sequence[Giver], begin: int, end: int) -> None:
        self._file = file
        self._left = list(givers)
        self._at = begin
        self._end = end
        self._answer: httpx2.Response | None = None
        self._stack = AsyncExitStack()
        self._why = "no machine that has it is there"

    async def open(self) -> None:
        """Have the next machine give it. Raises NoGiver where there is none."""
        import httpx2  # noqa: PLC0415 - takes a while

        await self.aclose()
        while self._left:
            giver = self._left.pop(0)
            try:
                self._answer = await self._asked(giver)
            except (httpx2.HTTPError, OSError, ValueError) as error:
                self._why = f"{giver.name}: {error or type(error).__name__}"
                await self.aclose()
            else:
                return
        raise NoGiver(
            f"{self._file} is not on the head, and nobody gives it ({self._why})",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )

    async def _asked(self, giver: Giver) -> httpx2.Response:
        """Return the answer of a machine that gives what is left. Raises HTTPError, OSError, ValueError."""
        import httpx2  # noqa: PLC0415 - takes a while

        from claracore.host.cluster.polled import client_of  # noqa: PLC0415 - as above

        client = await self._stack.enter_async_context(await client_of(giver.peer))
        timeout = httpx2.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS)
        asked = {"Range": f"bytes={self._at}-{self._end - 1}", "Accept-Encoding": "identity"}
        answer = await self._stack.enter_async_context(client.stream("GET", giver.path, headers=asked, timeout=timeout))
        is_range = answer.headers.get("content-range", "").startswith(f"bytes {self._at}-")
        is_whole = self._at == 0 and answer.headers.get("content-length") == str(self._end)
        if (answer.status_code, True) not in {(PART, is_range), (WHOLE, is_whole)}:
            raise ValueError(f"it answers {answer.status_code}")
        return answer

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the bytes. Raises NoGiver where they end too early."""
        import httpx2  # noqa: PLC0415 - takes a while

        while self._at < self._end:
            why = "it has ended too early"
            try:
                async for piece in self._opened.aiter_raw():
                    self._at += len(piece)
                    if self._at > self._end:
                        raise NoGiver(f"{self._file} comes longer than it is")
                    yield piece
            except (httpx2.HTTPError, OSError) as error:
                why = str(error) or type(error).__name__
            if self._at < self._end:
                logger.info("%s breaks off at %s of %s bytes: %s", self._file, self._at, self._end, why)
                await self.open()

    @property
    def _opened(self) -> httpx2.Response:
        if self._answer is None:
            raise NoGiver(f"{self._file} is read no more")
        return self._answer

    async def aclose(self) -> None:
        """Hang up."""
        self._answer = None
        await self._stack.aclose()
