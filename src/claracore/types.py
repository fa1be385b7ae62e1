"""Which few names do all rings share?

Plain values only: nothing here knows about asyncio, sockets, files or clocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal


class ModelState(StrEnum):
    """The life of one model server process; the values are what `/running` and existing clients read."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an upstream is reached: a TCP address, or a Unix socket when `unix_path` is set.

    A value with a host, because "here" need not be the only machine.
    """

    host: str = "127.0.0.1"
    port: int = 0
    unix_path: str | None = None

    @property
    def authority(self) -> str:
        """The `host:port` text for a Host header or a URL; `localhost` for a Unix socket."""
        if self.unix_path is not None:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"unix:{self.unix_path}" if self.unix_path is not None else self.authority


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a text: 1-based line and column of a named file."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


Severity = Literal["error", "warning", "note"]
SEVERITY_ORDER: Final[Mapping[Severity, int]] = {"error": 0, "warning": 1, "note": 2}
"""What is said first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a person should know about a configuration or a port plan, and what to do about it."""

    severity: Severity
    message: str
    path: str = ""
    """Dotted path of the culprit in the configuration, e.g. `models.qwen.ttl`; empty if there is none."""
    place: Place | None = None
    way_out: str = ""

    def __str__(self) -> str:
        return self.line(f"{self.severity}: ")

    def line(self, label: str = "") -> str:
        """Return all of it in a line, without the severity: for a log, which shows its own level."""
        out = f" ({self.way_out})" if self.way_out else ""
        return f"{self.problem(label)}{out}"

    def problem(self, label: str = "") -> str:
        """Return what is wrong and where, without the way out."""
        where = f"{self.place}: " if self.place else ""
        what = f"{self.path}: " if self.path else ""
        return f"{where}{label}{what}{self.message}"

    def plain(self) -> dict[str, str | int | None]:
        """Return it as JSON has it: the place in three members, null where there is none."""
        place = self.place
        return {
            "severity": self.severity,
            "message": self.message,
            "path": self.path,
            "way_out": self.way_out,
            "file": place.file if place else None,
            "line": place.line if place else None,
            "column": place.column if place else None,
        }
