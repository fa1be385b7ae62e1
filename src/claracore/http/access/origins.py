"""Which web pages may use the models, and under which names are we reached?

A page in a browser can send requests to us although we never invited it. Who is no page (curl, an SDK, a server) sends
no Origin and is not concerned. Why each rule: docs/threat-model.md.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from claracore.core.ports.address import is_address, is_localhost
from claracore.errors import Forbidden
from claracore.host.sockets.host import own_names

LOCAL_NAMES = (
    ".localhost", ".local", ".lan", ".internal", ".home", ".home.arpa", ".localdomain", ".svc", ".ts.net",
)  # fmt: skip
"""Nobody can buy a name under these, so no stranger can point one at us (RFC 6761, 6762, 8375, ICANN's list of names
that are not delegated; in tailnets Tailscale says which address a name has)."""
FOR_ANY_KEY: Final = re.compile(
    r"/v1/models(/.*)?|/models|/props|/api/(version|tags|ps|show|recipes|v0/models(/.*)?|v1/models)"
)
"""What tells which models there are: any key may read it, and so may the pages that may use the models."""
APP_SCHEMES = frozenset(
    {
        "app", "capacitor", "chrome-extension", "moz-extension", "safari-web-extension", "tauri", "vscode-file",
        "vscode-webview",
    }
)  # fmt: skip
"""Origins of programs that a person has installed; no web site can have one."""
logger = logging.getLogger("claracore.api")

MOST_REMEMBERED = 256
_WITHOUT_ORIGIN = frozenset((b"GET", b"HEAD"))
# RFC 3986, as a whole or not at all: readers that stop at the first bracket or colon take `[::1].evil.example` and
# `127.0.0.1:1.evil.example` for this machine.
_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]+(?:%[0-9a-z._~%-]+)?)\]|([^\s/?#@:\[\]\\]+))(?::[0-9]*)?")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the person who started ClaraCore has said about access."""

    insecure: bool = False
    """Other hosts may administer although there is no key."""
    allowed_hosts: frozenset[str] = frozenset()
    """Further names under which we are reached, in lower case: those of a proxy in front of us."""
    cors_origins: frozenset[str] = frozenset()
    """Origins whose pages may use the models, in lower case; `*` is all."""
    own_names: frozenset[str] = field(default_factory=own_names)

    def knows_host(self, authority: str) -> bool:
        """Whether `host:port` is an address or a name that no stranger's name server answers for."""
        name = name_in(authority)
        if not name:
            return False
        if "." not in name or is_address(name):
            return True
        return name in self.own_names or name in self.allowed_hosts or name.endswith(LOCAL_NAMES)

    def is_our_page(self, url: str, host: str) -> bool:
        """Whether a page is one of ours: of the host that was asked, or of a name under which a proxy offers us."""
        found = _ORIGIN.match(url.lower())
        name = name_in(found[2]) if found is not None else ""
        if found is None or not name:
            return False
        return name in self.allowed_hosts or (found[2] == host.lower() and self.knows_host(host))


def check_host(rules: Rules, host: bytes) -> None:
    """Refuse names that a stranger's name server may answer for (DNS rebinding). Raises Forbidden."""
    written = host.decode("latin-1")
    if written and not rules.knows_host(written):  # none: HTTP/1.0; browsers always send one
        name = name_in(written)
        raise Forbidden(
            f"the host name {name!r} is not known: reach ClaraCore by its address, "
            f"or start it with --allowed-host {name}"
        )


def is_for_pages(path: str) -> bool:
    """Whether pages that may use the models may read what is answered at a path, though it is not for a model."""
    return path == "/health" or path.startswith("/v1/") or FOR_ANY_KEY.fullmatch(path) is not None


