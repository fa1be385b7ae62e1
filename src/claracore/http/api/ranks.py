"""How does another machine have a rank of its model run here?

It asks again and again for as long as it wants it, with the right that a key has which was made by joining.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from claracore.host.cluster.held_ranks import LONGEST_LEASE_SECONDS, RankOrder
from claracore.http.api.dependencies import RuntimeDep
from claracore.http.api.shallow import ShallowObject

router = APIRouter(tags=["nodes"])

Text = Annotated[str, Field(min_length=1, max_length=300)]
RankName = Annotated[str, Path(max_length=300, pattern=r"\.rank[1-9][0-9]{0,2}$")]


class RankWishView(BaseModel):
    """A rank of `model`; `start` names one start of it, `entry` is what a configuration would say of the rank.

    `begin` is false for one that was begun before: where it does not run any more, it is lost.
    """

    model: Text
    head: Text
    start: Text
    entry: ShallowObject
    begin: bool = True
    lease_seconds: Annotated[float, Field(gt=0, le=LONGEST_LEASE_SECONDS)]


class HeldRankView(BaseModel):
    """How a rank is here; `port` is where it listens, null where it does not or is not ready."""

    state: Literal["starting", "ready", "ended"]
    why: str
    """Why it has ended; empty when it has not."""
    port: int | None


@router.put("/api/node/ranks/{name:path}")
async def hold(runtime: RuntimeDep, name: RankName, wish: RankWishView) -> HeldRankView:
    """Have a rank run here for so long from now; begin with it where it does not."""
    order = RankOrder(wish.model, wish.head, wish.start, wish.entry)
    found = await runtime.held_ranks.hold(name, order, wish.lease_seconds, begin=wish.begin)
    return HeldRankView(state=found.state, why=found.why, port=found.port)


@router.delete("/api/node/ranks/{name:path}", status_code=204)
async def release(runtime: RuntimeDep, name: RankName, start: Text) -> None:
    """Return when nothing of a rank of that start runs here any more."""
    await runtime.held_ranks.release(name, start)
