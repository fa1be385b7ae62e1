"""What is remembered of machines that have joined is what is acted by, whichever change is heard of last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from claracore.core.cluster.joined import Remembered
from claracore.host.cluster.nodes_file import NodesFile
from claracore.http.joined_nodes import JoinedNodes


class FileHeardOfLate(NodesFile):
    """Another change is made, and acted by, before the first one is heard of."""

    meanwhile: Callable[[], None] | None = None

    def change(self, edit: Callable[[Remembered], Remembered]) -> Remembered:
        changed, meanwhile, self.meanwhile = super().change(edit), self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return changed


def test_the_later_of_two_changes_counts_although_it_is_heard_of_first(tmp_path: Path) -> None:
    async def story() -> None:
        file, loop = FileHeardOfLate(tmp_path), asyncio.get_running_loop()
        machines = SimpleNamespace(drained=frozenset(), cluster=SimpleNamespace(peers={"desk": 1, "shed": 2}))
        runtime: Any = SimpleNamespace(configuration=None, machines=machines)
        nothing: Any = None
        joined = JoinedNodes(file, nothing, runtime, nothing)
        file.meanwhile = lambda: asyncio.run_coroutine_threadsafe(joined.drain("shed", drained=True), loop).result(20)
        await joined.drain("desk", drained=True)
        assert machines.drained == {"desk", "shed"}

    asyncio.run(story())
