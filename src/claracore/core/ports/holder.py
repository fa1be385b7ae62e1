"""Who holds a port, in words that help the person who wanted it?

A value and the sentences made from it. Finding the holder is the business of `sockets/owner.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

INTERPRETERS = ("python", "node", "java", "ruby", "perl", "deno", "bun", "dotnet", "php", "bash", "sh")
"""Programs whose own name says little: what they run is named too."""

GENERIC = frozenset({"main", "app", "server", "run", "launch", "start", "serve", "index", "cli", "manage", "__main__"})
"""Script names that say little: their folder is named instead."""


Whose = Literal["child", "runtime", "any"]
"""Who may answer on a model's port: what descends from its command, a container runtime too, or whoever is there."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The holder of a port, as far as rights let us see.

    `pid` and `name` are None when the socket belongs to a process that we may not look into; `since` is the start of
    the process in seconds since the epoch; `listening` is False for a socket that is bound but silent.
    """

    pid: int | None
    name: str | None = None
    user: str | None = None
    since: float | None = None
    addresses: tuple[str, ...] = ()
    listening: bool = True

    def describe(self, now: float) -> str:
        """Return e.g. `ComfyUI's python3 (pid 4121, user ann, listening on 0.0.0.0:8100 for 3 h)`."""
        details = []
        if self.pid is not None:
            details.append(f"pid {self.pid}")
        if self.user is not None:
            details.append(f"user {self.user}")
        verb = "listening on" if self.listening else "bound to"
        if self.addresses:
            age = f" for {duration(now - self.since)}" if self.since is not None else ""
            details.append(f"{verb} {' and '.join(self.addresses)}{age}")
        name = self.name or "a process that this user may not look into"
        return f"{name} ({', '.join(details)})" if details else name


def program_name(name: str, argv: Sequence[str]) -> str:
    """Return what a person calls this process: `ComfyUI's python3` for `python3 /home/ann/ComfyUI/main.py`."""
    if not name.lower().startswith(INTERPRETERS):
        return name
    what = _interpreted(argv)
    return f"{what}'s {name}" if what and what != name else name


def _interpreted(argv: Sequence[str]) -> str | None:
    """Return the script or module that an interpreter runs."""
    words = list(argv[1:])
    while words:
        word = words.pop(0)
        if word in {"-m", "-jar"} and words:
            return PurePath(words[0]).name.split(".")[0]
        if word in {"-c", "-e"}:
            return None
        if word.startswith("-"):
            continue
        path = PurePath(word)
        if path.stem not in GENERIC:
            return path.stem
        return path.parent.name or path.stem
    return None


def duration(seconds: float) -> str:
    """Return a duration as a person says it: `12 s`, `5 min`, `3 h`, `2 days`."""
    seconds = max(0.0, seconds)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"
