"""How does a handler get the parts that it needs?

By annotation: a parameter `runtime: RuntimeDep` is given the `Runtime` that `create_app` was given. Each part is there
once, so its class names it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from claracore.host.cluster.fetching import Fetching
from claracore.host.cluster.given_files import GivenFiles
from claracore.host.cluster.shared_files import SharedFiles
from claracore.host.engines.jobs import EngineJobs
from claracore.host.library.destinations import Destinations
from claracore.host.library.downloads import Downloads
from claracore.host.logs.proxy import ProxyLog
from claracore.host.setup.prospects import Prospects
from claracore.host.setup.survey_for_config import Surveyor
from claracore.http.access.keyring import KeyRing
from claracore.http.access.keys import Grant
from claracore.http.access.named_keys import NamedKeys
from claracore.http.api.parts import Events, History, Installation, Runtime
from claracore.http.gateway.server import Gateway
from claracore.http.handing_over import HandingOver
from claracore.http.join import Joiner
from claracore.http.joined_nodes import JoinedNodes
from claracore.http.own_head import OwnHead
from claracore.http.part_door import PartDoor
from claracore.http.ray_here import RayHere
from claracore.http.second_door import SecondDoor

Part = TypeVar("Part")


def _given(kind: type[Part]) -> Callable[[Request], Awaitable[Part]]:
    async def part(request: Request) -> Part:
        found: Part = request.app.state.parts[kind]
        return found

    return part


async def _grant(request: Request) -> Grant | None:
    grant = getattr(request.state, "grant", None)
    return grant if isinstance(grant, Grant) else None


RuntimeDep = Annotated[Runtime, Depends(_given(Runtime))]
HistoryDep = Annotated[History, Depends(_given(History))]
InstallationDep = Annotated[Installation, Depends(_given(Installation))]
DownloadsDep = Annotated[Downloads, Depends(_given(Downloads))]
EngineJobsDep = Annotated[EngineJobs, Depends(_given(EngineJobs))]
DestinationsDep = Annotated[Destinations, Depends(_given(Destinations))]
ProspectsDep = Annotated[Prospects, Depends(_given(Prospects))]
SurveyorDep = Annotated[Surveyor, Depends(_given(Surveyor))]
GatewayDep = Annotated[Gateway, Depends(_given(Gateway))]
KeyRingDep = Annotated[KeyRing, Depends(_given(KeyRing))]
NamedKeysDep = Annotated[NamedKeys, Depends(_given(NamedKeys))]
HandingOverDep = Annotated[HandingOver, Depends(_given(HandingOver))]
JoinedNodesDep = Annotated[JoinedNodes, Depends(_given(JoinedNodes))]
RayDep = Annotated[RayHere, Depends(_given(RayHere))]
OwnHeadDep = Annotated[OwnHead, Depends(_given(OwnHead))]
JoinerDep = Annotated[Joiner, Depends(_given(Joiner))]
PartDoorDep = Annotated[PartDoor, Depends(_given(PartDoor))]
FetchingDep = Annotated[Fetching, Depends(_given(Fetching))]
GivenFilesDep = Annotated[GivenFiles, Depends(_given(GivenFiles))]
SharedFilesDep = Annotated[SharedFiles, Depends(_given(SharedFiles))]
SecondDoorDep = Annotated[SecondDoor, Depends(_given(SecondDoor))]
EventsDep = Annotated[Events, Depends(_given(Events))]
ProxyLogDep = Annotated[ProxyLog, Depends(_given(ProxyLog))]

GrantDep = Annotated[Grant | None, Depends(_grant)]
"""What the caller's key allows; None when no key is needed."""
