"""Which program starts services here, where does it want its files, and what is it told?

systemd (Linux), launchd (macOS) and OpenRC (Linux without systemd); the texts of the files are `core/service`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from claracore.core.service import launchd, openrc, systemd
from claracore.core.service.definition import NAME, Service, ServiceFile
from claracore.errors import BadRequest

Argv = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manager:
    """A program that starts services: where its files are, and the commands that make it do something."""

    name: str
    folder: Path
    """Where its files for this kind of service are."""
    names: tuple[str, ...]
    files: Callable[[Service, Path], tuple[ServiceFile, ...]]
    start: tuple[Argv, ...]
    """After the files are there: start it now, and at each start of the machine or of the session."""
    stop: tuple[Argv, ...]
    """Before the files go."""
    after: tuple[Argv, ...]
    """After the files have gone."""
    status: Argv
    logs: Argv
    follow: Argv
    log: Path | None = None
    """The file with what it prints, where the manager has none of its own."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where its files are, or would be."""
        return tuple(self.folder / name for name in self.names)


def manager(*, of_machine: bool) -> Manager:
    """Return this machine's, for a service of the machine or of this user. Raises BadRequest where there is none."""
    if sys.platform == "darwin":
        return _launchd(of_machine)
    if Path("/run/systemd/system").is_dir():
        return _systemd(of_machine)
    if Path("/run/openrc").is_dir():
        return _openrc(of_machine)
    raise BadRequest("here runs neither systemd nor OpenRC nor launchd that could start a service")


def named(name: str, *, of_machine: bool) -> Manager:
    """Return the manager of this name, whether it runs here or not. Raises BadRequest for another name."""
    kinds = {"systemd": _systemd, "launchd": _launchd, "openrc": _openrc}
    if name not in kinds:
        raise BadRequest(f"--manager {name}: none of {', '.join(kinds)}")
    return kinds[name](of_machine)


def _systemd(of_machine: bool) -> Manager:  # noqa: FBT001 - one of `kinds`
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    folder = Path("/etc/systemd/system") if of_machine else config / "systemd" / "user"
    control = ("systemctl",) if of_machine else ("systemctl", "--user")
    journal = ("journalctl", "--unit" if of_machine else "--user-unit", f"{NAME}.service", "--lines", "200")
    names = (f"{NAME}.socket", f"{NAME}.service")
    reload = (*control, "daemon-reload")
    return Manager(
        "systemd",
        folder,
        names,
        systemd.units,
        start=(reload, (*control, "enable", "--now", *names)),
        stop=((*control, "disable", "--now", *names),),
        after=(reload,),
        status=(*control, "status", "--no-pager", *names),
        logs=(*journal, "--no-pager"),
        follow=(*journal, "--follow"),
    )


def _launchd(of_machine: bool) -> Manager:  # noqa: FBT001
    library = Path("/Library") if of_machine else Path.home() / "Library"
    domain = "system" if of_machine else f"gui/{os.getuid()}"
    folder = library / ("LaunchDaemons" if of_machine else "LaunchAgents")
    path, log = folder / f"{launchd.LABEL}.plist", library / "Logs" / f"{NAME}.log"
    return Manager(
        "launchd",
        folder,
        (path.name,),
        _one(launchd.property_list),
        start=(("launchctl", "bootstrap", domain, str(path)),),
        stop=(("launchctl", "bootout", f"{domain}/{launchd.LABEL}"),),
        after=(),
        status=("launchctl", "print", f"{domain}/{launchd.LABEL}"),
        logs=("tail", "-n", "200", str(log)),
        follow=("tail", "-n", "200", "-f", str(log)),
        log=log,
    )


def _openrc(of_machine: bool) -> Manager:  # noqa: FBT001
    if not of_machine:
        raise BadRequest("OpenRC starts services of the machine only: claracore service install --system")
    log = Path("/var/log") / f"{NAME}.log"
    return Manager(
        "openrc",
        Path("/etc/init.d"),
        (NAME,),
        _one(openrc.script),
        start=(("rc-update", "add", NAME, "default"), ("rc-service", NAME, "start")),
        stop=(("rc-service", NAME, "stop"), ("rc-update", "del", NAME)),
        after=(),
        status=("rc-service", NAME, "status"),
        logs=("tail", "-n", "200", str(log)),
        follow=("tail", "-n", "200", "-f", str(log)),
        log=log,
    )


def _one(make: Callable[[Service, Path], ServiceFile]) -> Callable[[Service, Path], tuple[ServiceFile, ...]]:
    return lambda service, folder: (make(service, folder),)
