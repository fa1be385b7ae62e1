"""What have the ClaraCores of this user on this host given out, and what did dead ones leave behind?

One folder for all instances of a user, whatever configuration or state directory they use; in it one folder for each
network namespace (port spaces are per namespace), in that two files for each instance:

    TOKEN.lock   locked for as long as the instance lives; the kernel frees it, however the instance ends
    TOKEN.N.json its pid, its web address, the ports it gave to models, the children it started

An instance whose lock can be taken is dead: its ports are free again, its children are orphans (`orphans.py`).
Changes to files and binds happen under one more lock, so nobody decides on what is just changing. An instance that is
frozen while it has this lock keeps the others waiting once, for PATIENCE_SECONDS; then they go on without it: the
kernel still gives a port to one of them only, and readiness still needs our own child. Nothing here is fsynced: it has
to survive the death of a process, and after the death of the machine the folder is another one. Each change is a new
file N, after which the former is removed: renaming one over the other costs 4 ms on ext4, which then writes the data
out (ext4(5), auto_da_alloc), this 0.04 ms, on the path of every start.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claracore.host.disk import private_folder
from claracore.host.engines.container_runtimes import remove_all_of
from claracore.host.locks import FileLock, locked
from claracore.host.sockets.kernel import network_namespace, process_start
from claracore.host.sockets.orphans import Orphan, end_orphans
from claracore.host.sockets.processes import Process
from claracore.host.state import default_state_dir, make_private, runtime_folder, why_unusable

logger = logging.getLogger("claracore.ports")

PATIENCE_SECONDS = 2.0
"""The lock is meant to be held for well under a millisecond, and for some when hundreds of ports are taken."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A living ClaraCore: its pid, its web address as far as it said so, and the model of each port it has."""

    pid: int
    url: str
    leases: Mapping[int, str]
    children: tuple[int, ...] = ()
    """The processes of its models, as far as it wrote them down."""

    def __str__(self) -> str:
        return f"ClaraCore (pid {self.pid}{f', {self.url}' if self.url else ''})"


@dataclass(frozen=True, slots=True)
class GivenEntry:
    """The entry of an instance that goes on in another process, with its lock as an open file."""

    token: str
    written: int
    runs: int
    leases: Mapping[int, str]
    children: tuple[Mapping[str, Any], ...]
    lock: int | None
    runtimes: tuple[str, ...] = ()


def default_folder(state_dir: Path | None) -> Path | None:
    """Return the folder that all instances of this user share; None when there is no place for one.

    It is in the user's state folder, else in `state_dir`, else where the things of this session are.
    """
    for folder in (default_state_dir(), state_dir):
        if folder is not None and why_unusable(folder / "ports") is None:
            return folder / "ports"
    with suppress(OSError):
        folder = runtime_folder()
        make_private(folder)
        return folder / "ports"
    return None


