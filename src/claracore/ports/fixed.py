"""Which ports does a model's own configuration name, so that they are given to nobody else?

Read from `--port N`, `--port=N` and `-p N:...` in cmd, and from a proxy URL on this host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from claracore.config.command import split
from claracore.config.model import ModelConfig
from claracore.ports.containers import Container, container_of

WORTH_SPLITTING = re.compile(r"--port[=\s\\]+[\"']?\d|docker|podman|nerdctl|finch")
"""Most commands say `--port ${PORT}` and run no container; splitting a thousand of them would take 100 ms."""
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Claim:
    """What a model's configuration says about ports.

    `ports` are all the ports that it names, the one that requests go to first. `starts` is False for a model that only
    points at a server that somebody else runs: several may share it.
    """

    ports: tuple[int, ...]
    container: Container | None
    starts: bool


def claim_of(model: ModelConfig, own_hosts: Collection[str] = ()) -> Claim:
    """Return the ports that a model names itself; `own_hosts` are names and addresses of this host besides loopback."""
    argv: Sequence[str] = ()
    if WORTH_SPLITTING.search(model.cmd):
        try:
            argv = split(model.cmd)
        except ValueError:
            argv = ()  # config/load reports it
    container = container_of(argv)
    in_cmd = list(container.published) if container else []
    if container is None or container.host_network:
        in_cmd += _port_options(argv)
    ports = [*_proxy_port(model.proxy, own_hosts), *in_cmd]
    return Claim(tuple(dict.fromkeys(ports)), container, starts=bool(model.cmd.strip()))


def _port_options(argv: Sequence[str]) -> list[int]:
    found = []
    for word, following in zip(argv, [*argv[1:], ""], strict=False):
        value = following if word == "--port" else word.removeprefix("--port=") if word.startswith("--port=") else ""
        if value.isascii() and value.isdigit() and 0 < int(value) <= 65535:
            found.append(int(value))
    return found


def _proxy_port(proxy: str, own_hosts: Collection[str]) -> list[int]:
    """Return the port of a proxy URL that leads to this host, as a list of one or none."""
    if "${" in proxy:
        return []
    try:
        url = urlsplit(proxy)
        port = url.port or DEFAULT_PORTS.get(url.scheme)
    except ValueError:
        return []  # config/load reports it
    return [port] if port and url.hostname and is_this_host(url.hostname, own_hosts) else []


def is_this_host(host: str, own_hosts: Collection[str] = ()) -> bool:
    """Whether a host name of a URL means this machine, without asking a name server."""
    if host.lower() in {"localhost", *own_hosts}:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
