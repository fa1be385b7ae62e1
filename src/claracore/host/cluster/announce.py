"""How do others on the network find this ClaraCore, and how are they found? By mDNS, when somebody asks for it.

`announce` answers on the network while the server runs with `--announce`; `discovered` listens for as long as a person
waits. Nothing is connected to. IPv4 only: what a person is shown must be an address that works for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import psutil
from zeroconf import InterfaceChoice, IPVersion, NonUniqueNameException, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from claracore.core.cluster.announced import SERVICE, Announced, announced, properties
from claracore.core.ports.address import is_loopback
from claracore.core.ports.listen import EVERYWHERE
from claracore.host.cluster.identity import IDENTITY

if TYPE_CHECKING:
    from claracore.core.ports.listen import Listen

logger = logging.getLogger("claracore.cluster")

MOST_FOUND: Final = 200
ASK_MILLISECONDS: Final = 1500
"""Whoever has said its name is asked for its address so long at most."""


async def announce(listen: Listen, version: str, *, tls: bool, base_path: str) -> None:
    """Say on the network that this ClaraCore is here, until cancelled; what is in the way is logged."""
    addresses = reachable_addresses(listen)
    if not addresses:
        logger.warning("--announce: there is no IPv4 address of this machine to announce")
        return
    if all(map(is_loopback, addresses)):
        logger.warning("--announce: only this machine can reach what is announced; serve others with --listen :5800")
    name = socket.gethostname().partition(".")[0] or "claracore"
    info = AsyncServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        port=listen.port,
        properties=properties(version, IDENTITY, tls=tls, base_path=base_path),
        server=f"{name}-{IDENTITY}.local.",
        parsed_addresses=addresses,
    )
    try:
        network = AsyncZeroconf(interfaces=addresses, ip_version=IPVersion.V4Only)
    except OSError as error:
        logger.warning("--announce: this machine cannot be announced: %s", error)
        return
    try:
        await (await network.async_register_service(info, allow_name_change=True))
        logger.info("announced on the network as %s", info.name.removesuffix(f".{SERVICE}"))
        await asyncio.get_running_loop().create_future()  # until cancelled
    except NonUniqueNameException as error:
        logger.warning("--announce: this machine cannot be announced: %s", error)
    finally:
        await network.async_unregister_all_services()
        await network.async_close()


async def discovered(seconds: float) -> list[Announced]:
    """Return who says within `seconds` that it is there, by name. Raises OSError where one may not listen."""
    names: asyncio.Queue[str] = asyncio.Queue(MOST_FOUND)

    def heard(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        del zeroconf, service_type
        if state_change is ServiceStateChange.Added:
            with contextlib.suppress(asyncio.QueueFull):
                names.put_nowait(name)

    network = AsyncZeroconf(interfaces=InterfaceChoice.All, ip_version=IPVersion.V4Only)
    asked: list[asyncio.Task[Announced | None]] = []
    try:
        browser = AsyncServiceBrowser(network.zeroconf, SERVICE, handlers=[heard])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while len(asked) < MOST_FOUND:
                    asked.append(asyncio.create_task(_asked(network, await names.get())))
        found = await asyncio.gather(*asked)
        await browser.async_cancel()
    finally:
        await network.async_close()
    return sorted((each for each in found if each is not None), key=lambda each: (each.name, each.url))


async def _asked(network: AsyncZeroconf, name: str) -> Announced | None:
    info = AsyncServiceInfo(SERVICE, name)
    if not await info.async_request(network.zeroconf, ASK_MILLISECONDS):
        return None
    return announced(name, info.parsed_addresses(), info.port or 0, info.properties)


def reachable_addresses(listen: Listen) -> list[str]:
    """Return the addresses of IPv4 under which others reach what listens; those of all interfaces for "all"."""
    if not any(host in EVERYWHERE for host in listen.hosts):
        return [host for host in listen.hosts if _is_ipv4(host)]
    found: Sequence[str] = [
        each.address
        for interface in psutil.net_if_addrs().values()
        for each in interface
        if each.family is socket.AF_INET
    ]
    return [address for address in found if not is_loopback(address)]


def _is_ipv4(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 4
    except ValueError:
        return False
