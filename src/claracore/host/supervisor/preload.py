"""Which models are loaded before anybody asks for them?"""

from __future__ import annotations

import logging

from claracore.errors import ClaraCoreError
from claracore.host.supervisor.loop import Supervisor

logger = logging.getLogger("claracore.supervisor")


async def preload(supervisor: Supervisor) -> None:
    """Load the models of `hooks.on_startup.preload`, one after another; a failure is logged and passed over.

    Where memory decides, a model that does not fit beside those that run is passed over as well.
    """
    await supervisor.looks.learn(supervisor.config.preload)
    for model_id in supervisor.config.preload:
        going = supervisor.preview(model_id).unloads if supervisor.by_memory else ()
        if going:
            logger.warning("preload of %s left out: it does not fit beside %s", model_id, ", ".join(going))
            continue
        try:
            await supervisor.load(model_id)
        except ClaraCoreError as error:
            logger.error("preload of %s failed: %s", model_id, error)  # noqa: TRY400 - no traceback to a user
