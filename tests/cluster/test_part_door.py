"""Does the head get the right answer when it asks right after a start of this machine?"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from claracore.core.cluster.joined import HeadOfNode, Remembered
from claracore.host.cluster.nodes_file import NodesFile
from claracore.host.cluster.part_file import PartFile
from claracore.host.supervisor.configuration import Configuration
from claracore.http.access.keys import Grant, Right
from claracore.http.access.named_keys import NamedKeys
from claracore.http.own_head import OwnHead
from claracore.http.part_door import PartDoor
from claracore.http.ray_here import RayHere

HEAD = HeadOfNode("http://127.0.0.1:5800", "", "head of desk", "desk")


def test_who_asks_before_the_head_of_the_last_run_is_known_waits_for_that(tmp_path: Path) -> None:
    async def story() -> None:
        own = OwnHead(NodesFile(tmp_path), cast("RayHere", None), cast("NamedKeys", None))
        door = PartDoor(cast("Configuration", None), own, PartFile(tmp_path))
        asked = [
            asyncio.ensure_future(door.accepts(grant))
            for grant in (Grant("head of desk", frozenset({Right.NODE})), Grant("another", frozenset({Right.ADMIN})))
        ]
        done, _ = await asyncio.wait(asked, timeout=0.05)
        assert not done
        await own.begin(Remembered(head=HEAD))
        async with asyncio.timeout(10):
            assert await asyncio.gather(*asked) == [True, False]

    asyncio.run(story())
