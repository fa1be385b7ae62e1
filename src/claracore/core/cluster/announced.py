"""What does a ClaraCore announce of itself on its network, and which lines of a configuration follow from that?

Pure. DNS-SD (RFC 6763): an instance of `_claracore._tcp` with a port and properties. Whoever is on the network can
announce anything, so nothing here is believed further than a person sees it: what is proposed is read and written down
by them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from claracore.core.config.entrance import base_path_of
from claracore.core.ports.listen import bracketed

SERVICE: Final = "_claracore._tcp.local."
LONGEST_TEXT: Final = 60
"""Characters of a name, a version or a path that are shown."""
_NOT_IN_NAME: Final = re.compile(r"[^a-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Announced:
    """A ClaraCore that says it is there."""

    name: str
    host: str
    """An address, as it stands in an URL but for brackets."""
    port: int
    tls: bool = False
    base_path: str = ""
    version: str = ""
    identity: str = ""
    """As `GET /api/node` has it: a machine finds itself, too."""

    @property
    def url(self) -> str:
        """Where it says that it is reached."""
        return f"{'https' if self.tls else 'http'}://{bracketed(self.host)}:{self.port}{self.base_path}"


def properties(version: str, identity: str, *, tls: bool, base_path: str) -> dict[str, str]:
    """Return what is announced beside name, address and port."""
    return {"version": version, "id": identity, "tls": "1" if tls else "0", "path": base_path}


def announced(
    instance: str, addresses: Sequence[str], port: int, said_of_itself: Mapping[bytes, bytes | None]
) -> Announced | None:
    """Return what was announced; None when it could not be reached by what it says."""
    host = next(iter(sorted(filter(_is_usable, addresses), key=_worse)), None)
    if host is None or not 0 < port < 65536:
        return None
    texts = {name: _text(said_of_itself.get(name.encode())) for name in ("version", "id", "tls", "path")}
    try:
        base_path = base_path_of(texts["path"])
    except ValueError:
        return None
    name = _plain(instance.removesuffix(SERVICE).rstrip("."))
    return Announced(name, host, port, texts["tls"] == "1", base_path, texts["version"], texts["id"])


def proposal(found: Sequence[Announced], taken: Collection[str] = ()) -> str:
    """Return the lines for `peers` that have these followed; `taken` are the names that peers have already."""
    lines = ["peers:"]
    names = set(taken)
    for each in found:
        name = _peer_name(each.name, names)
        names.add(name)
        lines += [f"  {name}:", f"    proxy: {each.url}", "    models: auto"]
        lines += ["    # apiKey: ${env." + _variable(name) + "}   # if it asks for a key"]
        if each.tls:
            lines += ['    # fingerprint: "..."   # docs/machines.md, unless an authority has signed its certificate']
    return "\n".join(lines)


def _is_usable(address: str) -> bool:
    """Whether others reach it: a link-local address of IPv6 has no meaning without the interface."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (found.is_unspecified or found.is_multicast or (found.version == 6 and found.is_link_local))


def _worse(address: str) -> tuple[bool, bool]:
    found = ipaddress.ip_address(address)
    return found.is_loopback, found.version == 6


def _text(raw: bytes | None) -> str:
    return _plain((raw or b"").decode("utf-8", "replace"))


def _plain(text: str) -> str:
    """Return a text that a terminal shows as it is."""
    return "".join(letter for letter in text if letter.isprintable())[:LONGEST_TEXT]


def _peer_name(name: str, taken: Collection[str]) -> str:
    plain = _NOT_IN_NAME.sub("-", name.lower()).strip("-.") or "peer"
    # YAML reads "1e3" and "no" as other things than names; a name of ours begins with a letter.
    plain = (
        plain
        if plain[0].isalpha() and plain not in {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
        else f"node-{plain}"
    )
    tries = (plain if number == 1 else f"{plain}-{number}" for number in range(1, len(taken) + 2))
    return next(each for each in tries if each not in taken)


def _variable(name: str) -> str:
    return f"{re.sub(r'[^A-Z0-9]', '_', name.upper())}_KEY"
