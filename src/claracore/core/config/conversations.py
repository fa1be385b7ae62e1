"""What of conversations outlives the models' servers, and where?"""

from __future__ import annotations

from claracore.core.config.fields import Bytes, Place, Seconds, Section, option


class Conversations(Section):
    """What models have read of conversations outlives their servers, so that nothing is read twice after a swap."""

    keep: Place = option(
        "memory",
        "memory: as long as ClaraCore runs, in RAM (tmpfs); disk: in the state folder, over restarts as well; off: not "
        "at all. These files hold what was said.",
    )
    limit: Bytes = option(
        8 << 30,
        "The most that they may take. In memory never more than a quarter of what is free.",
        default_text="8GiB",
    )
    min_tokens: int = option(256, "A conversation with fewer tokens is read again.", ge=0)
    ttl_seconds: Seconds = option(
        604_800.0, "How long a conversation is kept that nobody goes on with.", key="ttl", default_text="7d"
    )
