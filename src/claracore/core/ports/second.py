"""On which address beside our own do clients of Ollama look for us?

`ollama.listen` in the configuration says it, else `--ollama` means where Ollama itself listens. Nothing there keeps
ClaraCore from serving on its own address: what is wrong is a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from claracore.core.config.model import Config
from claracore.core.ports.listen import LOOPBACK, Listen, parse_listen
from claracore.errors import BadRequest
from claracore.types import Finding, Place

OLLAMA_PORT: Final = 11434
PATH: Final = "ollama.listen"


def second_address(
    config: Config, web: Listen, *, wanted: bool, places: Mapping[str, Place]
) -> tuple[Listen | None, list[Finding]]:
    """Return the address, None for none, and what is wrong with it; `wanted`: `--ollama` was given."""
    text = config.ollama.listen
    if not text:
        address = Listen(LOOPBACK, OLLAMA_PORT) if wanted else None
        return (address if address is None or address.port != web.port else None), []
    place = places.get(PATH)
    try:
        address = parse_listen(text)
    except BadRequest as error:
        words = error.message.replace("--listen", PATH)
        return None, [Finding("error", words, PATH, place, f"write 127.0.0.1:{OLLAMA_PORT}")]
    if address.auto or not address.port:
        message = f"{text!r} leaves the port open, and clients of Ollama look on a certain one"
        return None, [Finding("error", message, PATH, place, f"write 127.0.0.1:{OLLAMA_PORT}")]
    if address.port == web.port:
        message = f"port {web.port} is the one on which ClaraCore is served anyway"
        return None, [Finding("warning", message, PATH, place, "take ollama.listen out, or write another port")]
    return address, []


def not_open(address: Listen, why: str, url: str) -> Finding:
    """Return the finding for an address that cannot be had, because of `why`; `url` is where ClaraCore is served."""
    stop = "stop it (`systemctl stop ollama`, or quit its app)" if "ollama" in why.lower() else "stop that process"
    return Finding(
        "warning",
        f"port {address.port} for clients of Ollama is taken by {why}\n"
        f"  ClaraCore is served at {url} all the same; who asks on port {address.port} does not reach it",
        PATH,
        None,
        f"{stop} and reload the configuration (POST /api/config/reload, or SIGHUP), give Ollama another address by "
        f"OLLAMA_HOST, set {PATH} to another one, or tell its clients {url}",
    )
