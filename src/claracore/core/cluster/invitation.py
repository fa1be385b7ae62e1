"""What does the line say with which another machine joins, and may that machine join?

Pure. The line is `https://HEAD:5800#TOKEN`: where the head is, a secret that is good once, and the fingerprint of the
head's certificate, so that nobody else can take the head's place. Without TLS there is no fingerprint, and the line
begins with http.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

GOOD_FOR_SECONDS: Final = 15 * 60.0
SECRET_BYTES: Final = 24
"""Random ones; nobody guesses 192 bits in a quarter of an hour."""
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]{32})(?:\.([0-9a-f]{64}))?")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
FORM: Final = "the line is https://HEAD:5800#TOKEN, as `claracore nodes invite` prints it"


@dataclass(frozen=True, slots=True)
class JoinLine:
    """Where the head is, the secret of the invitation, and the head's certificate; no fingerprint without TLS."""

    url: str
    secret: str
    fingerprint: str = ""

    def __str__(self) -> str:
        return f"{self.url}#{self.secret}" + (f".{self.fingerprint}" if self.fingerprint else "")


def read_line(text: str) -> JoinLine:
    """Return what a line says. Raises ValueError, which says what is wrong with it."""
    url, _, token = text.strip().partition("#")
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise ValueError(f"there is no token in it, or only a part of one: {FORM}")
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port is not None
    except ValueError as error:
        raise ValueError(f"{url!r} is no address: {FORM}") from error
    if not is_whole or parts.username is not None:
        raise ValueError(f"{url!r} is no address with a port: {FORM}")
    if parts.scheme == "https" and found[2] is None:
        raise ValueError(f"the end of the token is missing, which is the head's certificate: {FORM}")
    return JoinLine(f"{parts.scheme}://{parts.netloc}", found[1], found[2] or "")


def is_node_name(name: str) -> bool:
    """Whether a machine may be called so: models are `name/model`."""
    return _NAME.fullmatch(name) is not None and name != "local"


def node_name(host: str) -> str:
    """Return a name for a machine from what it calls itself."""
    found = re.sub(r"[^A-Za-z0-9._-]+", "-", host.split(".", maxsplit=1)[0]).strip("-._")[:63]
    return found if is_node_name(found) else "node"


# --- where it may be -------------------------------------------------------------------------------------------------


def why_not_there(address: str) -> str | None:
    """Say why machines may not be joined over an IP address; None when they may.

    Whoever reaches Ray's ports may, with its token, run anything on every node, and nothing of it is encrypted. Raises
    ValueError for what is no address.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if not found.is_global:
        return None
    return (
        f"{address} is a public address: what the machines say to each other would pass through the Internet. Put "
        "them into one private network (WireGuard, Tailscale) and use the addresses that they have there"
    )


# --- versions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Versions:
    """What a machine runs; `ray` is empty where it is not installed."""

    claracore: str
    python: str
    ray: str = ""


def differences(head: Versions, node: Versions) -> tuple[str, ...]:
    """Say which versions of a node do not go with those of its head, and what to type there; nothing when all do.

    ClaraCore: the same minor version. Ray, where the head has it: exactly the same; Python then: the same minor.
    """
    found = []
    if _minor(head.claracore) != _minor(node.claracore):
        wanted = f"{_minor(head.claracore)}.*"
        found.append(
            f"claracore is {node.claracore} there and {head.claracore} on the head: pip install 'claracore=={wanted}'"
        )
    if head.ray and head.ray != node.ray:
        has = f"is {node.ray}" if node.ray else "is not installed"
        found.append(f"ray {has} there and {head.ray} on the head: pip install 'claracore[ray]' 'ray=={head.ray}'")
    if head.ray and _minor(head.python) != _minor(node.python):
        found.append(
            f"python is {node.python} there and {head.python} on the head, and ray wants the same: "
            f"uv venv --python {_minor(head.python)}"
        )
    return tuple(found)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


# --- what a person does besides --------------------------------------------------------------------------------------


def firewall_line(network: str, ports: str) -> str:
    """Return what a person types to let the other machines, and nobody else, reach these ports."""
    return f"nft add rule inet filter input ip saddr {network} tcp dport {{ {ports} }} accept"


def network_of(address: str) -> str:
    """Return the network to which an address belongs, as far as can be told from it. Raises ValueError."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if found.version == 6:
        return str(ipaddress.ip_network(f"{found}/64", strict=False))
    if found in ipaddress.ip_network("100.64.0.0/10"):  # Tailscale's
        return "100.64.0.0/10"
    return str(ipaddress.ip_network(f"{found}/24", strict=False))
