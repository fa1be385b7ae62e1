"""Who runs a model that several machines run together, and who one of this machine alone?"""

from __future__ import annotations

from collections.abc import Hashable

from claracore.core.cluster.model import NodeState
from claracore.core.config.model import ModelConfig
from claracore.core.config.ranks import is_spread
from claracore.errors import ClaraCoreError
from claracore.host.cluster.crews import Crews
from claracore.host.cluster.identity import head_name
from claracore.host.logs.output import OutputRing
from claracore.host.sockets.ports import PortKeeper
from claracore.host.supervisor.remote import ClusterRunner
from claracore.host.supervisor.runner import RunListener, ServerRun
from claracore.host.supervisor.spread_run import SpreadRun, SpreadRuns


def spread_over(runner: ClusterRunner, keeper: PortKeeper, configuration: str, web_port: int) -> SpreadRunner:
    """Return a runner that has models run by several machines of a cluster, and all others by another runner.

    `configuration` names the one of this ClaraCore, which serves at `web_port`.
    """
    return SpreadRunner(SpreadRuns(runner, Crews(runner.cluster), keeper, head_name(configuration), web_port))


class SpreadRunner:
    """A `Runner` that has models run by several machines where their configuration says so."""

    def __init__(self, around: SpreadRuns) -> None:
        self._around = around

    def new_run(self, model: ModelConfig, output: OutputRing, listener: RunListener) -> ServerRun:
        """Return a run on several machines, or whatever the other runner has."""
        if is_spread(model):
            return SpreadRun(model, self._around, output, listener)
        return self._around.local.new_run(model, output, listener)

    async def foreseen(self, model: ModelConfig, output: OutputRing) -> ClaraCoreError | None:
        """Return with what a start is sure to fail: here, or because there are too few machines."""
        found = await self._around.local.foreseen(model, output)
        return await self._around.crews.foreseen(model) if found is None and is_spread(model) else found

    def stamp(self, model: ModelConfig) -> Hashable:
        """Return what another start depends on: the files here, and which machines are there."""
        local = self._around.local.stamp(model)
        if not is_spread(model):
            return local
        nodes = self._around.crews.cluster.nodes.values()
        return local, tuple(sorted(node.name for node in nodes if node.state is NodeState.UP))
