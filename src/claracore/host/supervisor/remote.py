"""How is a model run that another machine has?

Another `Runner` beside the one for processes of this host: a run is ready at once when its node is there, and over when
the node is lost. What is started and stopped over there the node decides by itself. A node that sleeps is woken first,
which is the loading of such a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Hashable
from typing import Final

from claracore.core.cluster.model import Fit, Node, NodeModel, NodeState
from claracore.core.cluster.wanted import LONGEST_WAIT_SECONDS
from claracore.core.cluster.watch import NOT_HEARD_YET, WitnessOf
from claracore.core.config.model import ModelConfig
from claracore.core.ports.fixed import endpoint_of
from claracore.errors import ClaraCoreError, MachineLost
from claracore.host.cluster.cluster import Cluster
from claracore.host.cluster.lacking import files_not_there, may_wait
from claracore.host.cluster.members import Membership, polled_peers
from claracore.host.logs.output import OutputRing
from claracore.host.supervisor.health import Loading
from claracore.host.supervisor.runner import Outcome, RunListener, Runner, ServerRun
from claracore.host.supervisor.running import Running
from claracore.host.supervisor.stop_order import StopOrder
from claracore.types import Endpoint, ModelState

logger = logging.getLogger("claracore.cluster")

FIRST_LOOK_SECONDS: Final = 10.0
WAKE_AGAIN_SECONDS: Final = 5.0
"""A packet may be lost, and a network card may still be settling down."""


class RemoteRun:
    """A `ServerRun` of a model on another machine."""

    def __init__(self, model: ModelConfig, cluster: Cluster, listener: RunListener) -> None:
        self.restartable = False
        self._model = model
        self._cluster = cluster
        self._listener = listener
        self._node_name = (cluster.parts(model.id) or ("", ""))[0]
        self._stop = StopOrder()
        self._news = asyncio.Event()
        self._endpoint: Endpoint | None = None
        self._loading: Loading | None = None

    async def run(self) -> Outcome:
        """Be ready while the node is there, until the end is ordered."""
        self._cluster.watch(self._node_name, self._news.set)
        try:
            await self._looked_at()
            if self._is_away() and not await self._woken():
                return Outcome(None if self._stop.given else self._lost())
            if self._lacks_files() and not await self._files_came():
                return Outcome(None if self._stop.given else self._not_there())
            self._endpoint = endpoint_of(self._model.proxy)
            self._listener.ready(self._model.id, self._endpoint)
            # Connections stay open: models of one node share them, and an answer may go on without the node's events.
            while not self._stop.given and not self._is_lost() and not self._lacks_files():
                await self._news_or_stop(None)
            return Outcome() if self._stop.given else Outcome(self._not_there(), lost=True)
        finally:
            self._cluster.unwatch(self._node_name, self._news.set)

    def _node(self) -> Node | None:
        return self._cluster.nodes.get(self._node_name)

    async def _looked_at(self) -> None:
        """Wait until the node was looked at since the start; nobody knows before whether it sleeps."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_SECONDS):
                while not self._stop.given and (node := self._node()) is not None and node.why == NOT_HEARD_YET:
                    await self._news_or_stop(None)

    def _is_away(self) -> bool:
        """Whether it is lost, or may sleep: it can be woken, and has not been heard since the start."""
        node = self._node()
        if node is None or node.state is NodeState.UP or self._cluster.wakes(self._node_name) is None:
            return self._is_lost()
        return node.state is NodeState.LOST or node.report is None

    def _is_lost(self) -> bool:
        node = self._node()
        return node is None or node.state is NodeState.LOST

    def _there(self) -> NodeModel:
        found = self._cluster.model(self._model.id)
        return found[1] if found is not None else NodeModel(self._model.id)

    def _lacks_files(self) -> bool:
        """Whether the node has said that files of the model are missing."""
        model = self._there()
        return bool(model.why) and model.fit in {Fit.FETCH, Fit.NEVER}

    async def _files_came(self) -> bool:
        """Wait for the files, as long as clients may be expected to wait, too; return whether they are there."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                while not self._stop.given and not self._is_lost() and (model := self._there()).fit is Fit.FETCH:
                    if not may_wait(model):
                        break
                    self._loading = Loading(f"{model.why} on {self._node_name}")
                    self._listener.reported(self._model.id)
                    await self._news_or_stop(None)
        self._loading = None
        return not self._stop.given and not self._is_lost() and not self._lacks_files()

    def _not_there(self) -> ClaraCoreError:
        if self._is_lost():
            return self._lost()
        return files_not_there(self._model.id, self._there(), f"machine {self._node_name!r}")

    def _lost(self) -> MachineLost:
        node = self._node()
        why = f": {node.why}" if node is not None and node.why else ""
        return MachineLost(f"machine {self._node_name!r}, which has model {self._model.id!r}, is lost{why}")

    async def _woken(self) -> bool:
        """Wake the node, if that is possible; return whether it is there."""
        wake = self._cluster.wakes(self._node_name)
        if wake is None:
            return False
        self._loading = Loading(f"waking {self._node_name}")
        self._listener.reported(self._model.id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wake.wait_seconds):
                while not self._stop.given and self._is_away():
                    try:
                        self._cluster.wake(self._node_name)
                    except OSError as error:
                        logger.warning("machine %s could not be woken: %s", self._node_name, error)
                    await self._news_or_stop(WAKE_AGAIN_SECONDS)
        return not self._stop.given and not self._is_away()

    async def _news_or_stop(self, seconds: float | None) -> None:
        await self._stop.or_done(news := asyncio.ensure_future(self._news.wait()), seconds)
        news.cancel()
        self._news.clear()

    def stop(self) -> None:
        """Order the end."""
        self._stop.give()

    def sleep(self) -> None:
        """Order the end: it has nothing here that it could give back."""
        self._stop.give()

    def wake(self) -> None:
        """Order the end: it never slept."""
        self._stop.give()

    def kill(self) -> None:
        """Order the end; there is nothing to kill."""
        self._stop.give()

    def running(self, state: ModelState) -> Running:
        """Return where it is; it has no process of ours."""
        return Running(state, self._endpoint, loading=self._loading)

    async def reaches(self, connection: socket.socket) -> bool:
        """Return True: who listens there is not ours to check."""
        del connection
        return True

    async def confirm(self) -> bool:
        """Return False: nothing can be looked at from here. The node is looked at soon."""
        self._cluster.look_soon(self._node_name)
        return False


class ClusterRunner:
    """A `Runner` that has models run where they are."""

    def __init__(self, local: Runner, new_membership: Callable[[WitnessOf], Membership] = polled_peers) -> None:
        self._local = local
        self.cluster = self._cluster = Cluster(new_membership)

    def new_run(self, model: ModelConfig, output: OutputRing, listener: RunListener) -> ServerRun:
        """Return a run on the machine that has the model."""
        if self._cluster.parts(model.id) is not None and not model.cmd:
            return RemoteRun(model, self._cluster, listener)
        return self._local.new_run(model, output, listener)

    async def foreseen(self, model: ModelConfig, output: OutputRing) -> ClaraCoreError | None:
        """Return with what a start is sure to fail, where it is one of this host."""
        if self._cluster.parts(model.id) is not None and not model.cmd:
            return None
        if (lacking := self._cluster.lacking(model.id)) is not None:
            return files_not_there(model.id, lacking, "this machine")
        return await self._local.foreseen(model, output)

    def stamp(self, model: ModelConfig) -> Hashable:
        """Return what another start depends on: the files here; the state of the node there."""
        parts = self._cluster.parts(model.id)
        if parts is None or model.cmd:
            lacking = self._cluster.lacking(model.id)
            stamp = self._local.stamp(model)
            return stamp if lacking is None else (stamp, lacking.fit, lacking.left_seconds)
        found = self._cluster.model(model.id)
        return (found[0].state, found[0].since, found[1].fit, found[1].left_seconds) if found is not None else None
