"""Which file is the program that a command names, and why does it not start?"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from claracore.errors import ClaraCoreError


class SpawnFailed(ClaraCoreError):
    """A command could not be started at all; 502, with the command's name and the way out."""

    status = 502
    code = "spawn_failed"
    cause = "The model's command could not be started at all."
    way_out = "Correct its path or rights, as the message says; `engine` and PATH say which llama-server is meant."


WAYS_OUT = {
    errno.ENOENT: "check the path",
    errno.EACCES: "check the rights of its folders, noexec mounts, and the interpreter in its first line",
    errno.EPERM: "the system forbids it; look at security modules and at noexec or nosuid mounts",
    errno.ENOEXEC: "it is not a program for this system; a script needs a first line such as #!/bin/sh",
    errno.ENOTDIR: "a part of its path is not a folder; check the path",
    errno.ELOOP: "links lead in a circle; check the path",
    errno.ENAMETOOLONG: "check the path",
    errno.ETXTBSY: "somebody is writing to it, perhaps an update; try again when that has ended",
    errno.E2BIG: "its arguments and environment are too large together",
    errno.EAGAIN: "this user has too many processes; raise the limit (ulimit -u)",
    errno.ENOMEM: "there is no memory for another process; unload a model",
    errno.EMFILE: "ClaraCore has too many open files; raise the limit (ulimit -n)",
    errno.EIO: "its disk cannot be read",
}

EFFECTIVE: Final = os.access in os.supports_effective_ids
"""access(2) asks for the real user, without capabilities: a service that has some would be denied what it may do."""


def find_program(command: str, env: Mapping[str, str], cwd: str | None) -> str:
    """Return the absolute path that `command` stands for in the child's PATH and folder. Raises SpawnFailed, OSError.

    A path is not looked at much: the kernel knows better than os.access whether we may execute it.
    """
    if cwd is not None and not os.path.exists(cwd) and closed_folder(cwd) is None:  # noqa: PTH110 - these never raise
        raise SpawnFailed(f"cannot start {command!r}: its working folder {cwd!r} does not exist")
    if os.sep in command:
        program = _whole(command, cwd)
        if os.path.isdir(program):  # noqa: PTH112 - as above
            raise SpawnFailed(f"cannot start {command!r}: it is a folder, not a program; name the program inside it")
        return program
    path = env.get("PATH", os.defpath)
    found = shutil.which(command, path=path)
    if found is not None:
        return str(Path(found).absolute())  # not resolve(): programs look at the name they were started by
    there = shutil.which(command, mode=os.F_OK, path=path)
    if there is not None:
        raise SpawnFailed(f"cannot start {command!r}: {there} may not be executed by this user (chmod +x it)")
    raise SpawnFailed(f"cannot start {command!r}: not found on PATH (install it, or write its full path in cmd)")


def spawn_failed(command: str, number: int, cwd: str | None = None) -> SpawnFailed:
    """Say which command failed, why, and what to do."""
    way_out = _seen(_whole(command, cwd), number) or WAYS_OUT.get(number, "")
    return SpawnFailed(f"cannot start {command!r}: {os.strerror(number)}{f' ({way_out})' if way_out else ''}")


def cannot_run(command: str, program: str) -> SpawnFailed | None:
    """Return why a command's program, as `find_program` has it, is sure not to start; None when nothing is known."""
    if not os.path.exists(program):  # noqa: PTH110 - Path's raises where one may not look
        number = errno.EACCES if closed_folder(program) is not None else errno.ENOENT
        return spawn_failed(command, number)
    return None if permitted(program, os.X_OK) else spawn_failed(command, errno.EACCES)


def folder_failed(command: str, number: int, cwd: str) -> SpawnFailed:
    """Say why a command cannot be started in its working folder."""
    closed = closed_folder(cwd) or (cwd if number == errno.EACCES else None)
    way_out = f" (this user may not enter {closed})" if closed is not None else ""
    return SpawnFailed(f"cannot start {command!r}: its working folder {cwd!r}: {os.strerror(number)}{way_out}")


def permitted(path: str | Path, mode: int) -> bool:
    """Whether the kernel would let this process do what `mode` (R_OK, X_OK) says, as it is: with its capabilities."""
    return os.access(path, mode, effective_ids=EFFECTIVE)


def closed_folder(path: str) -> str | None:
    """Return the first folder on the way to a file, links followed, that this user may not enter; None without one."""
    for name in (os.path.abspath(path), os.path.realpath(path)):  # noqa: PTH100 - Path's raises for links in a circle
        for folder in reversed(Path(name).parents):
            if not os.path.isdir(folder):  # noqa: PTH112 - as above
                break
            if not permitted(folder, os.X_OK):
                return str(folder)
    return None


def _whole(command: str, cwd: str | None) -> str:
    return str(Path(cwd or ".").absolute() / command)


def _seen(program: str, number: int) -> str | None:
    """Say what can be seen to be wrong with a program that does not start."""
    if number == errno.ENOENT:
        if os.path.exists(program):  # noqa: PTH110 - Path's raises where one may not look
            return "the interpreter in its first line, or the loader that it was built for, does not exist"
        if os.path.islink(program):  # noqa: PTH114 - as above
            return f"it is a link to {os.readlink(program)}, which does not exist"  # noqa: PTH115 - as above
    if number == errno.EACCES:
        closed = closed_folder(program)
        if closed is not None:
            return f"this user may not enter {closed}; chmod o+x it, or put the program elsewhere"
        if not os.path.isfile(program):  # noqa: PTH113 - as above
            return "it is no file"
        if not permitted(program, os.X_OK):
            return "not executable for this user; chmod +x it"
    return None
