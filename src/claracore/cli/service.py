"""`claracore service`: ClaraCore as a service of this machine or of this user, started by whatever starts services."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from claracore.cli.terminal import say
from claracore.cli.verb import Verb, VerbGroup, flag, many, option
from claracore.errors import BadRequest
from claracore.host.service import install as services
from claracore.host.service.managers import Manager, manager, named


def install(
    *,
    system: bool,
    user: bool,
    account: str | None,
    config: Path | None,
    models_folder: list[Path] | None,
    listen: str,
    manager_name: str | None,
    dry_run: bool,
) -> None:
    """Start ClaraCore now and whenever this machine or your session starts."""
    found = _manager(system=system, user=user, name=manager_name)
    account = _account(account) if system else None
    service = services.service_here(listen, config, models_folder or [], found, account)
    if dry_run:
        for file in found.files(service, found.folder):
            say(f"# {file.path}\n{file.text}")
        say("\n".join(f"# then: {shlex.join(command)}" for command in found.start))
        return
    services.install(found, service)
    say(f"installed; {found.name} has started it on {service.listen.url}")
    if not system and found.name == "systemd":
        say("it ends when you log out, unless: loginctl enable-linger")


def uninstall(*, system: bool, user: bool, manager_name: str | None, dry_run: bool) -> None:
    """Stop the service and take its files away; configuration, models and state stay."""
    found = _manager(system=system, user=user, name=manager_name)
    if dry_run:
        say("\n".join(shlex.join(command) for command in found.stop))
        say("\n".join(f"rm {shlex.quote(str(path))}" for path in found.paths))
        return
    for path in services.uninstall(found):
        say(f"removed {path}")


def status(*, system: bool, user: bool, manager_name: str | None) -> None:
    """Say how the service is, in the words of what runs it."""
    sys.exit(_shown(_manager(system=system, user=user, name=manager_name).status))


def logs(*, system: bool, user: bool, manager_name: str | None, follow: bool) -> None:
    """Print the last lines of what the service has printed."""
    found = _manager(system=system, user=user, name=manager_name)
    sys.exit(_shown(found.follow if follow else found.logs))


def _manager(*, system: bool, user: bool, name: str | None) -> Manager:
    if system and user:
        raise BadRequest("--system and --user: a service is either the machine's or yours")
    return manager(of_machine=system) if name is None else named(name, of_machine=system)


def _account(name: str | None) -> str:
    """Return as whom a service of the machine runs. Raises BadRequest where nobody is named but the administrator."""
    account = name or os.environ.get("SUDO_USER")
    if not account:
        raise BadRequest("whose rights is it to have? --account NAME; not root's, unless you mean it")
    return account


def _shown(command: tuple[str, ...]) -> int:
    try:
        return subprocess.run(command, check=False).returncode
    except FileNotFoundError as error:
        raise BadRequest(f"there is no {command[0]} here") from error


WHOSE = {
    "system": flag("--system", about="A service of the machine: from its start, whoever is logged in."),
    "user": flag("--user", about="A service of yours (what is meant without a word)."),
    "manager_name": option("--manager", about="systemd, launchd or openrc, instead of what runs here."),
}
DRY_RUN = flag("--dry-run", about="Print files and commands; write and start nothing.")

SERVICE = VerbGroup(
    "Run ClaraCore for good: a service of this machine, or of yours.",
    {
        "install": Verb(
            install,
            {
                **WHOSE,
                "account": option("--account", about="As whom a service of the machine runs; else who called sudo."),
                "config": option("--config", about="Configuration file; else yours.", kind=Path),
                "models_folder": many("--models-folder", about="Folder with GGUF files, as without verb.", kind=Path),
                "listen": option("--listen", about="Address to serve on, as without verb.", default="5800"),
                "dry_run": DRY_RUN,
            },
        ),
        "status": Verb(status, WHOSE),
        "logs": Verb(logs, {**WHOSE, "follow": flag("--follow", "-f", about="Go on printing.")}),
        "uninstall": Verb(uninstall, {**WHOSE, "dry_run": DRY_RUN}),
    },
)
