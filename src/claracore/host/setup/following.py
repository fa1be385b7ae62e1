"""How do models that appear in a folder come into the configuration, and those that vanish out of it, while we run?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from claracore.errors import ClaraCoreError
from claracore.host.engines.find import find_engine
from claracore.host.footprints.remembered import learnt_here
from claracore.host.library.cache import ReadingCache
from claracore.host.library.library_watch import LibraryChange, watch
from claracore.host.library.model import Library
from claracore.host.setup.opinions import SecondOpinions
from claracore.host.setup.others import Others
from claracore.host.setup.request import SetupOptions, SetupRequest
from claracore.host.setup.write import SetupReport, write_setup
from claracore.host.state import default_state_dir

logger = logging.getLogger("claracore")


@dataclass(frozen=True, slots=True)
class Following:
    """Folders whose models are kept in a configuration file while we run."""

    folders: tuple[Path, ...]
    config: Path
    setup: SetupOptions
    cache: ReadingCache
    known: Library
    """What was in the folders when they were written into the file."""


async def follow(
    following: Following, configured_engine: Callable[[], str | None], stop: asyncio.Event
) -> AsyncIterator[None]:
    """Keep the file as the folders are, until `stop` is set; yield whenever another text was written."""
    async for change in watch(following.folders, library=following.known, cache=following.cache, stop=stop):
        _log(change)
        try:
            report = await asyncio.to_thread(_write, following, configured_engine())
        except (ClaraCoreError, OSError) as error:
            logger.error("the models folder changed, but %s stays as it is: %s", following.config, error)  # noqa: TRY400
        else:
            if report.written:
                yield


def _log(change: LibraryChange) -> None:
    for kind, models in (("new", change.appeared), ("changed", change.changed), ("gone", change.vanished)):
        if models:
            logger.info("%s in the models folder: %s", kind, ", ".join(model.id for model in models))


def _write(following: Following, configured_engine: str | None) -> SetupReport:
    engine = find_engine(configured_engine)
    request = SetupRequest(
        following.folders,
        following.config,
        following.setup,
        engine,
        following.cache,
        gently=True,
        learnt=learnt_here(default_state_dir()),
        others=Others(default_state_dir()),
        opinions=SecondOpinions(engine, default_state_dir()),
    )
    return write_setup(request)
