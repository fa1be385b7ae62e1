"""What is said of the configuration is said when it is in force, to whoever has changed it and to whoever looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from claracore.core.cluster.beside import TakenPart
from claracore.core.config.changes import Changes
from claracore.core.config.model import ModelConfig
from claracore.core.ports.listen import Listen
from claracore.errors import ConfigError
from claracore.host.store import files
from claracore.host.supervisor.configuration import Configuration, Sources
from claracore.host.supervisor.prepared import Prepared, ReadingContext, prepare_texts

LISTEN = Listen(("127.0.0.1",), 5800)


class NoCommands:
    """What learns of the models' commands before they are in force."""

    builds = None

    def __init__(self) -> None:
        self.on_learn: Callable[[], None] = lambda: None

    def learn(self, _models: Iterable[ModelConfig]) -> None:
        self.on_learn()


def configuration(folder: Path) -> tuple[Configuration, NoCommands]:
    """Return one without models, and what its models' commands are told to."""
    file, commands = folder / "config.yaml", NoCommands()
    file.write_text("models: {}\n")
    sources = Sources(file)
    known: Any = commands
    prepared = prepare_texts(sources.texts(), TakenPart(), ReadingContext({}, LISTEN, {}))
    made = Configuration(
        sources,
        prepared,
        listen=LISTEN,
        environ={},
        commands=known,
        find_engine=lambda _: None,
        state_dir=folder,
        tell=lambda _: None,
    )
    return made, commands


def test_a_change_says_what_came_of_it_where_the_watcher_of_the_file_was_quicker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        served, _ = configuration(tmp_path)
        loop, write = asyncio.get_running_loop(), files.change

        def write_and_be_seen(*what: Any, **more: Any) -> files.Written:
            written = write(*what, **more)
            asyncio.run_coroutine_threadsafe(served.reload(), loop).result(20)
            return written

        monkeypatch.setattr(files, "change", write_and_be_seen)
        _, changes = await served.change(lambda _: "models: {m: {cmd: x --port ${PORT}}}\n")
        assert changes.added == frozenset({"m"})
        assert "m" in served.now.config.models

    asyncio.run(story())


def test_a_file_counts_as_rejected_until_the_next_one_is_in_force(tmp_path: Path) -> None:
    async def story() -> None:
        served, commands = configuration(tmp_path)
        (tmp_path / "config.yaml").write_text("models: 7\n")
        with pytest.raises(ConfigError):
            await served.reload()
        (tmp_path / "config.yaml").write_text("models: {m: {cmd: x --port ${PORT}}}\n")
        seen = []
        commands.on_learn = lambda: seen.append((bool(served.rejected), "m" in served.now.config.models))
        await served.reload()
        assert seen == [(True, False)]
        assert (served.rejected, "m" in served.now.config.models) == ((), True)

    asyncio.run(story())


class SlowToOpen:
    """Who follows the configuration by something that takes a while."""

    def __init__(self) -> None:
        self.opening, self.may_open, self.is_open = asyncio.Event(), asyncio.Event(), False

    def apply(self, prepared: Prepared, changes: Changes) -> None:
        """Nothing: all of it comes later."""

    async def reloaded(self) -> None:
        self.opening.set()
        await self.may_open.wait()
        self.is_open = True


def test_a_change_is_over_when_what_takes_a_while_is_done(tmp_path: Path) -> None:
    async def story() -> None:
        served, _ = configuration(tmp_path)
        door = SlowToOpen()
        served.follow(door)
        changed = asyncio.ensure_future(served.change(lambda _: "models: {m: {cmd: x --port ${PORT}}}\n"))
        async with asyncio.timeout(20):
            await door.opening.wait()
            door.may_open.set()
            await changed
        assert door.is_open

    asyncio.run(story())
