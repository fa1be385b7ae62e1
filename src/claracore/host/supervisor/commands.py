"""Which program does a model's command really start?

A command that says `llama-server` gets the engine that was found: the one on PATH or in the configuration, or the
embedded one, so that a file written for another machine works here. What a binary can do is learned once
(`learn`, which may take a second for each new binary) and looked up afterwards without waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import PurePath
from typing import Protocol

from claracore.core.config.command import split, uses_port
from claracore.core.config.detaching import detaching
from claracore.core.config.model import ModelConfig
from claracore.core.config.shell import habits_in
from claracore.core.fit.flags import KnownFlags
from claracore.errors import ClaraCoreError
from claracore.host.engines import embedded_flags
from claracore.host.engines.abilities import Abilities
from claracore.host.engines.embedded import embedded_version
from claracore.host.engines.find import Engine

LLAMA_SERVER = "llama-server"
EMBEDDED_MODULE = "claracore.engines.embedded"
"""What configurations that were written by earlier versions say for `claracore engine`."""
EMBEDDED_MODULES = frozenset({"claracore", EMBEDDED_MODULE})
REUSE_PORT = "--reuse-port"

NOTHING = Abilities()
EMBEDDED = Abilities(frozenset({REUSE_PORT}), tells_state=True)


class BuildGuard(Protocol):
    """Who goes back to the build of an engine before, when the one in use cannot load a model. Blocking."""

    changed: Callable[[], None]
    """Called, in whichever thread, when it has gone back."""

    def became_ready(self, model: ModelConfig, program: str) -> None:
        """Take that a program has loaded a model."""

    def failed(self, model: ModelConfig, program: str, error: ClaraCoreError) -> bool:
        """Whether a start that failed is to be made once more, with another program."""


class Commands:
    """The engine of this configuration, and the abilities of every binary that its commands name."""

    def __init__(
        self, engine: Engine | None, abilities: Callable[[str], Abilities], builds: BuildGuard | None = None
    ) -> None:
        """Take the engine, if there is one, the function that asks a binary what it can (it may block), and a guard."""
        self.engine = engine
        self.builds = builds
        """Who watches whether installed engines load what they are to load; None where nobody does."""
        self._ask = abilities
        self._known: dict[str, Abilities] = {}

    def learn(self, models: Iterable[ModelConfig]) -> None:
        """Ask each llama-server that the commands name, and that is not the engine, what it can; blocking."""
        for model in models:
            program = self._program(model)
            if PurePath(program).name.startswith(LLAMA_SERVER) and program not in self._known:
                self._known[program] = self._ask(program)

    def can_share(self, model: ModelConfig) -> bool:
        """Whether the model's server takes a port that is held for it, which needs `--reuse-port`."""
        return uses_port(model) and REUSE_PORT in self._abilities(model).flags

    def tells_state(self, model: ModelConfig) -> bool:
        """Whether the model's server reports its state to who started it (engines/states.py)."""
        return self._abilities(model).tells_state

    def known_flags(self, model: ModelConfig) -> KnownFlags:
        """Return the flags that the model's engine knows; those that all have, where it could not be asked."""
        if self.is_embedded(model):
            return KnownFlags(embedded_flags.ABILITIES)
        return KnownFlags(self._abilities(model).flags or None)

    def takes(self, model: ModelConfig, flag: str) -> bool:
        """Whether it is known that the model's server takes a flag."""
        return flag in (embedded_flags.FLAGS if self.is_embedded(model) else self._abilities(model).flags)

    def build(self, model: ModelConfig) -> str:
        """Return which engine the model's command starts, and which build of it, as far as that can be told."""
        words = split(model.cmd)
        if self._is_engine(words) and self.engine is not None:
            return f"{self.engine.argv} {self.engine.version}"
        return f"{words[:1]} {embedded_version() if _is_embedded(words) else ''}"

    def is_embedded(self, model: ModelConfig) -> bool:
        """Whether the model's engine is our own, which computes on the processor."""
        words = split(model.cmd)
        if self._is_engine(words):
            return self.engine is not None and self.engine.embedded
        return _is_embedded(words)

    def _abilities(self, model: ModelConfig) -> Abilities:
        words = split(model.cmd)
        if self._is_engine(words):
            return NOTHING if self.engine is None else self.engine.abilities
        program = next(iter(words), "")
        if _is_embedded(words):
            return EMBEDDED
        return self._known.get(program, NOTHING)

    def argv(self, argv: tuple[str, ...], *, share: bool) -> tuple[str, ...]:
        """Return the command to run: the engine in place of `llama-server`, `--reuse-port` added for a held port."""
        if self.engine is not None and self._is_engine(argv):
            argv = (*self.engine.argv, *argv[1:])
        if EMBEDDED_MODULE in argv:
            place = argv.index(EMBEDDED_MODULE)
            argv = (*argv[:place], "claracore", "engine", *argv[place + 1 :])
        return (*argv, REUSE_PORT) if share and REUSE_PORT not in argv else argv

    async def loaded(self, model: ModelConfig, program: str) -> None:
        """Note that a model became ready with the program that it was started with."""
        if self.builds is not None:
            await asyncio.to_thread(self.builds.became_ready, model, program)

    def way_out(self, model: ModelConfig) -> str:
        """Return what else to do about a program that does not start: the llama-server of another machine's file."""
        if hint := self.hint(model, returned=False):
            return hint
        if self.engine is None or PurePath(self._program(model)).stem != LLAMA_SERVER:
            return ""
        return "; with `llama-server` alone, without its path, the one that was found here is used"

    def hint(self, model: ModelConfig, *, returned: bool) -> str:
        """Return what in the command does not do what its author may think; empty when nothing is known of it.

        `returned`: it has ended as if all were well, so that it may have left its server behind.
        """
        for habit in habits_in(model.cmd):
            return f"; {habit.found}: {habit.way_out}"
        found = detaching(split(model.cmd)) if returned else None
        return f"; {found.by} returns at once and leaves the server running: {found.way_out}" if found else ""

    def _program(self, model: ModelConfig) -> str:
        words = split(model.cmd)
        return words[0] if words and not self._is_engine(words) else ""

    def _is_engine(self, words: Iterable[str]) -> bool:
        return next(iter(words), "") == LLAMA_SERVER


def _is_embedded(words: Sequence[str]) -> bool:
    """Whether a command starts our own engine: `claracore engine`, `python -m claracore engine`, or as it once was."""
    if EMBEDDED_MODULE in words[:5]:
        return True
    return any(PurePath(first).name == "claracore" and second == "engine" for first, second in pairwise(words[:6]))


def engine_words(words: Sequence[str]) -> Sequence[str]:
    """Return what an engine itself is told: the `-m` before it is Python's, and names a module."""
    for place, (flag, module) in enumerate(pairwise(words)):
        if flag == "-m" and module in EMBEDDED_MODULES:
            return words[place + 2 :]
    return words
