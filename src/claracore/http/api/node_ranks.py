"""Which ranks of models that several machines run together does a machine run, for people?"""

from __future__ import annotations

from claracore.http.api.parts import Runtime
from claracore.types import ModelState


def ranks_here(runtime: Runtime) -> list[str]:
    """Return the ranks that run here for other machines."""
    held = [name for name in sorted(runtime.held_ranks.names) if runtime.supervisor.state(name) is ModelState.READY]
    return [f"rank {rank} of {model_id}" for model_id, _, rank in (name.rpartition(".rank") for name in held)]


def ranks_at(runtime: Runtime, node: str) -> list[str]:
    """Return the ranks of models of this machine's that run on another one."""
    return [
        f"rank {rank} of {model_id}"
        for model_id, running in sorted(runtime.supervisor.all_running().items())
        for rank, there in running.ranks.items()
        if there == node and running.state is ModelState.READY
    ]
