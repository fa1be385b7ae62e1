"""How do the process that was ClaraCore and the one that is to be speak with each other?

Messages over a pair of Unix sockets that only the two have: nobody else can join, so there is nobody to keep out. A
message is one packet (SOCK_SEQPACKET): JSON, and open files beside it (SCM_RIGHTS, unix(7)), which the receiver has as
its own.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

PROTOCOL: Final = 1
"""Two processes that do not speak the same one cannot follow each other without a pause."""
MOST_FILES: Final = 200
"""In one message; the kernel takes 253 (SCM_MAX_FD)."""
LARGEST_BYTES: Final = 190_000
"""Of one message: what net.core.wmem_default allows, less what the kernel adds."""


class LinkEnded(Exception):
    """The other process has closed its end, or is gone."""


class TooLarge(Exception):
    """A message is larger than a packet can be."""


@dataclass(frozen=True, slots=True)
class Message:
    """What the other process says; whoever gets it closes its files."""

    kind: str
    body: Any = None
    """Of whatever JSON has."""
    files: tuple[int, ...] = ()


@dataclass(slots=True)
class _Packet:
    data: bytes
    files: Sequence[int] = field(default_factory=tuple)

    def close(self) -> None:
        for each in self.files:
            os.close(each)


class PacketLink:
    """One end; reads and writes in the running loop, and waits for nobody."""

    def __init__(self, end: socket.socket, *, hears: bool = True) -> None:
        """With `hears` False nothing is read: another process has this end, too, and reads."""
        end.setblocking(False)
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._out: deque[_Packet] = deque()
        self._in: deque[Message] = deque()
        self._news: asyncio.Future[None] | None = None
        self._hear: Callable[[Message], None] | None = None
        self._on_end: Callable[[], None] = lambda: None
        self.ended = False
        """Whether nothing more comes, and nothing more arrives there."""
        if hears:
            self._loop.add_reader(end.fileno(), self._read)

    def fileno(self) -> int:
        """Return the number of the open file."""
        return self._end.fileno()

    def send(self, kind: str, body: object = None, files: Iterable[int] = ()) -> None:
        """Say something; the files stay open here as well. Raises TooLarge. To one that has ended it is lost."""
        data = msgspec.json.encode([kind, body])
        if len(data) > LARGEST_BYTES:
            raise TooLarge(f"{kind} of {len(data)} bytes")
        if self.ended:
            return
        self._out.append(_Packet(data, [os.dup(each) for each in files]))
        if len(self._out) == 1:
            self._write()

    async def next(self) -> Message:
        """Return what the other says next. Raises LinkEnded."""
        while not self._in:
            if self.ended:
                raise LinkEnded
            self._news = self._loop.create_future()
            await self._news
        return self._in.popleft()

    async def next_of(self, *kinds: str) -> Message:
        """Return what the other says next, if it is of one of these kinds. Raises LinkEnded, also for any other."""
        message = await self.next()
        if message.kind not in kinds:
            raise LinkEnded(f"{message.kind} was not expected")
        return message

    def follow(self, hear: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        """Have every message from now on heard by `hear`, and the end by `on_end`; both must not raise."""
        self._hear, self._on_end = hear, on_end
        while self._in:
            hear(self._in.popleft())
        if self.ended:
            on_end()

    def close(self) -> None:
        """Close this end; what was not sent yet is lost. Again does nothing."""
        if self._end.fileno() >= 0:
            self._loop.remove_reader(self._end.fileno())
            self._loop.remove_writer(self._end.fileno())
            self._end.close()
        self.ended = True
        while self._out:
            self._out.popleft().close()
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def detach(self) -> int:
        """Return the open file, which this object forgets, when all that was said is sent; blocks for that."""
        self._loop.remove_reader(self._end.fileno())
        self._loop.remove_writer(self._end.fileno())
        self._end.setblocking(True)
        self._write()
        return self._end.detach()

    def _write(self) -> None:
        while self._out:
            packet = self._out[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", packet.files))] if packet.files else []
            try:
                self._end.sendmsg([packet.data], rights, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                self._loop.add_writer(self._end.fileno(), self._write)
                return
            except OSError:
                self._over()
                return
            self._out.popleft().close()
        if self._end.fileno() >= 0:
            self._loop.remove_writer(self._end.fileno())

    def _read(self) -> None:
        rights_bytes = socket.CMSG_SPACE(MOST_FILES * array.array("i").itemsize)
        try:
            data, rights, _, _ = self._end.recvmsg(LARGEST_BYTES + 1024, rights_bytes, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, rights = b"", []
        if not data:
            self._over()
            return
        files = array.array("i")
        for _, _, content in rights:
            files.frombytes(content[: len(content) - len(content) % files.itemsize])
        kind, body = msgspec.json.decode(data)
        message = Message(kind, body, tuple(files))
        if self._hear is not None:
            self._hear(message)
            return
        self._in.append(message)
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _over(self) -> None:
        was_over = self.ended
        self.close()
        if not was_over:
            self._on_end()


def close_files(files: Iterable[int]) -> None:
    """Close files that came with a message and that nobody wants."""
    for each in files:
        with contextlib.suppress(OSError):
            os.close(each)
