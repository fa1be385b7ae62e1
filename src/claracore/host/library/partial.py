"""How is a file written so that it is either complete and right, or visibly unfinished?

Bytes go to `NAME.gguf.part`, which no scan takes for a model, and are hashed as they go. What an earlier attempt has
left is kept and hashed first. Only when size and digest are what the hub has announced is the part renamed. Blocking;
each call is short, so that whoever waits for the lock (to close it) does not wait long.
"""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.plan import part_of
from claracore.errors import FULL, ClaraCoreError, Conflict, DiskFull, disk_full
from claracore.host.disk import finish
from claracore.host.locks import FileLock

SLICE_BYTES: Final = 8 * 1024 * 1024


class FolderUnusable(ClaraCoreError):
    """The download folder cannot be written to."""

    status = 409
    type = "invalid_request_error"
    code = "folder_unusable"
    cause = "The folder for downloads cannot be made or written to."
    way_out = "Correct its rights, or choose another one: `downloadDir`, `claracore pull --to`."


class WrongBytes(ClaraCoreError):
    """The bytes are not those that the hub has announced; 502."""

    status = 502
    code = "wrong_bytes"
    cause = "The file that came is not the one that the hub has announced; it is not used."
    way_out = "Fetch it again; if it happens again, a proxy on the way changes it."


class Digest(Protocol):
    """A running hash."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""

    def hexdigest(self) -> str:
        """Return the hash so far."""


def digest_for(remote: RemoteFile) -> tuple[Digest, str | None]:
    """Return a hash of the kind by which the hub names the file's content, and its value; None where it gives none."""
    if remote.sha256 is None and remote.blob is not None:
        return hashlib.sha1(b"blob %d\0" % remote.size, usedforsecurity=False), remote.blob
    return hashlib.sha256(), remote.sha256


class PartialFile:
    """A file that is being fetched. One at a time writes to it, whichever process that is."""

    def __init__(self, path: Path, remote: RemoteFile) -> None:
        """Open what an earlier attempt has left, or a new file.

        Raises Conflict when another process has it, FolderUnusable.
        """
        self.path = path
        self.part = path.with_name(part_of(path))
        self._remote = remote
        self._busy = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.part.touch()  # so that it has the permissions of any new file; a lock's are for its owner only
            self._lock = FileLock(self.part)
        except OSError as error:
            raise _refused(self.part, error) from error
        if not self._lock.acquire(0):
            self._lock.close()
            raise Conflict(f"{self.part} is being downloaded by another ClaraCore")
        self._file = self.part.open("r+b", buffering=0)
        self.size = 0
        """Bytes that are on the disk and in the digest."""
        self._digest, self._expected = digest_for(remote)

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are there; whether they are the right ones `finish` says."""
        return self.size == self._remote.size

    def expect(self, sha256: str | None) -> None:
        """Note what the SHA-256 is to be of a file that was listed without a digest."""
        if self._expected is None and sha256 is not None:
            self._remote = replace(self._remote, sha256=sha256)
            self._expected = sha256

    def take_over(self) -> bool:
        """Hash some more of what an earlier attempt has left; return whether there is more to hash."""
        with self._busy:
            data = self._file.read(SLICE_BYTES)
            self._digest.update(data)
            self.size += len(data)
            if self.size > self._remote.size:
                self._start_over()
                return False
            return bool(data)

    def write(self, data: bytes) -> None:
        """Add bytes. Raises DiskFull, WrongBytes when they are more than there should be."""
        with self._busy:
            if self.size + len(data) > self._remote.size:
                raise WrongBytes(f"{self._remote.path}: more bytes came than the {self._remote.size:,} announced")
            try:
                view = memoryview(data)
                while view:
                    view = view[self._put(view) :]
            except OSError as error:
                self._back_to_known()
                raise _refused(self.part, error) from error
            self._digest.update(data)
            self.size += len(data)

    def _put(self, data: memoryview) -> int:
        """Write to the disk; return how much of it was taken."""
        return self._file.write(data)

    def start_over(self) -> None:
        """Empty the file."""
        with self._busy:
            self._start_over()

    def _start_over(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.size = 0
        self._digest, self._expected = digest_for(self._remote)

    def _back_to_known(self) -> None:
        """Forget what was written only in part, so that size, digest and file agree."""
        self._file.seek(self.size)
        self._file.truncate()

    def finish(self) -> None:
        """Rename the part if it is what was announced; otherwise it is thrown away. Raises WrongBytes."""
        with self._busy:
            if self._expected is not None and self._digest.hexdigest() != self._expected:
                self._start_over()
                raise WrongBytes(
                    f"{self._remote.path}: the bytes are not those that were announced (checksum "
                    f"{self._expected[:12]}...); they were thrown away"
                )
            try:
                finish(self._file, self.part, self.path)
            except OSError as error:
                raise _refused(self.part, error) from error

    def close(self) -> None:
        """Close and unlock the file, which stays, unless it is empty."""
        with self._busy:
            if self.size == 0 and not self._file.closed and os.fstat(self._file.fileno()).st_size == 0:
                self.part.unlink(missing_ok=True)
            self._file.close()
            self._lock.close()


def _refused(path: Path, error: OSError) -> ClaraCoreError:
    if error.errno in FULL:
        return DiskFull(f"no space is left for {path.name} in {path.parent}; make room, then resume the download")
    return disk_full(path, error) or FolderUnusable(f"{path.parent} cannot be written to: {error.strerror or error}")


def slices_equal(path: Path, remote: RemoteFile, keep_going: threading.Event) -> bool:
    """Whether a file that is there is the one on the hub; stops early (False) when `keep_going` is cleared."""
    digest, expected = digest_for(remote)
    with path.open("rb", buffering=0) as file:
        while keep_going.is_set() and (data := file.read(SLICE_BYTES)):
            digest.update(data)
    return expected is None or digest.hexdigest() == expected
