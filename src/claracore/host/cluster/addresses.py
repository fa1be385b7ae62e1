"""Under which address do the other machines reach this one?"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

import psutil

from claracore.core.cluster.invitation import why_not_there
from claracore.core.ports.listen import EVERYWHERE, Listen
from claracore.errors import BadRequest

ELSEWHERE: Final = ("192.0.2.1", 9)
"""An address for documentation (RFC 5737): connecting a UDP socket sends nothing and asks the routing table."""


def address_of(host: str) -> str:
    """Return the IP address of a host, of IPv4 where there is one. Raises BadRequest, also for public addresses."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise BadRequest(f"{host!r} is not known here: {error.strerror or error}") from error
    except ValueError as error:  # letters that no name of a host has
        raise BadRequest(f"{host!r} is no name of a host") from error
    address = str(min(found, key=lambda each: each[0] != socket.AF_INET)[4][0])
    if (why := why_not_there(address)) is not None:
        raise BadRequest(why)
    return address


def own_address(listen: Listen, towards: str = "") -> str:
    """Return the address on which other machines reach this one, which listens there.

    `towards` is a host that is to reach it. Raises BadRequest where there is none, or where it is a public one.
    """
    address = listen.host if listen.host not in EVERYWHERE else routed_address(towards) or _private()
    if not address:
        raise BadRequest("this machine has no address in a private network: say it with --address")
    own = address_of(address)
    if towards and ipaddress.ip_address(own).is_loopback and not ipaddress.ip_address(address_of(towards)).is_loopback:
        raise BadRequest(
            f"this ClaraCore listens on {listen} only, where {towards} does not reach it: start it with "
            f"--listen :{listen.port}"
        )
    return own


def some_address(host: str) -> str:
    """Return an IP address of a host, of IPv4 where there is one; the name itself where nobody knows it."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return host
    return str(min(found, key=lambda each: each[0] != socket.AF_INET)[4][0])


def routed_address(towards: str = "") -> str:
    """Return the address from which packets would go to a host, or out; empty when there is no way."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, ELSEWHERE[1]) if towards else ELSEWHERE)
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def _private() -> str:
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not ipaddress.ip_address(each.address).is_loopback:
                return str(each.address)
    return ""
