"""Under which names and paths, for which pages and through which proxies is ClaraCore reached?"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator

from claracore.core.config.fields import Section, option

BASE_PATH_PATTERN = r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]{1,100}){1,10}"


def base_path_of(text: str) -> str:
    """Return a path as it stands before ours: `/llm`, `/tools/llm`; empty for none. Raises ValueError."""
    path = text.rstrip("/")
    if path and re.fullmatch(BASE_PATH_PATTERN, path) is None:
        raise ValueError(f"{text!r}: write a path like /llm, of letters, digits, '.', '_', '~' and '-'")
    return path


def _network(text: str) -> str:
    """Return an address or a network. Raises ValueError."""
    ipaddress.ip_network(text, strict=False)
    return text


class Entrance(Section):
    """How ClaraCore is reached from outside."""

    allowed_hosts: tuple[str, ...] = option(
        (), "Further names under which it is reached, e.g. that of a proxy; beside those of --allowed-host."
    )
    cors_origins: tuple[str, ...] = option(
        (),
        "Origins whose pages may use the models, e.g. https://chat.example; * is all. Beside those of --cors-origin.",
    )
    base_path: Annotated[str, AfterValidator(base_path_of)] = option(
        "",
        "Path below which a proxy offers it, e.g. /llm, whether the proxy takes it off or not; --base-path goes first.",
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = option(
        (),
        "Addresses or networks of proxies, beside this machine's, that may say that path in X-Forwarded-Prefix.",
    )
