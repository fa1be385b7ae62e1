"""Another build of an engine comes into use while a server starts: who is said to have loaded it, and what is next?"""

from __future__ import annotations

import contextlib
import os
import shlex
import threading
from typing import TYPE_CHECKING

import psutil
import pytest

from claracore.core.cluster.beside import TakenPart
from claracore.core.config.load import load
from claracore.core.ports.listen import Listen
from claracore.host.engines.abilities import Abilities
from claracore.host.engines.find import Engine
from claracore.host.sockets.host import plan_here
from claracore.host.sockets.ports import PortKeeper
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.configuration import Configuration, Sources
from claracore.host.supervisor.life import LocalRunner
from claracore.host.supervisor.loop import Supervisor
from claracore.host.supervisor.prepared import ReadingContext, prepare_texts
from claracore.host.supervisor.surroundings import Surroundings
from e2e.instance import configured
from fakes import command
from fakes.ports import free_port
from fakes.running import LOOPS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from claracore.core.config.model import ModelConfig
    from claracore.errors import ClaraCoreError
    from fakes.running import Run

loops = pytest.mark.parametrize("run", LOOPS)


def engine(path: Path) -> Engine:
    return Engine((str(path),), "llama-server", "", Abilities(), False)


class Guard:
    """Writes down which program has loaded what."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.loaded: list[tuple[str, str]] = []

    def became_ready(self, model: ModelConfig, program: str) -> None:
        self.loaded.append((model.id, program))

    def failed(self, model: ModelConfig, program: str, error: ClaraCoreError) -> bool:
        raise AssertionError((model, program, error))


class ComesMeanwhile:
    """Stands for who keeps conversations: while it is asked, another build comes into use."""

    def __init__(self, commands: Commands, other: Engine) -> None:
        self._commands, self._other = commands, other

    async def begin(self, _model: ModelConfig) -> None:
        self._commands.engine = self._other


@loops
def test_the_build_that_was_started_is_the_one_that_has_loaded_the_model(run: Run, tmp_path: Path) -> None:
    programs = [tmp_path / name / "llama-server" for name in ("first", "second")]
    for program in programs:
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexport BUILD={program}\nexec {shlex.join(command())} "$@"\n')
        program.chmod(0o755)
    first, second = map(engine, programs)
    text = f"startPort: {free_port()}\nmodels:\n  a: {{cmd: 'llama-server --port ${{PORT}}'}}\n"
    config = load(text, env={}).config
    assert config is not None
    guard = Guard()
    commands = Commands(first, lambda _: Abilities(), guard)
    plan = plan_here(config, Listen(), places={})

    async def story() -> None:
        keeper = stack.enter_context(
            contextlib.closing(PortKeeper(plan, state_dir=tmp_path, ledger_dir=tmp_path / "ledger"))
        )
        around = Surroundings(
            keeper, commands, dict(os.environ), tmp_path / "sockets",
            conversations=ComesMeanwhile(commands, second),  # type: ignore[arg-type]
        )  # fmt: skip
        supervisor = Supervisor(config, LocalRunner(around))
        try:
            await supervisor.load("a")
            running = supervisor.running("a")
            assert running is not None
            assert psutil.Process(running.pid).environ()["BUILD"] == str(programs[1])
        finally:
            await supervisor.shut_down(0.0)
        assert guard.loaded == [("a", str(programs[1]))]

    with contextlib.ExitStack() as stack:
        run(story())


def test_a_look_that_was_slow_does_not_bring_back_an_older_build(tmp_path: Path) -> None:
    old, new = engine(tmp_path / "old"), engine(tmp_path / "new")
    in_use = [old]
    sources = Sources(configured(tmp_path, "models: {}\n"))
    guard = Guard()
    quick = threading.Thread(target=lambda: guard.changed())  # noqa: PLW0108 - another one by then

    def find(_wish: str | None) -> Engine:
        now = in_use[0]
        if now is old:
            in_use[0] = new
            quick.start()
            quick.join(0.2)  # it ends where nothing holds it off
        return now

    commands = Commands(None, lambda _: Abilities(), guard)
    Configuration(
        sources, prepare_texts(sources.texts(), TakenPart(), ReadingContext({}, Listen())), listen=Listen(),
        environ={}, commands=commands, find_engine=find, state_dir=None, tell=lambda _: None,
    )  # fmt: skip
    guard.changed()
    quick.join()
    assert commands.engine is new
