"""What is a service, whichever manager runs it: which program, as whom, where, and which files tell the manager?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from claracore.core.ports.listen import Listen

NAME = "claracore"
ABOUT = "ClaraCore: one port for every local model"
WRITTEN_BY = "Written by `claracore service install`, removed by `claracore service uninstall`."
STOP_SECONDS = 90
"""Answers under way, conversations that are saved and models that end have their own limits; this is beyond all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How ClaraCore is to run."""

    argv: tuple[str, ...]
    """Program, absolute, and arguments."""
    folder: str
    """Where it runs, absolute: relative paths of a configuration begin there."""
    environ: Mapping[str, str]
    """What it needs to know of the environment of who installs it."""
    listen: Listen
    account: str | None
    """Whose rights it has, for a service of the machine; None for one of the person who installs it."""
    log: str
    """File for what it prints where the manager keeps no log of its own, absolute."""


@dataclass(frozen=True, slots=True)
class ServiceFile:
    """A file for the manager."""

    path: PurePath
    text: str
    executable: bool = False
