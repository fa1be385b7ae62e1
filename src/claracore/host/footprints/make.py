"""How is put together what knows what models take of memory?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from claracore.host.footprints.lesser import LesserCommands
from claracore.host.footprints.model_memory import NO_TEXTS, FootprintTools, ModelMemory, Texts
from claracore.host.supervisor.commands import Commands


def make_model_memory(
    commands: Commands, environ: Mapping[str, str], state_dir: Path | None, texts: Texts = NO_TEXTS
) -> ModelMemory:
    """Return who knows what models take; nothing is looked at yet. `texts` reads the files of the configuration."""

    def make_tools() -> FootprintTools:
        """Look at the machine and at what is remembered. What that needs is imported when it is done."""
        from claracore.host.footprints.command_reader import CommandReader  # noqa: PLC0415 - no start waits for it
        from claracore.host.footprints.remembered import RememberedCommands  # noqa: PLC0415 - as above
        from claracore.host.hardware.memory_devices import MemoryDevices  # noqa: PLC0415 - as above
        from claracore.host.hardware.probe import probe  # noqa: PLC0415 - as above
        from claracore.host.setup.machine import machine_of_models  # noqa: PLC0415 - as above

        devices = MemoryDevices(machine_of_models(commands.engine), probe().gpus)
        return FootprintTools(devices, CommandReader(commands, environ, state_dir), RememberedCommands(state_dir))

    return ModelMemory(make_tools, LesserCommands(state_dir), texts)
