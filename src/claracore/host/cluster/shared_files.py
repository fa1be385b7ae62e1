"""Which files does this machine give to others of its cluster, and are they still what was announced?

Only files of models that are shared, each by its name. A name is looked up and never made a path of; the file is opened
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
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from claracore.core.cluster.model import Fit, NodeModel
from claracore.core.cluster.part import SharedFile
from claracore.core.cluster.wanted import HEADER_BYTES
from claracore.errors import ClaraCoreError, Conflict, NotFound
from claracore.host.cluster.digesting import Digesting
from claracore.host.cluster.relaying import FileRelay, NoGiver

GGUF: Final = b"GGUF"


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


RelayFile = Callable[[SharedFile, int, int], Awaitable[FileRelay]]


async def _no_relay(file: SharedFile, begin: int, end: int) -> FileRelay:
    del begin, end
    raise NoGiver(f"{file.name} is not here")


class SharedFiles:
    """The files that are given."""

    def __init__(self) -> None:
        self.secrets: Mapping[str, str] | None = None
        """One of each machine that has joined, by its name: with it, it is let in. None: not known yet."""
        self.is_meant: Callable[[str, str], bool] = lambda _machine, _file: True
        """Whether a file is meant for a machine, both by name. May raise FilesNotKnown."""
        self.on_change: Callable[[], None] = lambda: None
        """Called, once for each announcement, when a file is found to be another one than was announced."""
        self.relay: RelayFile = _no_relay
        """Begins to read a range of a file that another machine has."""
        self._has_told = False
        self._files: dict[str, tuple[SharedFile, Path]] | None = None
        self._elsewhere: Mapping[str, tuple[SharedFile, ...]] = {}
        """By model: its files that another machine has."""
        self._digests: dict[tuple[str, str], asyncio.Task[str]] = {}
        """By real path and version."""
        self._digesting = Digesting()
        self._reading: dict[Path, asyncio.Task[None]] = {}

    def machine_of(self, secret: str) -> str | None:
        """Return which machine that has joined has this secret; None for nobody. Raises FilesNotKnown."""
        if self.secrets is None:
            raise FilesNotKnown
        given = secret.encode("utf-8", "surrogatepass")
        found = [name for name, each in self.secrets.items() if hmac.compare_digest(each.encode(), given)]
        return found[0] if found else None

    def check_meant(self, machine: str, name: str) -> None:
        """Raise NotFound for a file that is not among those that a machine is to have; FilesNotKnown."""
        if not self.is_meant(machine, name):
            raise _no_such(name)

    def share(
        self, files: Mapping[SharedFile, Path], elsewhere: Mapping[str, tuple[SharedFile, ...]] | None = None
    ) -> None:
        """Give these files from now on, and no others; those of `elsewhere`, by model, another machine has."""
        self._has_told = False
        self._elsewhere = elsewhere or {}
        self._files = {file.name: (file, path) for file, path in files.items()}

    def elsewhere(self, name: str) -> SharedFile | None:
        """Return a file that another machine has; None for any other."""
        return next((file for files in self._elsewhere.values() for file in files if file.name == name), None)

    def lacking(self, model_id: str) -> NodeModel | None:
        """Return how a model is of which only other machines have files; None for any other."""
        files = self._elsewhere.get(model_id, ())
        missing = [file.name for file in files if not os.path.exists(file.path)]  # noqa: PTH110 - for each request
        why = f"{', '.join(missing)}: not here, but on a machine that has joined"
        return NodeModel(model_id, fit=Fit.NEVER, why=why) if missing else None

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

    @property
    def reads(self) -> Iterable[asyncio.Task[None]]:
        """What is being read for its checksum."""
        return tuple(self._reading.values())

    def read_soon(self, name: str) -> None:
        """Work out the checksum of a file that somebody fetches: he asks for it when he has it all."""
        file, path = self._known(name)
        if not file.sha256 and path not in self._reading:
            self._reading[path] = task = asyncio.ensure_future(self._read_quietly(name))
            task.add_done_callback(lambda _task: self._reading.pop(path, None))

    def digest_known(self, name: str, version: str) -> str:
        """Return the checksum of this version of a file; empty where it is not known yet."""
        file, path = self._known(name)
        task = self._digests.get((str(path), version))
        is_read = task is not None and task.done() and not task.cancelled() and task.exception() is None
        return file.sha256 or (task.result() if task is not None and is_read else "")

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
            raise _no_such(name) from None


def _no_such(name: str) -> NotFound:
    return NotFound(f"no model that is shared has a file {name[:200]!r}")


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
    return OpenedFile(descriptor, status.st_size, _version(status))


def _version(status: os.stat_result) -> str:
    marks = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return hashlib.sha256(repr(marks).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What a file is at this moment."""

    size: int
    beginning: bytes
    """Its first HEADER_BYTES."""
    version: str
    """As `OpenedFile.version`."""

    @property
    def header(self) -> str:
        """The SHA-256 of its beginning, as hex."""
        return hashlib.sha256(self.beginning).hexdigest()


def looked_at(path: Path, roots: Iterable[PurePath]) -> LookedAt:
    """Look at a file that is to be given, at what was looked at and nothing else. Blocking. Raises OSError.

    A link out of the folders of models (`roots`) has to lead to a model, and so has a file with a second name: whoever
    may write into such a folder could have us give away a file that he cannot read himself.
    """
    straight = str(Path(os.path.realpath(path.parent), path.name))
    real = os.path.realpath(straight)  # what is opened, and what is judged: a link may be another one by then
    descriptor = open_straight(real)
    try:
        status, beginning = os.fstat(descriptor), os.pread(descriptor, HEADER_BYTES, 0)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is no file")
    is_inside = any(PurePath(real).is_relative_to(os.path.realpath(root)) for root in roots)
    is_elsewhere = status.st_nlink > 1 or (real != straight and not is_inside)
    if is_elsewhere and not beginning.startswith(GGUF):
        raise OSError(f"{path} is no model, and only a link to a file that is known elsewhere")
    return LookedAt(status.st_size, beginning, _version(status))


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
