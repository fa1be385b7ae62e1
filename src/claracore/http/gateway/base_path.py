"""Below which path do people reach us, where a proxy has put us there?

Said by the person who starts ClaraCore (`--base-path`, `base_path`), or by a proxy with each request
(`X-Forwarded-Prefix`): one on this machine, or one that `trusted_proxies` names. A request is for the same thing
whether the proxy has taken the path off or not. What we say of our own paths (redirects, pages, the API's description)
has it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from claracore.core.config.entrance import BASE_PATH_PATTERN
from claracore.http.gateway.heads import Peer
from claracore.http.wire.head import RequestHead

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
FORWARDED = b"x-forwarded-prefix"
_BASE_PATH = re.compile(BASE_PATH_PATTERN.encode())
_OF_A_HOST = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?#]*)(/.*)?")


class BasePath:
    """Knows the path before ours."""

    def __init__(self, chosen: str = "") -> None:
        """`chosen` on the command line counts before what the configuration says."""
        self._chosen = chosen
        self._path = chosen.rstrip("/").encode()
        self._proxies: tuple[Network, ...] = ()

    def configure(self, base_path: str, proxies: Iterable[str]) -> None:
        """Go by what the configuration says now."""
        self._path = (self._chosen or base_path).rstrip("/").encode()
        self._proxies = tuple(ipaddress.ip_network(proxy, strict=False) for proxy in proxies)

    def of(self, head: RequestHead, peer: Peer) -> bytes:
        """Return the path before ours of a request, without a final slash; empty for none."""
        forwarded = head.noted.get(FORWARDED)
        if forwarded is None or not self._believes(peer):
            return self._path
        path = forwarded.rstrip(b"/")
        return path if not path or _BASE_PATH.fullmatch(path) else self._path

    def _believes(self, peer: Peer) -> bool:
        return peer.local or any(_is_in(peer.text, network) for network in self._proxies)


@lru_cache(maxsize=256)
def _is_in(address: str, network: Network) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]) in network


def below(head: RequestHead, base: bytes) -> RequestHead:
    """Return a head with the path that is ours: without the one before it, if the proxy has left it there."""
    if head.path == base:
        return replace(head, path=b"/")
    return replace(head, path=head.path[len(base) :]) if head.path.startswith(base + b"/") else head


def moved(location: bytes, host: bytes, base: bytes) -> bytes:
    """Return where a redirect to one of our paths leads for whoever reaches us below a base path."""
    found = _OF_A_HOST.fullmatch(location)
    if found is not None and found[1].lower() == host.lower():
        location = found[2] or b"/"
    return base + location if location[:1] == b"/" and location[:2] != b"//" else location
