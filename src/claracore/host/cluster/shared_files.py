"""Which files does this machine give to those that have joined it, and are they still what was announced?

Only files of models that it shares, each by its name. A name is looked up and never made a path of; the file is opened
without following a link at its end, and its size and header must be those that were announced: whoever swaps it for
another one, or for a link to it, gets nothing of that out.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from claracore.core.cluster.part import SharedFile
from claracore.core.cluster.wanted import HEADER_BYTES
from claracore.errors import ClaraCoreError, Conflict, NotFound
from claracore.host.cluster.digesting import Digesting


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file that is given; who has it closes `descriptor`."""

    descriptor: int
    size: int
    version: str
    """Another one for another content, as far as `stat` knows: an ETag."""


class FileChanged(Conflict):
    """A shared file is another one than was announced; 409."""

    code = "shared_file_changed"
    cause = "A file of a shared model is another one by now than the nodes were told of."
    way_out = "Nothing to do: nodes are told of the new one; if not, `claracore config reload` on the head."


class FilesNotKnown(ClaraCoreError):
    """Which files are shared, and with whom, is still being found out; 503."""

    status = 503
    code = "shared_files_not_known"
    cause = "ClaraCore has only just been started, and is still finding out which files its models share."
    way_out = "Nothing to do: nodes ask again."

    def __init__(self) -> None:
        super().__init__("which files are shared is still being found out", retry_after_seconds=1)


class SharedFiles:
    """The files that are given."""

    def __init__(self) -> None:
        self.secrets: tuple[str, ...] | None = None
        """One of each machine that has joined: with any of these somebody is let in. None: not known yet."""
        self.on_change: Callable[[], None] = lambda: None
        """Called, once for each announcement, when a file is found to be another one than was announced."""
        self._has_told = False
        self._files: dict[str, tuple[SharedFile, Path]] | None = None
        self._digests: dict[tuple[str, str], asyncio.Task[str]] = {}
        """By real path and version."""
        self._digesting = Digesting()
        self._reading: dict[Path, asyncio.Task[None]] = {}

    def lets_in(self, secret: str) -> bool:
        """Whether this is the secret of a machine that has joined. Raises FilesNotKnown."""
        if self.secrets is None:
            raise FilesNotKnown
        given = secret.encode("utf-8", "surrogatepass")
        return any(hmac.compare_digest(each.encode(), given) for each in self.secrets)

    def share(self, files: Mapping[SharedFile, Path]) -> None:
        """Give these files from now on, and no others."""
        self._has_told = False
        self._files = {file.name: (file, path) for file, path in files.items()}

    async def open(self, name: str) -> OpenedFile:
        """Open a file. Raises NotFound, FileChanged."""
        file, path = self._known(name)
        try:
            return await asyncio.to_thread(opened, path, file)
        except FileChanged:
            if not self._has_told:
                self._has_told = True
                self.on_change()
            raise
        except OSError as error:
            raise NotFound(f"{name} cannot be read here: {error.strerror or error}") from error

    def read_soon(self, name: str) -> None:
        """Work out the checksum of a file that somebody fetches: he asks for it when he has it all."""
        file, path = self._known(name)
        if not file.sha256 and path not in self._reading:
            self._reading[path] = task = asyncio.ensure_future(self._read_quietly(name))
            task.add_done_callback(lambda _task: self._reading.pop(path, None))

    async def _read_quietly(self, name: str) -> None:
        with contextlib.suppress(ClaraCoreError, OSError):  # who asks for it is told
            await self.sha256(name)

    async def sha256(self, name: str) -> str:
        """Return the checksum of a file, which is read for it once. Raises NotFound, FileChanged, OSError."""
        file, path = self._known(name)
        found = await self.open(name)
        key = (str(path), found.version)
        if key not in self._digests:
            self._digests[key] = task = asyncio.ensure_future(self._digest(file, found.descriptor))
            task.add_done_callback(lambda task: self._forget_failed(key, task))
        else:
            os.close(found.descriptor)
        return await asyncio.shield(self._digests[key])

    async def _digest(self, file: SharedFile, descriptor: int) -> str:
        """Return the checksum of an open file, which is closed."""
        try:
            return file.sha256 or await self._digesting.sha256(descriptor)
        finally:
            os.close(descriptor)

    def _forget_failed(self, key: tuple[str, str], task: asyncio.Task[str]) -> None:
        if task.cancelled() or task.exception() is not None:
            del self._digests[key]

    def _known(self, name: str) -> tuple[SharedFile, Path]:
        if self._files is None:
            raise FilesNotKnown
        try:
            return self._files[name]
        except KeyError:
            raise NotFound(f"no model that is shared has a file {name[:200]!r}") from None


def open_straight(real: str) -> int:
    """Open a file for reading, but no link in its place, and without waiting for a pipe. Raises OSError."""
    return os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def opened(path: Path, file: SharedFile) -> OpenedFile:
    """Open a file that is to be this one. Raises OSError, FileChanged."""
    real = os.path.realpath(path)
    descriptor = open_straight(real)
    try:
        status = os.fstat(descriptor)
        _check(descriptor, status, file)
    except BaseException:
        os.close(descriptor)
        raise
    marks = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return OpenedFile(descriptor, status.st_size, hashlib.sha256(repr(marks).encode()).hexdigest()[:32])


def _check(descriptor: int, status: os.stat_result, file: SharedFile) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise FileChanged(f"{file.name} is no file any more")
    header = hashlib.sha256(os.pread(descriptor, HEADER_BYTES, 0)).hexdigest()
    if (status.st_size, header) != (file.size, file.header):
        raise FileChanged(f"{file.name} is another file than the one that was announced")


def header_of(path: Path | str) -> str:
    """Return the SHA-256 of a file's first HEADER_BYTES. Blocking. Raises OSError."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - one string per file
        return hashlib.sha256(file.read(HEADER_BYTES)).hexdigest()
