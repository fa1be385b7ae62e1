"""On which addresses does the web listener open?

Reads the text of `--listen`. Binding is the business of `sockets/front.py`; names are resolved there too.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

from claracore.errors import BadRequest

WEB_PORT = 5800
LOOPBACK = ("127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - only what the user asked for with ":PORT"

FORMS = "write 5800, :5800, 192.168.1.100:5800, [::1]:5800, :0 or auto"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the web listener opens: literal addresses or a host name, and one port for all of them.

    Port 0 lets the kernel choose; `auto` takes the first free port from `port` on.
    """

    hosts: tuple[str, ...] = LOOPBACK
    port: int = WEB_PORT
    auto: bool = False

    @property
    def host(self) -> str:
        """The address that a person would type: the first one."""
        return self.hosts[0]

    @property
    def url(self) -> str:
        """The address of the web interface as seen from this host.

        On all interfaces it has a listener for IPv4 beside the one on `::`.
        """
        host = "127.0.0.1" if self.host in EVERYWHERE else self.host
        return f"http://{bracketed(host)}:{self.port}"

    def at(self, port: int) -> Listen:
        """Return the same addresses on the port that was really opened."""
        return replace(self, port=port, auto=False)

    def __str__(self) -> str:
        return ", ".join(f"{bracketed(host)}:{self.port}" for host in self.hosts)


def bracketed(host: str) -> str:
    """Return the host as it stands in a URL: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def parse_listen(text: str) -> Listen:
    """Read the text of `--listen`; a bare port means loopback, `:PORT` and `[::]:PORT` all interfaces.

    Raises BadRequest for anything that is no address, with the forms that are.
    """
    text = text.strip()
    host, port_text = _split(text)
    if port_text == "auto":
        return Listen(_hosts(host, text), WEB_PORT, auto=True)
    if not (port_text.isascii() and port_text.isdigit()):
        raise BadRequest(f"--listen {text!r}: {port_text!r} is not a port; {FORMS}", param="listen")
    port = int(port_text)
    if port > 65535:
        raise BadRequest(f"--listen {text!r}: ports end at 65535; {FORMS}", param="listen")
    return Listen(_hosts(host, text), port)


def _split(text: str) -> tuple[str | None, str]:
    """Divide host and port; the host is None when only a port (or `auto`) is given."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise BadRequest(f"--listen {text!r} has no port behind the bracket; {FORMS}", param="listen")
        return host, rest[1:]
    if ":" not in text:
        return None, text
    host, _, port = text.rpartition(":")
    if ":" in host:
        raise BadRequest(f"--listen {text!r}: an IPv6 address needs brackets; {FORMS}", param="listen")
    return host, port


def _hosts(host: str | None, text: str) -> tuple[str, ...]:
    if host is None or host == "localhost":
        return LOOPBACK
    if host in {"", "*"}:
        return EVERYWHERE
    if "/" in host or " " in host:
        raise BadRequest(f"--listen {text!r} is not an address; {FORMS}", param="listen")
    if ":" in host or text.startswith("["):
        try:
            address = ipaddress.IPv6Address(host.partition("%")[0])
        except ValueError as error:
            raise BadRequest(f"--listen {text!r}: {host!r} is not an IPv6 address; {FORMS}", param="listen") from error
        if address.is_unspecified:
            return EVERYWHERE  # as people know it from other servers: a socket on :: takes IPv4 too, unless told not to
        return (host,) if address.ipv4_mapped is None else (str(address.ipv4_mapped),)
    return (host,)
