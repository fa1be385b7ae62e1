"""Whom does the host of a URL or of a connection mean: this machine, or another?

Read from the text alone; no name server is asked.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address


def address_of(host: str) -> IPv4Address | IPv6Address:
    """Return the address that a text is, without a zone (`%eth0`); IPv4 in IPv6 as IPv4. Raises ValueError."""
    address = ip_address(host)
    return address if isinstance(address, IPv4Address) else address.ipv4_mapped or IPv6Address(int(address))


def is_address(host: str) -> bool:
    """Whether a text is a literal IP address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a text is a literal loopback address; names are not."""
    return is_address(host) and address_of(host).is_loopback


def is_localhost(host: str) -> bool:
    """Whether a name in lower case, or a literal address, can only mean this machine (RFC 6761, section 6.3)."""
    return host == "localhost" or host.endswith(".localhost") or is_loopback(host)


def is_this_host(host: str, own_hosts: Collection[str] = ()) -> bool:
    """Whether who listens at the host of a URL is on this machine.

    `own_hosts` are names and addresses of it besides loopback. A name below `.localhost` is not taken for it: several
    of them on one port are one server in front of many.
    """
    if host.lower() in {"localhost", *own_hosts}:
        return True
    return is_loopback(host) or (is_address(host) and address_of(host).is_unspecified)