class Ledger:
    """Our own entry, which others read, and what the others have written."""

    def __init__(self, folder: Path, given: GivenEntry | None = None) -> None:
        """Join with an entry of our own, or go on with the one that another process has `given`."""
        self.token = secrets.token_hex(16) if given is None else given.token
        self.url = ""
        self.leases: dict[int, str] = {}
        self._written = 0
        self._runs = 0
        self._children: dict[int, dict[str, Any]] = {}
        self._life: FileLock | None = None
        self._runtimes: list[str] = []
        self._root = folder
        self._folder = folder / network_namespace()
        self._patience_seconds = PATIENCE_SECONDS
        if given is None:
            self._join()
        else:
            self._go_on(given)

    def _join(self) -> None:
        """Make the folders and our entry, and lock it. Raises OSError."""
        private_folder(self._root)
        with self.locked():
            private_folder(self._folder)
            self._life = FileLock(self._folder / f"{self.token}.lock")
            self._life.acquire()
            self.write()

    def _go_on(self, given: GivenEntry) -> None:
        self._written, self._runs = given.written, given.runs
        self._runtimes = list(given.runtimes)
        self.leases, self._children = dict(given.leases), {child["pid"]: dict(child) for child in given.children}
        if given.lock is not None:
            self._life = FileLock(self._folder / f"{self.token}.lock", given.lock)

    def give(self) -> GivenEntry:
        """Return our entry, for another process to go on with; it is not ours any more when that has written it."""
        children = tuple(self._children.values())
        lock = self._life.fileno() if self._life is not None else None
        return GivenEntry(
            self.token, self._written, self._runs, dict(self.leases), children, lock, tuple(self._runtimes)
        )

    def go_on(self) -> None:
        """Have our entry again, which another process may have written meanwhile."""
        self._written = max((_number(path) for path in self._folder.glob(f"{self.token}.*.json")), default=0)
        self.write()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude all other instances of this user for the length of a block; meant for well under a millisecond.

        The patience with one that is frozen is spent once: until the lock could be had again nobody waits for it.
        """
        with locked(self._root / "mutex", patience_seconds=self._patience_seconds) as is_ours:
            if not is_ours and self._patience_seconds:
                logger.warning(
                    "another ClaraCore has kept the lock on %s for %g s (is it stopped?); going on without it",
                    self._root,
                    self._patience_seconds,
                )
            self._patience_seconds = PATIENCE_SECONDS if is_ours else 0.0
            yield

    def others(self) -> list[Instance]:
        """Return the other living instances in this port space; call it under the lock."""
        return _living(self._folder, except_token=self.token)

    @property
    def instance(self) -> str:
        """By what containers are known as this instance's: everybody may see it, and the token does not follow."""
        return public_name(self.token)

    def note_runtime(self, program: str) -> None:
        """Write down, before its first container is started, by which program this instance's are removed."""
        if program not in self._runtimes:
            self._runtimes.append(program)
            self.write()

    def mark(self) -> str:
        """Return a new value of CLARACORE_TOKEN, by which all processes of one run of a model's server are known."""
        self._runs += 1
        return f"{self.token}.{self._runs}"

    def record_child(self, pid: int, model_id: str, mark: str = "", pipe: int = 0) -> None:
        """Write down a child right after it was started; it carries `mark` (our token if none) as CLARACORE_TOKEN.

        `pipe` is the inode of the pipe that it prints to.
        """
        started = process_start(pid)
        if started is not None:
            child = Orphan(pid, started, model_id, mark or self.token, pipe)
            self._children[pid] = dataclasses.asdict(child)
            self.write()

    def record_kin(self, pid: int, kin: Iterable[Process]) -> None:
        """Write down what has come of a child: some of it may not carry our token, or hide it."""
        if pid in self._children:
            self._children[pid]["kin"] = [[process.pid, process.start] for process in kin if process.pid != pid]
            self.write()

    def forget_child(self, pid: int) -> None:
        """Write down that the child was reaped."""
        if self._children.pop(pid, None) is not None:
            self.write()

    def set_url(self, url: str) -> None:
        """Write down the address of our web interface, for messages of the others."""
        self.url = url
        self.write()

    def sweep(self) -> tuple[Orphan, ...]:
        """End what dead instances left running and remove their entries; return what was ended.

        An entry is ours (locked by us) while its orphans are being ended: should we die at it, the next one goes on.
        Takes up to a few seconds if an orphan does not want to end; done once, at start.
        """
        ended: list[Orphan] = []
        for path in sorted(self._root.glob("*/*.lock")):
            with self.locked():
                lock = _take(path)
            if lock is None:
                continue
            entry = _read(path) or {}
            children = entry.get("children", ())
            recorded = [
                Orphan(
                    child["pid"], child["start"], child["model"], child.get("token", path.stem), child.get("pipe", 0)
                )
                for child in children
            ]
            kin = [Process(*pair) for child in children for pair in child.get("kin", ())]
            # What was started before it could be written down carries the token all the same.
            ended += end_orphans(recorded, kin, token=path.stem)
            for program in entry.get("runtimes", ()):
                for name in remove_all_of(program, public_name(path.stem), os.environ):
                    logger.warning("removed the container %s, which a dead ClaraCore left behind", name)
            with self.locked():
                _remove(path)
                lock.close()
        return tuple(ended)

    def close(self) -> None:
        """Remove our entry and free our lock: what we gave out is free for all."""
        with self.locked():
            _remove(self._folder / f"{self.token}.lock")
            if self._life is not None:
                self._life.close()

    def write(self) -> None:
        """Write our entry with what `leases` holds; call it under the lock, and before a port is let go for a child.

        A full disk is a warning: the kernel's holds and the death signal of the children do not need the ledger.
        """
        try:
            self._write()
        except OSError as error:
            logger.warning("the ledger of ports in %s could not be written: %s", self._folder, error.strerror or error)

    def _write(self) -> None:
        entry = {
            "pid": os.getpid(),
            "url": self.url,
            "leases": {str(port): model for port, model in self.leases.items()},
            "runtimes": self._runtimes,
            "children": list(self._children.values()),
        }
        former = self._folder / f"{self.token}.{self._written}.json"
        self._written += 1
        fresh = self._folder / f"{self.token}.{self._written}.json"
        fresh.write_text(json.dumps(entry), encoding="utf-8")
        former.unlink(missing_ok=True)


def public_name(token: str) -> str:
    """Return how the instance with this token is called where others see it."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]


def living_instances(folder: Path | None) -> list[Instance]:
    """Return all living instances in this port space, for a reader that is none itself; none where it may not look."""
    with suppress(OSError):
        if folder is not None and (folder / "mutex").exists():
            with locked(folder / "mutex", patience_seconds=PATIENCE_SECONDS):
                return _living(folder / network_namespace())
    return []


def _living(folder: Path, *, except_token: str = "") -> list[Instance]:
    return [
        Instance(
            entry["pid"],
            entry["url"],
            {int(port): model for port, model in entry["leases"].items()},
            tuple(pid for child in entry.get("children", ()) for pid in _pids(child)),
        )
        for path in sorted(folder.glob("*.lock"))
        if path.stem != except_token and (entry := _read(path)) is not None and _is_locked(path)
    ]


def _pids(child: Mapping[str, Any]) -> list[int]:
    return [child["pid"], *(pid for pid, _ in child.get("kin", ()))]


def _read(lock_path: Path) -> dict[str, Any] | None:
    """Return the newest whole entry beside a lock; None for an instance that has not written one yet or is leaving."""
    for path in sorted(lock_path.parent.glob(f"{lock_path.stem}.*.json"), key=_number, reverse=True):
        with suppress(OSError, ValueError):
            entry = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(entry, dict):
                return entry
    return None


def _number(path: Path) -> int:
    """Return N of TOKEN.N.json."""
    middle = path.name.split(".")[1]
    return int(middle) if middle.isdigit() else 0


def _is_locked(path: Path) -> bool:
    lock = _take(path)
    if lock is not None:
        lock.close()
    return lock is None


def _take(path: Path) -> FileLock | None:
    """Take the life lock of an instance; None when it lives (or its file has just gone)."""
    if not path.exists():
        return None
    lock = FileLock(path)
    if lock.acquire(0):
        return lock
    lock.close()
    return None


def _remove(lock_path: Path) -> None:
    """Remove an instance's files, the lock last, and the folder of its namespace when it was the last one there."""
    for path in lock_path.parent.glob(f"{lock_path.stem}.*.json"):
        path.unlink(missing_ok=True)
    lock_path.unlink(missing_ok=True)
    with suppress(OSError):
        lock_path.parent.rmdir()
