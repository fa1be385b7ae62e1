"""How does one file come from the hub to the disk?

What was fetched before is kept; a failure that may pass is tried again, later each time, and without end as long as
every try brings something. Bytes are written and hashed in a thread, a mebibyte at a time: the loop serves models
meanwhile, and a slow disk slows the sender down.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.reference import Reference
from claracore.errors import Conflict
from claracore.host.library.hub import FileAnswer, HubClient
from claracore.host.library.hub_access import Wait
from claracore.host.library.hub_errors import HubUnreachable, TransientFailure
from claracore.host.library.partial import FolderUnusable, PartialFile, WrongBytes, slices_equal

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
BLOCK_BYTES: Final = 1024 * 1024
BLOCK_SECONDS: Final = 0.5
"""From a slow sender less is written at a time."""

_log = logging.getLogger("claracore.downloads")


@dataclass(frozen=True, slots=True)
class TransferEvents:
    """What a transfer calls, in the event loop, while it goes on."""

    on_bytes: Callable[[int], None]
    """With how many bytes of the file are on the disk."""
    on_checking: Callable[[bool], None]
    """With whether the file is being hashed and not fetched."""
    on_trouble: Callable[[str | None], None]
    """With what it waits for to pass; None when it has passed."""


@dataclass(frozen=True, slots=True)
class Job:
    """One file of the hub, and where it is to be."""

    reference: Reference
    remote: RemoteFile
    path: Path


async def fetch(hub: HubClient, job: Job, events: TransferEvents, wait: Wait) -> bool:
    """Fetch the file to its place; return False when it was there already.

    Raises Conflict when another file is there, WrongBytes, DiskFull, FolderUnusable and whatever the hub says.
    """
    try:
        return await _fetch(hub, job, events, wait)
    except OSError as error:
        raise FolderUnusable(f"{job.path} cannot be used: {error.strerror or error}") from error


async def _fetch(hub: HubClient, job: Job, events: TransferEvents, wait: Wait) -> bool:
    if await asyncio.to_thread(job.path.exists):
        await _compare(job.path, await _with_digest(hub, job), events)
        return False
    part = await asyncio.to_thread(PartialFile, job.path, job.remote)
    try:
        await _take_over(part, events)
        resumed = part.size > 0
        try:
            await _fetch_rest(hub, job, part, events, wait)
        except WrongBytes:
            # What an earlier attempt had left may be of an older version of the file.
            if not resumed:
                raise
            await asyncio.to_thread(part.start_over)
            await _fetch_rest(hub, job, part, events, wait)
    finally:
        # In a thread: it waits for a write, or for the disk to take all of a large file. Also when we are cancelled.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, part.close))
    return True


async def _with_digest(hub: HubClient, job: Job) -> RemoteFile:
    """Return the file with what is to be known of its contents. Raises whatever the hub says."""
    has_one = job.remote.sha256 is not None or job.remote.blob is not None
    return job.remote if has_one else replace(job.remote, sha256=await hub.sha256(job.reference, job.remote))


async def _compare(path: Path, remote: RemoteFile, events: TransferEvents) -> None:
    """Hash a file that is there. Raises Conflict when it is not the one that is wanted."""
    events.on_checking(True)
    keep_going = threading.Event()
    keep_going.set()
    try:
        size = (await asyncio.to_thread(path.stat)).st_size
        same = size == remote.size and await asyncio.to_thread(slices_equal, path, remote, keep_going)
    finally:
        keep_going.clear()
        events.on_checking(False)
    if not same:
        raise Conflict(f"{path} is there already and is another file; move it away, or choose another folder")
    events.on_bytes(remote.size)


async def _take_over(part: PartialFile, events: TransferEvents) -> None:
    """Hash what an earlier attempt has left."""
    while await asyncio.to_thread(part.take_over):
        events.on_checking(True)
    events.on_checking(False)
    events.on_bytes(part.size)


async def _fetch_rest(hub: HubClient, job: Job, part: PartialFile, events: TransferEvents, wait: Wait) -> None:
    """Fetch what is missing, in as many tries as it takes, and finish the part."""
    tries, remote = 0, job.remote
    while True:
        before = part.size
        try:
            if not part.is_whole or remote.size == 0:
                await _once(hub, job, part, events)
            if not part.is_whole:
                raise TransientFailure(f"{remote.path}: the answer ended {remote.size - part.size:,} bytes early")  # noqa: TRY301 - the same reaction
            part.expect((await _with_digest(hub, job)).sha256)
        except TransientFailure as error:
            tries = 1 if part.size > before else tries + 1
            if tries >= hub.tries:
                raise
            pause = error.retry_after_seconds
            if pause is None:
                pause = min(FIRST_PAUSE_SECONDS * 2 ** (tries - 1), LONGEST_PAUSE_SECONDS)
            _log.info("%s; trying again in %g s", error, pause)
            events.on_trouble(error.message)
            await wait(pause)
        else:
            break
    events.on_trouble(None)
    await asyncio.to_thread(part.finish)


async def _once(hub: HubClient, job: Job, part: PartialFile, events: TransferEvents) -> None:
    """Fetch what is missing in one request, and write it. Raises TransientFailure, HubUnreachable, DiskFull."""
    remote = job.remote
    async with hub.file(job.reference, remote, start=part.size) as answer:
        _check(answer, remote)
        if answer.start != part.size:
            if answer.start != 0:
                raise HubUnreachable(f"{remote.path}: bytes from {part.size:,} on were wanted, others came")
            await asyncio.to_thread(part.start_over)
            events.on_bytes(0)
        events.on_trouble(None)
        await _write(answer, part, events)


async def _write(answer: FileAnswer, part: PartialFile, events: TransferEvents) -> None:
    """Write in blocks; what has come before a failure is kept."""
    block = bytearray()
    clock = asyncio.get_running_loop().time
    due = clock() + BLOCK_SECONDS
    try:
        async for chunk in answer.chunks:
            block += chunk
            if len(block) >= BLOCK_BYTES or clock() >= due:
                data, block, due = bytes(block), bytearray(), clock() + BLOCK_SECONDS
                await asyncio.to_thread(part.write, data)
                events.on_bytes(part.size)
    except TransientFailure:
        await asyncio.to_thread(part.write, bytes(block))
        events.on_bytes(part.size)
        raise
    await asyncio.to_thread(part.write, bytes(block))
    events.on_bytes(part.size)


def _check(answer: FileAnswer, remote: RemoteFile) -> None:
    """Refuse a file that is not the one that was listed. Raises HubUnreachable."""
    other_size = answer.size is not None and answer.size != remote.size
    names_contents = answer.etag is not None and remote.sha256 is not None and len(answer.etag) == len(remote.sha256)
    if other_size or (names_contents and answer.etag != remote.sha256):
        raise HubUnreachable(f"{remote.path} has changed since it was listed; cancel and start again")
