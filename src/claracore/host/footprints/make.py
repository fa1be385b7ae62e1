"""How is put together what measures models and knows what they take?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from claracore.host.footprints.measurer import Measurer
from claracore.host.footprints.model_memory import FootprintTools, ModelMemory
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.loop import Supervisor


def make_measurer(
    supervisor: Supervisor, commands: Commands, environ: Mapping[str, str], state_dir: Path | None
) -> Measurer:
    """Return who measures the models of a supervisor; nothing is looked at yet."""

    def make_tools() -> FootprintTools:
        """Look at the machine and at what is remembered. What that needs is imported when it is done."""
        from claracore.host.footprints.command_reader import CommandReader  # noqa: PLC0415 - no start waits for it
        from claracore.host.footprints.remembered import RememberedCommands  # noqa: PLC0415 - as above
        from claracore.host.hardware.memory_devices import MemoryDevices  # noqa: PLC0415 - as above
        from claracore.host.hardware.probe import probe  # noqa: PLC0415 - as above
        from claracore.host.setup.machine import machine_of_models  # noqa: PLC0415 - as above

        devices = MemoryDevices(machine_of_models(commands.engine), probe().gpus)
        return FootprintTools(devices, CommandReader(commands, environ, state_dir), RememberedCommands(state_dir))

    memory = ModelMemory(supervisor, lambda: supervisor.config.models, make_tools)
    return Measurer(supervisor, memory)
