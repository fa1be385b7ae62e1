"""Where is what servers took remembered, from one start to the next?

One JSON file in the state folder, for all configurations and instances that use it: what a command takes is the same in
each. Losing it is no harm beyond one load that is only estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from claracore import __version__
from claracore.core.memory.measured import Learnt, MeasuredCommand, with_need, with_run
from claracore.host.state_file import StateFile, typed

FILE: Final = "measured.json"
VERSION: Final = 1
MOST_COMMANDS: Final = 300


class KeptCommands(msgspec.Struct):
    """The file's contents."""

    version: int
    counted_by: str
    """Which ClaraCore expected what was expected: another one counts differently."""
    commands: dict[str, MeasuredCommand]


class RememberedCommands:
    """What each command took, by its key (`core.memory.command_key`); for any thread."""

    def __init__(self, state_dir: Path | None) -> None:
        """Without a state folder it is remembered for as long as the object lives."""
        self.path = state_dir / FILE if state_dir is not None else None
        self._file = StateFile(
            self.path, typed(KeptCommands), version=VERSION, without="what models take is measured anew"
        )
        self.learnt = Learnt(_commands_of(self._file.read()))
        """What is known at this moment; another object after each measurement."""

    @property
    def commands(self) -> Mapping[str, MeasuredCommand]:
        """What each command took, by key."""
        return self.learnt.commands

    def add(self, key: str, measured: MeasuredCommand, *, same_run: bool) -> None:
        """Remember one more measurement; where the disk refuses, for as long as the object lives."""
        self._change(key, lambda before: with_run(before, measured, same_run=same_run))

    def add_need(self, key: str, needed: MeasuredCommand) -> None:
        """Remember what a command needs that ran out of memory; as `add` otherwise."""
        self._change(key, lambda before: with_need(before, needed))

    def _change(self, key: str, after: Callable[[MeasuredCommand | None], MeasuredCommand]) -> None:
        def edit(kept: KeptCommands | None) -> KeptCommands:
            known = {**self.commands, **_commands_of(kept)}
            newest = sorted({**known, key: after(known.get(key))}.items(), key=lambda item: -item[1].at)
            self.learnt = Learnt(dict(newest[:MOST_COMMANDS]))
            return KeptCommands(VERSION, __version__, dict(self.commands))

        self._file.change(edit)


def _commands_of(kept: KeptCommands | None) -> dict[str, MeasuredCommand]:
    if kept is None:
        return {}
    if kept.counted_by == __version__:
        return kept.commands
    return {key: replace(command, expected={}) for key, command in kept.commands.items()}


def learnt_here(state_dir: Path | None) -> Learnt:
    """Return what models were seen to take on this machine, by what is remembered in the state folder."""
    return RememberedCommands(state_dir).learnt
