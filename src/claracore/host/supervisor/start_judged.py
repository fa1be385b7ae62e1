"""What does it mean that a server ended before it was ready: is it a matter of its port, of memory, or of the model?"""

from __future__ import annotations

from dataclasses import dataclass

from claracore.core.config.model import ModelConfig
from claracore.core.ports.bindfail import is_bind_failure
from claracore.errors import ModelFailed
from claracore.host.sockets.ports import Lease
from claracore.host.supervisor.child import Exit
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.program import SpawnFailed
from claracore.host.supervisor.ran_out import RanOutOfMemory, StartLog
from claracore.host.supervisor.start_failures import BindFailed, HeldFromIt
from claracore.host.supervisor.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class BrokenStart:
    """A start that came to nothing: of what, on which port, and what was printed (all that, and its last lines)."""

    model: ModelConfig
    lease: Lease | None
    around: Surroundings
    printed: tuple[str, ...]
    log: StartLog


def why_not_ready(start: BrokenStart, reason: str, how: Exit | None) -> Exception:
    """Return what it means; `how` the server ended, None if it still runs. The port's keeper learns from it."""
    model, lease, keeper = start.model, start.lease, start.around.keeper
    no_bind = lease is None or not is_bind_failure(start.printed, port=lease.port)
    if how is not None and no_bind and (shown := start.log.why(how)) is not None:
        return RanOutOfMemory(model.id, reason, start.printed, shown)
    if lease is not None and how is not None:
        if keeper.doubt(lease):
            return HeldFromIt()
        if is_bind_failure(start.printed, port=lease.port):
            return BindFailed(next((line for line in start.printed if is_bind_failure([line])), ""))
    hint = start.around.commands.hint(model, returned=how is not None and how.code == 0)
    return ModelFailed(model.id, reason + hint, start.printed, start.log.explained(how))


def not_spawned(model: ModelConfig, error: SpawnFailed, commands: Commands) -> SpawnFailed:
    """Return the error of a model whose command could not be started at all, with what it means."""
    from claracore.core.loading.explain import not_started  # noqa: PLC0415 - compiles a table of expressions

    way_out = commands.way_out(model)
    failed = SpawnFailed(f"model {model.id!r}: {error.message}{way_out}")
    failed.explained = not_started(error.message, way_out)
    return failed
