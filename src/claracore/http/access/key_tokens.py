"""How many tokens has each key taken today, before this start?

`tokens_per_day` survives a restart: the rows of activity say it, as far as they reach back (`store`).
"""

from __future__ import annotations

import logging
import time

from claracore.core.key_limits import KeyMeters, day_began
from claracore.host.activity.database import Activity, StoreUnusable
from claracore.host.activity.queries import tokens_by_key

logger = logging.getLogger("claracore.api")


def remember_tokens(meters: KeyMeters, activity: Activity) -> None:
    """Let the meters begin with what the rows of this day say; blocking, and nothing where no key has a name."""
    if not meters.all():
        return
    unix = time.time()
    try:
        with activity.reading() as connection:
            taken = tokens_by_key(connection, day_began(unix))
    except StoreUnusable as error:
        logger.error("%s; keys begin this day with no tokens used", error)  # noqa: TRY400 - a user's disk, not a bug
        return
    for name, tokens in taken.items():
        meters.used(name, tokens, unix)
