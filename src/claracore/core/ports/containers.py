"""Does a command, or a process, run a container, and which ports of this host does it publish?

A container started by `docker run -p 9000:8080` is no descendant of ours and its port is bound by the runtime, so its
owner cannot be checked the usual way (docs/ports.md). Recognition only; the check is `sockets.owner.verify`.
Options as in docker-run(1) and podman-run(1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from claracore.core.config.prefixes import last_command, name_of, programs_in, script_of

RUNTIMES = frozenset({"docker", "podman", "nerdctl", "finch"})
CLIENTS = RUNTIMES | {
    "docker-compose",
    "com.docker.cli",
    "podman-compose",
    "podman-remote",
    "distrobox",
    "distrobox-enter",
    "toolbox",
    "toolbx",
    "limactl",
}
"""Programs that ask a runtime for a container and stay for as long as it runs."""
INTERPRETER = re.compile(r"(?:ba|da|z|k)?sh|python[0-9.]*|perl")
BACKENDS = {
    **dict.fromkeys(("docker-compose", "com.docker.cli"), "docker"),
    **dict.fromkeys(("podman-compose", "podman-remote", "distrobox", "distrobox-enter", "toolbox", "toolbx"), "podman"),
    "limactl": "nerdctl",
}
"""The command of the runtime that other clients work with (distrobox may be set to another)."""
PUBLISH = re.compile(r"(?:(?:\[[0-9a-fA-F:]*\]|[0-9.]*):)?(\d+)(?:-(\d+))?:\d+(?:-\d+)?(?:/tcp)?")
"""`-p [address:]port[-port]:port[-port][/tcp]`; without a host port the runtime chooses one; udp is another space."""

PROXIES = frozenset(
    {
        "docker-proxy",
        "rootlessport",
        "rootlesskit",
        "slirp4netns",
        "pasta",
        "pasta.avx2",
        "conmon",
        "netavark",
        "gvproxy",
        "vpnkit",
        "com.docker.backend",
        "com.docker.vpnkit",
        "OrbStack Helper",
        "dockerd",
        "containerd",
        "containerd-shim",
        "wslrelay",
    }
)
"""Processes that listen for a container: Docker's userland proxy, rootless port drivers, the desktop products."""


@dataclass(frozen=True, slots=True)
class Container:
    """A command that runs a container: the runtime, the host ports it publishes, whether it has the host's network.

    `name` is what `--name` says; empty when nothing does, and then the runtime makes one up.
    """

    runtime: str
    published: tuple[int, ...] = ()
    host_network: bool = False
    name: str = ""

    @property
    def stop_command(self) -> str:
        """What ends the container when its client did not; NAME stands for a name that is not known."""
        return f"{self.runtime} stop {self.name or 'NAME'}"


def container_of(argv: Sequence[str]) -> Container | None:
    """Return what container a command line runs; None when it runs none.

    The runtime may stand behind `sudo`, `env A=B` and the like, or be the last command of a `sh -c "..."`.
    """
    script = script_of(argv)
    if script is not None:
        try:
            return container_of(last_command(script))
        except ValueError:
            return None
    for at in programs_in(argv):
        name = name_of(argv[at])
        if name in RUNTIMES:
            rest = argv[at + 1 :]
            ports = tuple(dict.fromkeys(port for value in _values(rest, "-p", "--publish") for port in _ports(value)))
            own_name = next(iter(_values(rest, None, "--name")), "")
            return Container(name, ports, "host" in _values(rest, None, "--network", "--net"), own_name)
    return None


def client_of(name: str, argv: Sequence[str]) -> Container | None:
    """Return what container a process of this name and command line is the client of; None when it is no client.

    A client that is a script runs under the name of its interpreter when it was started through it.
    """
    words = argv[1:] if argv and INTERPRETER.fullmatch(PurePath(argv[0]).name) else argv
    script = PurePath(words[0]).name if words else ""
    client = next((each for each in (name_of(name), script) if each in CLIENTS), None)
    if client is None:
        return None
    return container_of(words) or Container(BACKENDS.get(client, client))


def is_runtime(name: str) -> bool:
    """Whether a process of this name listens on behalf of containers."""
    name = name.removesuffix(".exe")
    return name in PROXIES or name in RUNTIMES or name.startswith("containerd-shim")


def _values(words: Sequence[str], short: str | None, *long: str) -> list[str]:
    """Return the values of an option, in the forms `-p V`, `-pV`, `--publish V` and `--publish=V`."""
    found = []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == short or word in long:
            found.append(following)
        elif short is not None and word.startswith(short) and not word.startswith("--"):
            found.append(word[len(short) :].removeprefix("="))
        else:
            found += [word[len(name) + 1 :] for name in long if word.startswith(f"{name}=")]
    return found


def _ports(value: str) -> Iterator[int]:
    match = PUBLISH.fullmatch(value)
    if match is not None:
        first = int(match[1])
        yield from range(first, int(match[2] or first) + 1)
