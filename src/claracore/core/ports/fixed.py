"""Which ports does a model's own configuration name, so that they are given to nobody else?

Read from `--port N`, `--port=N` and `-p N:...` in cmd, and from a proxy URL on this host.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import urlsplit

from claracore.core.config.command import split, without_comments
from claracore.core.config.model import ModelConfig
from claracore.core.ports.address import is_this_host
from claracore.core.ports.containers import Container, container_of
from claracore.types import Endpoint

AT_HOME = {
    "llama-server": 8080,
    "whisper-server": 8080,
    "mlx_lm.server": 8080,
    "ollama": 11434,
    "vllm": 8000,
    "koboldcpp": 5001,
}
"""Where servers listen whose command says nothing: it means that port as if it named it."""
WORTH_SPLITTING = re.compile(r"--port[=\s\\]+[\"']?\d|docker|podman|nerdctl|finch")
"""Most commands say `--port ${PORT}` and run no container; splitting a thousand of them would take 100 ms."""
AT_HOME_ON = {port: {name for name, usual in AT_HOME.items() if usual == port} for port in AT_HOME.values()}
NUMBER = re.compile(r"[0-9]+")
OF_THIS_HOST = {"localhost", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
"""A model's server on `::` takes IPv4 too, as sockets do that do not ask for IPV6_V6ONLY. Our own listener there
does, so that who is in its way is looked for on ::1 (host/sockets/front.py)."""
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Claim:
    """What a model's configuration says about ports.

    `ports` are all the ports that it names, the one that requests go to first. `starts` is False for a model that only
    points at a server that somebody else runs: several may share it. `detached` is where requests go when only
    `proxy` says so: the command may start who listens there, or that may be somebody else's server.
    """

    ports: tuple[int, ...]
    container: Container | None
    starts: bool
    detached: Endpoint | None = None


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
    where = _at_proxy(model.proxy, own_hosts)
    at_proxy = [where.port] if where else []
    starts = bool(model.cmd.strip())
    is_detached = starts and container is None and where is not None and not _is_named(where.port, model)
    return Claim(tuple(dict.fromkeys([*at_proxy, *in_cmd])), container, starts, where if is_detached else None)


def _is_named(port: int, model: ModelConfig) -> bool:
    """Whether the command says this number anywhere, or its program listens there without being told."""
    number, texts = str(port), (without_comments(model.cmd), *model.env)
    if any(number in text and number in NUMBER.findall(text) for text in texts):
        return True
    return any(PurePath(word).name.removesuffix(".exe") in AT_HOME_ON.get(port, ()) for word in texts[0].split())


def _port_options(argv: Sequence[str]) -> list[int]:
    found = []
    for word, following in zip(argv, [*argv[1:], ""], strict=False):
        value = following if word == "--port" else word.removeprefix("--port=") if word.startswith("--port=") else ""
        if value.isascii() and value.isdigit() and 0 < int(value) <= 65535:
            found.append(int(value))
    return found


def _at_proxy(proxy: str, own_hosts: Collection[str]) -> Endpoint | None:
    """Return where a proxy URL leads if that is this host."""
    if "${" in proxy:
        return None
    try:
        where = endpoint_of(proxy)
    except ValueError:
        return None  # config/load reports it
    return where if where.port and is_this_host(urlsplit(proxy).hostname or "", own_hosts) else None


def endpoint_of(proxy: str) -> Endpoint:
    """Return where a proxy URL leads; this host is always its literal loopback address: `localhost` may mean ::1."""
    url = urlsplit(proxy)
    host = url.hostname or "localhost"
    literal = "127.0.0.1" if host in OF_THIS_HOST else host
    return Endpoint(literal, url.port or DEFAULT_PORTS.get(url.scheme, 80))
