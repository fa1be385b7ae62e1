"""Does each installed build still run, and is there a newer one?"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from claracore.core.engines.environments import BACKEND, ENVIRONMENTS
from claracore.core.engines.installed import InstalledEngine, engine_id
from claracore.core.engines.job import EngineWish
from claracore.core.engines.sources import SOURCES, USUAL
from claracore.errors import ClaraCoreError
from claracore.host.engines.environments import try_environment
from claracore.host.engines.installed import EngineFolders
from claracore.host.engines.manager import EngineManager
from claracore.host.engines.newest import SeenBuild, remember_newest
from claracore.host.engines.trial import try_out
from claracore.host.engines.views import EngineCheckView, EnginesCheckView, plan_view

NOT_KNOWN: Final = "this engine has no entry in the table of sources"


async def check_engines(manager: EngineManager) -> EnginesCheckView:
    """Try each build, and ask for the newest with the backend in use. Raises nothing of the network's."""
    checks = await asyncio.to_thread(lambda: [_checked(one, manager.folders) for one in manager.folders.engines()])
    present = await asyncio.to_thread(manager.folders.in_use, USUAL)
    wish = EngineWish(backend=present.backend) if present is not None else EngineWish()
    try:
        choice, devices = await manager.plan(wish)
    except ClaraCoreError as error:
        return EnginesCheckView(checks=checks, newest=None, newest_problem=error.message)
    newest = await asyncio.to_thread(plan_view, choice, wish.name, manager.folders, list(devices))
    seen = SeenBuild(engine_id(wish.name, choice.release.tag, str(choice.backend)), choice.release.tag, time.time())
    await asyncio.to_thread(remember_newest, manager.folders, wish.name, seen)
    return EnginesCheckView(checks=checks, newest=newest, newest_problem="")


def _checked(engine: InstalledEngine, folders: EngineFolders) -> EngineCheckView:
    environment = ENVIRONMENTS.get(engine.name) if engine.backend == BACKEND else None
    if environment is not None:
        try:
            try_environment(folders.program(engine), environment)
        except ClaraCoreError as error:
            return EngineCheckView(id=engine.id, problem=error.message, says="", devices=None)
        return EngineCheckView(id=engine.id, problem="", says=engine.says, devices=None)
    source = SOURCES.get(engine.name)
    if source is None:
        return EngineCheckView(id=engine.id, problem=NOT_KNOWN, says=engine.says, devices=None)
    try:
        trial = try_out(folders.program(engine), source)
    except ClaraCoreError as error:
        return EngineCheckView(id=engine.id, problem=error.message, says="", devices=None)
    devices = list(trial.devices) if trial.devices is not None else None
    return EngineCheckView(id=engine.id, problem="", says=trial.says, devices=devices)
