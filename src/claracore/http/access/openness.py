"""What should a person know who lets everybody in?"""

from __future__ import annotations

import logging

from claracore.core.ports.address import is_loopback
from claracore.core.ports.listen import Listen
from claracore.http.access.keyring import KeyRing
from claracore.http.access.origins import Rules

logger = logging.getLogger("claracore.api")


def warn_if_open(listen: Listen, ring: KeyRing, rules: Rules) -> None:
    """Say loudly what an address that others reach means without keys."""
    if ring.any or all(is_loopback(host) for host in listen.hosts):
        return
    admin = "administer it" if rules.insecure else "not administer it"
    logger.warning(
        "NO API KEY: everybody who reaches %s may use the models and read the state, and may %s.\n"
        "  make a key:  claracore keys add NAME --scope admin --scope inference",
        listen,
        admin,
    )
