"""What has this host to say about ports before any is bound?

Facts for the plan: the kernel's range for outgoing connections, which ports need rights, under which names and
addresses this host is known. Each falls back to what is usual where it cannot be read.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from claracore.core.cluster.ray_ports import RayRole
from claracore.core.config.model import Config
from claracore.core.ports.address import is_address, is_this_host
from claracore.core.ports.listen import Listen
from claracore.core.ports.plan import plan
from claracore.core.ports.ranges import PortPlan
from claracore.types import Endpoint, Place

SETTINGS = Path("/proc/sys/net/ipv4")
NAME_SECONDS = 2.0
"""How long a name server may take to say whether a name means this host."""
IANA_DYNAMIC = range(49152, 65536)
"""The ephemeral range of macOS, BSD and Windows (RFC 6335, section 6)."""
CAP_NET_BIND_SERVICE = 10


def plan_here(
    config: Config,
    listen: Listen,
    *,
    places: Mapping[str, Place],
    history: Mapping[str, int] | None = None,
    ollama: bool = False,
    ray: RayRole = RayRole.NONE,
) -> PortPlan:
    """Return the port plan of a configuration on this host."""
    return plan(
        config,
        listen,
        places=places,
        history=history or {},
        ephemeral=ephemeral_range(),
        ephemeral_except=reserved_ephemeral_ports(),
        privileged_below=privileged_below(),
        own_hosts=own_hosts(),
        ollama=ollama,
        ray=ray,
    )


def ephemeral_range() -> range:
    """Return the ports that the kernel takes for outgoing connections (ip(7), ip_local_port_range)."""
    if sys.platform == "linux":
        with suppress(OSError, ValueError):
            first, last = map(int, _setting("ip_local_port_range").split())
            return range(first, last + 1)
    return IANA_DYNAMIC


def reserved_ephemeral_ports() -> frozenset[int]:
    """Return the ports that the kernel leaves out of that range (ip_local_reserved_ports: `8100-8200,9000`)."""
    ports: set[int] = set()
    if sys.platform == "linux":
        with suppress(OSError, ValueError):
            for part in filter(None, _setting("ip_local_reserved_ports").strip().split(",")):
                first, _, last = part.partition("-")
                ports |= set(range(int(first), int(last or first) + 1))
    return frozenset(ports)


def privileged_below() -> int:
    """Return the first port that this process may bind without more rights; 0 when it may bind all."""
    if sys.platform == "linux":
        if _has_capability(CAP_NET_BIND_SERVICE):
            return 0
        with suppress(OSError, ValueError):
            return int(_setting("ip_unprivileged_port_start"))
    elif sys.platform == "win32" or os.geteuid() == 0:
        # Windows has no privileged ports; macOS lets everybody bind them on all addresses, but not on loopback.
        return 0
    return 1024


def _has_capability(number: int) -> bool:
    with suppress(OSError, ValueError, StopIteration):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
        return bool(int(effective.split()[1], 16) >> number & 1)
    return False


def own_names() -> frozenset[str]:
    """Return the names of this host in lower case: as it calls itself, without the domain, and as mDNS has it."""
    name = socket.gethostname().lower()
    return frozenset({name, name.partition(".")[0], f"{name.partition('.')[0]}.local"})


def own_hosts() -> frozenset[str]:
    """Return the lower-case names and addresses of this host, without asking a name server."""
    names = set(own_names())
    with suppress(OSError, psutil.Error):
        for addresses in psutil.net_if_addrs().values():
            names |= {
                entry.address.partition("%")[0].lower()
                for entry in addresses
                if entry.family in {socket.AF_INET, socket.AF_INET6}
            }
    return frozenset(names)


async def literal(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with an address instead of a name, if that is this host's (IPv4 rather than IPv6).

    Who listens is told by addresses. Names that are not known in time stay as they are.
    """
    if endpoint.unix_path is not None or is_address(endpoint.host):
        return endpoint
    try:
        async with asyncio.timeout(NAME_SECONDS):
            entries = await asyncio.get_running_loop().getaddrinfo(
                endpoint.host, endpoint.port, type=socket.SOCK_STREAM
            )
    except OSError:  # TimeoutError is one
        return endpoint
    addresses, ours = sorted((str(entry[4][0]) for entry in entries), key=lambda address: ":" in address), own_hosts()
    address = next((each for each in addresses if is_this_host(each, ours)), endpoint.host)
    return Endpoint(address, endpoint.port)


def _setting(name: str) -> str:
    return (SETTINGS / name).read_text(encoding="ascii")