class Origins:
    """Decides about pages that want inference; remembers what it has decided."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        """What the command line and the configuration say now."""
        self._chosen = rules
        self._decided: dict[tuple[bytes, bytes], bool] = {}
        self._noted: set[str] = set()
        """The refused pages of which the log has a line."""

    def configure(self, allowed_hosts: Iterable[str], cors_origins: Iterable[str]) -> None:
        """Allow, beside what the command line does, what the configuration does now."""
        names, pages = hosts(allowed_hosts), hosts(cors_origins)
        chosen = self._chosen
        self.rules = replace(
            chosen, allowed_hosts=chosen.allowed_hosts | names, cors_origins=chosen.cors_origins | pages
        )
        self._decided.clear()

    def check(self, method: bytes, noted: dict[bytes, bytes], *, has_key: bool) -> bytes:
        """Return the origin that the answer is to name, empty for none. Raises Forbidden for uninvited pages."""
        origin = noted.get(b"origin")
        if origin is None:
            # To its own site a page sends a GET without an Origin: when its name suddenly means us, only Host tells.
            if method in _WITHOUT_ORIGIN and not has_key:
                check_host(self.rules, noted.get(b"host", b""))
            if noted.get(b"sec-fetch-site") == b"cross-site":
                raise Forbidden("a page of another site may not use the models")
            if method in _WITHOUT_ORIGIN:
                self._check_referer(noted)
            return b""
        if not self.allows(origin, noted.get(b"host", b"")):
            raise self.refused(origin.decode("latin-1"))
        return origin

    def refused(self, page: str) -> Forbidden:
        """Return the error for a page that may not use the models; the log has a line for the first of each origin."""
        page = repr(page[:100])[1:-1]  # as it may stand in a log
        way_out = f"allow it with --cors-origin {page}"
        if page not in self._noted and len(self._noted) < MOST_REMEMBERED:
            self._noted.add(page)
            logger.warning("a page of %s wanted to use the models: %s, or name it in cors_origins", page, way_out)
        return Forbidden(f"a page of '{page}' may not use the models here; {way_out}")

    def reader(self, noted: dict[bytes, bytes]) -> bytes:
        """Return the origin of a page that may use the models, and so read what is answered; empty for no such page."""
        origin = noted.get(b"origin", b"")
        return origin if origin and self.allows(origin, noted.get(b"host", b"")) else b""

    def _check_referer(self, noted: dict[bytes, bytes]) -> None:
        """Refuse an <img>, a <script>, a link or a form's GET of an uninvited page. Raises Forbidden.

        They name no origin. Browsers say whence they come by Sec-Fetch-Site, but only to https and to this machine.
        """
        site = noted.get(b"sec-fetch-site", b"")
        if site in (b"same-origin", b"none"):
            return
        host, referer = noted.get(b"host", b""), noted.get(b"referer", b"")
        found = _ORIGIN.match(referer.decode("latin-1").lower())
        if referer and (found is None or not self.allows(found[0].encode("latin-1"), host)):
            raise self.refused(found[0] if found is not None else referer.decode("latin-1"))
        # The neighbours of `ai.example.com` are other people's; those of `localhost` are this machine's.
        if site and not referer and not is_localhost(name_in(host.decode("latin-1"))):
            raise Forbidden("a page of a neighbouring site that withholds its name may not use the models")

    def allows(self, origin: bytes, host: bytes) -> bool:
        """Whether pages of an origin may use the models."""
        known = self._decided.get((origin, host))
        if known is None:
            if len(self._decided) >= MOST_REMEMBERED:
                self._decided.clear()
            known = self._decide(origin.decode("latin-1").lower(), host.decode("latin-1"))
            self._decided[origin, host] = known
        return known

    def _decide(self, origin: str, host: str) -> bool:
        rules = self.rules
        if origin in rules.cors_origins or "*" in rules.cors_origins or rules.is_our_page(origin, host):
            return True
        found = _ORIGIN.fullmatch(origin)
        return found is not None and (found[1] in APP_SCHEMES or is_localhost(name_in(found[2])))


def name_in(authority: str) -> str:
    """Return the host of `host:port` in lower case, without brackets and a final dot; empty for nonsense."""
    found = _AUTHORITY.fullmatch(authority.lower())
    if found is None:
        return ""
    address, name = found.groups()
    return str(name).removesuffix(".") if address is None else str(address) if is_address(address) else ""


def cors_fields(origin: bytes) -> list[tuple[bytes, bytes]]:
    """Return the header fields that let a page of this origin read an answer; none when there is no page."""
    if not origin:
        return []
    # `*`: also when to come again, and how much is left of a limit.
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", b"*"),
        (b"vary", b"Origin"),
    ]


def cors_lines(origin: bytes) -> list[bytes]:
    """Return the same as lines of a head."""
    return [b"%b: %b" % (name.title(), value) for name, value in cors_fields(origin)]


def hosts(names: Iterable[str]) -> frozenset[str]:
    """Return names as `Rules` wants them."""
    return frozenset(name.lower().rstrip("/") for name in names)
