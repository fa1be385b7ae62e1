"""Under which names, for which pages and through which proxies is ClaraCore reached?"""

from __future__ import annotations

from claracore.core.config.fields import Section, option


class Entrance(Section):
    """How ClaraCore is reached from outside."""

    allowed_hosts: tuple[str, ...] = option(
        (), "Further names under which it is reached, e.g. that of a proxy; beside those of --allowed-host."
    )
    cors_origins: tuple[str, ...] = option(
        (),
        "Origins whose pages may use the models, e.g. https://chat.example; * is all. Beside those of --cors-origin.",
    )
