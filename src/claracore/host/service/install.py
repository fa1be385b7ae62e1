"""How do a service's files come and go, and how is its manager told?"""

from __future__ import annotations

import ipaddress
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from claracore.core.ports.listen import parse_listen
from claracore.core.service.definition import NAME, WRITTEN_BY, Service
from claracore.errors import BadRequest, ClaraCoreError
from claracore.host.places import config_file
from claracore.host.service.managers import Argv, Manager

KEPT_VARIABLES = frozenset(
    {
        "PATH",
        "LD_LIBRARY_PATH",
        "CUDA_VISIBLE_DEVICES",
        "HIP_VISIBLE_DEVICES",
        "ROCR_VISIBLE_DEVICES",
        "GGML_VK_VISIBLE_DEVICES",
        "HF_HOME",
        "HF_ENDPOINT",
    }
)
"""What a program that starts model servers needs of the environment of who installs it; no secrets."""


def service_here(
    listen: str, config: Path | None, models_folders: Sequence[Path], manager: Manager, account: str | None
) -> Service:
    """Return how ClaraCore is to run; `listen` is the text of `--listen`.

    Raises BadRequest for an address that a service cannot have, and for a configuration that is not there.
    """
    address = parse_listen(listen)
    if address.auto or not address.port or not all(map(_is_literal, address.hosts)):
        raise BadRequest(f"--listen {listen}: a service has one port, on addresses and not on names")
    found = config_file(config).absolute()
    if config is not None and not models_folders and not found.exists():
        raise BadRequest(f"there is no {config}: name one that is there, or folders with models by --models-folder")
    named = ["--config", str(found)] if config is not None or (account is None and found.exists()) else []
    folder = str(found.parent) if named else "/"  # relative paths of a configuration begin beside it
    for models in models_folders:
        named += ["--models-folder", str(models.expanduser().absolute())]
    return Service(
        argv=(*program(), "--listen", listen, *named),
        folder=folder,
        environ={name: os.environ[name] for name in KEPT_VARIABLES if os.environ.get(name)},
        listen=replace(address, hosts=tuple(filter(_is_here, address.hosts)) or address.hosts),
        account=account,
        log=str(manager.log or ""),
    )


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_here(host: str) -> bool:
    """Whether this machine has the address: without IPv6 there is no ::1."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def program() -> tuple[str, ...]:
    """Return how ClaraCore is started, whatever the folder and PATH: by the command that runs now, or its Python."""
    command = Path(sys.argv[0]).absolute()
    return (str(command),) if command.name == NAME and os.access(command, os.X_OK) else (sys.executable, "-m", NAME)


def install(manager: Manager, service: Service) -> None:
    """Write the files and start the service; one that was installed before gets what is asked for now.

    Raises BadRequest for a file that somebody else has written, ClaraCoreError when the manager refuses, OSError.
    """
    files = manager.files(service, manager.folder)
    foreign = [file.path for file in files if not _is_ours(Path(file.path))]
    if foreign:
        raise BadRequest(f"{foreign[0]} was not written by `claracore service install`; move it away first")
    if any(Path(file.path).exists() for file in files):
        tell(manager.stop)
    for file in files:
        path = Path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")
        path.chmod(0o755 if file.executable else 0o644)
    tell(manager.start)


def uninstall(manager: Manager) -> tuple[Path, ...]:
    """Stop the service and take its files away; return which. Raises as `install`, and BadRequest if there are none."""
    there = tuple(path for path in manager.paths if path.exists())
    if not there:
        raise BadRequest(f"no service is installed: there is no {manager.paths[0]}")
    foreign = [path for path in there if not _is_ours(path)]
    if foreign:
        raise BadRequest(f"{foreign[0]} was not written by `claracore service install`: left as it is")
    tell(manager.stop)
    for path in there:
        path.unlink()
    tell(manager.after)
    return there


def _is_ours(path: Path) -> bool:
    return not path.exists() or WRITTEN_BY in path.read_text(encoding="utf-8", errors="replace")


def tell(commands: Iterable[Argv]) -> None:
    """Run commands one after the other. Raises ClaraCoreError with what the first one says that fails."""
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise ClaraCoreError(f"{shlex.join(command)}: {error.strerror}") from error
        if done.returncode:
            reason = (done.stderr or done.stdout).strip() or f"it ended with exit code {done.returncode}"
            raise ClaraCoreError(f"{shlex.join(command)}: {reason}")
