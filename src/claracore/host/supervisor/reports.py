"""What does a model's server say about itself while it loads and runs?

A llama-server that is treated as a router's child says it on stdout (`engines.states`), any other in the bodies of its
health checks. That it is ready is a claim and no proof: the next poll comes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from claracore.core.loading.phases import LoadPhase, phase_of
from claracore.host.engines import states
from claracore.host.supervisor.health import Loading, ReadyDeadline

NO_WARMUP = "--no-warmup"


class Reports:
    """What one process has said last."""

    def __init__(self, on_change: Callable[[], None], *, cmd: str = "") -> None:
        """`on_change` is called whenever one of these may be another; `cmd` is the command of its model."""
        self.loading: Loading | None = None
        self.phase: LoadPhase | None = None
        """What it is at while it loads; None as long as it tells nothing that is known."""
        self.asleep = False
        """Whether it has freed its memory until the next request (`--sleep-idle-seconds`, or the option `sleep`)."""
        self.says_ready = asyncio.Event()
        self.deadline: ReadyDeadline | None = None
        """Until when it is to be ready, which progress postpones; set when it begins to be waited for."""
        self._on_change = on_change
        self._warms_up = NO_WARMUP not in cmd

    def hear(self, line: str) -> None:
        """Take in a line of its log while it loads."""
        phase = phase_of(line)
        if phase is LoadPhase.WARMUP and not self._warms_up:
            phase = LoadPhase.CONTEXT
        if phase is not None:
            self._enter(phase)

    def restoring(self) -> None:
        """Take in that it answers, and that its conversations are brought back."""
        self._enter(LoadPhase.CONVERSATIONS)

    def sleeps(self) -> None:
        """Take in that it sleeps because it was told to."""
        self.asleep = True

    def wakes(self) -> None:
        """Take in that it was told to wake."""
        self._enter(LoadPhase.WAKING)

    def awoke(self) -> None:
        """Take in that it is awake."""
        self.asleep = False

    def _enter(self, phase: LoadPhase) -> None:
        if phase is not self.phase:
            self.phase = phase
            self._on_change()

    def take(self, line: str) -> bool:
        """Take in a line of stdout; False, and nothing has changed, for one that is no report."""
        state = states.parse(line)
        if state is None:
            return False
        self.asleep = state.name == "sleeping"
        if state.name == "loading":
            loading = Loading(state.loading, state.progress)
            if self.deadline is not None:
                self.deadline.progressed(loading)
            self.take_loading(loading)
            return True
        if state.name == "ready":
            self.says_ready.set()
        self._on_change()
        return True

    def take_loading(self, loading: Loading) -> None:
        """Take in how far it has loaded."""
        self.loading = loading
        if loading.progress is not None:
            self.phase = LoadPhase.CONTEXT if loading.progress >= 1.0 else LoadPhase.WEIGHTS
        self._on_change()
