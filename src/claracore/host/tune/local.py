"""How is a model tuned where no server runs: who starts it, on which port, and who ends it?

The same parts as a server's, without a gateway: ports are held and leased, what a dead instance has left is ended, and
at the end nothing of it runs any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from claracore.core.ports.listen import Listen
from claracore.errors import ModelNotFound
from claracore.host.engines.find import abilities_of, found_engine
from claracore.host.footprints.make import make_model_memory
from claracore.host.footprints.measurer import Measurer
from claracore.host.sockets.history import load_history
from claracore.host.sockets.ports import PortKeeper
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.configuration import Sources
from claracore.host.supervisor.kin import adopting
from claracore.host.supervisor.life import LocalRunner
from claracore.host.supervisor.loop import Supervisor
from claracore.host.supervisor.prepared import prepare
from claracore.host.supervisor.surroundings import Surroundings
from claracore.host.tune.case import Looking, tunable
from claracore.host.tune.tuner import Tuner


@dataclass(frozen=True, slots=True)
class TuneWish:
    """What is to be tuned: a model of a configuration, and for how many seconds trials are begun."""

    file: Path
    model: str
    seconds: float


@contextlib.asynccontextmanager
async def local_tuner(wish: TuneWish, state_dir: Path | None, environ: Mapping[str, str]) -> AsyncIterator[Tuner]:
    """Give who tunes the model; when the block ends, every server that was started has ended, and ports are let go.

    Raises ConfigError, FileUnusable, ModelNotFound, BadRequest (it cannot be tuned).
    """
    sources = Sources(wish.file)
    prepared = prepare(sources.read(environ), Listen(port=5800), load_history(state_dir, sources.key))
    config = prepared.config
    model_id = config.resolve(wish.model)
    if model_id is None:
        raise ModelNotFound(wish.model, config.models)
    commands = Commands(await asyncio.to_thread(found_engine, config.engine), abilities_of)
    await asyncio.to_thread(commands.learn, config.models.values())
    with contextlib.ExitStack() as stack:
        stack.enter_context(adopting())
        keeper = stack.enter_context(contextlib.closing(PortKeeper(prepared.plan, state_dir=state_dir)))
        await asyncio.to_thread(keeper.ledger.sweep)
        memory = make_model_memory(commands, environ, state_dir)
        supervisor = Supervisor(config, LocalRunner(Surroundings(keeper, commands, environ, None)), memory)
        memory.follow(supervisor.looks.learn_soon)
        measurer = Measurer(supervisor, memory)
        supervisor.follow(measurer)
        try:
            looking = await Looking.by(memory, commands)
            found = await asyncio.to_thread(tunable, config, model_id, looking)
            yield Tuner(supervisor, lambda: config, found, wish.seconds)
        finally:
            await measurer.close()
            await supervisor.shut_down(0.0)
