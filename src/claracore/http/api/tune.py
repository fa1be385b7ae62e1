"""With which settings does a model answer fastest on this machine, and how do they get into the configuration?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from claracore.core.tune.saved import with_tuning
from claracore.core.tune.tuning import tuning_of
from claracore.errors import BadRequest, ClaraCoreError, Conflict
from claracore.host.supervisor.edits import careful
from claracore.host.tune.case import Looking, tunable
from claracore.host.tune.tuner import Tuner
from claracore.http.access.keys import Grant
from claracore.http.api.config import WrittenView, change_config
from claracore.http.api.dependencies import EventsDep, GrantDep, RuntimeDep
from claracore.http.api.events.open_streams import OpenStreams
from claracore.http.api.parts import Runtime

router = APIRouter(tags=["models"])

SECONDS = 60.0
HEADERS = {"X-Content-Type-Options": "nosniff"}


class TuneWishView(BaseModel):
    """For how long trials are begun."""

    seconds: Annotated[float, Field(gt=0, le=3600)] = SECONDS


class TunedSettings(BaseModel):
    """Settings to write into a model's command, and the numbers for the comment above them."""

    settings: dict[str, int | bool]
    note: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


@router.post("/api/models/tune/{name:path}")
async def tune(  # noqa: PLR0917 - FastAPI gives them by name
    runtime: RuntimeDep,
    events: EventsDep,
    grant: GrantDep,
    request: Request,
    name: str,
    wish: TuneWishView | None = None,
) -> StreamingResponse:
    """Try settings on a model, one after another, and tell of each in a line of JSON; the last says which is best.

    Nothing is written. The model is started anew for each; whoever leaves ends it, and the model is as it was.
    """
    model_id = runtime.resolve(name)
    if model_id in runtime.tuned:
        raise Conflict(f"{model_id} is being tuned already")
    looking = await Looking.by(runtime.memory, runtime.commands)
    found = await asyncio.to_thread(tunable, runtime.config, model_id, looking)
    seconds = wish.seconds if wish is not None else SECONDS
    tuner = Tuner(runtime.supervisor, lambda: runtime.config, found, seconds)
    return StreamingResponse(
        _told(runtime, TuneStream(tuner, request), events.open_streams, grant),
        media_type="application/x-ndjson",
        headers=HEADERS,
    )


@router.put("/api/models/tuned/{name:path}")
async def write_tuned(runtime: RuntimeDep, name: str, tuned: TunedSettings) -> WrittenView:
    """Write settings into a model's command, with a comment that tells what was measured; all else stays."""
    model_id = runtime.resolve(name)
    try:
        tuning = tuning_of(tuned.settings)
    except ValueError as error:
        raise BadRequest(str(error), param="settings") from error
    has_value = len(runtime.commands.known_flags(runtime.config.models[model_id]).flash_attention) != 1

    def change(text: str) -> str:
        return with_tuning(text, model_id, tuning, tuned.note, switch_has_value=has_value)

    return await change_config(runtime.configuration, careful(runtime.configuration, change), "*")


class TuneStream:
    """A tuning under way, in a task of its own: it ends when it is done, when the client leaves, or when told to."""

    def __init__(self, tuner: Tuner, request: Request) -> None:
        self.model_id = tuner.tunable.model.id
        self._tuner = tuner
        self._request = request
        self._lines: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def lines(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what is told. When the reader leaves, the model is as it was before this returns."""
        loop = asyncio.get_running_loop()
        task = self._task = loop.create_task(self._run(), name=f"tune {self.model_id}")
        leaving = loop.create_task(self._end_when_left(), name=f"client of the tuning of {self.model_id}")
        try:
            while (line := await self._lines.get()) is not None:
                yield line
        finally:
            task.cancel()
            leaving.cancel()
            await asyncio.wait({task, leaving})

    def end(self) -> None:
        """End it: keys have changed, or ClaraCore stops."""
        if self._task is not None:
            self._task.cancel()

    async def _end_when_left(self) -> None:
        """End it when the client leaves: between two lines, which may be far apart, nobody else would notice."""
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.end()

    async def _run(self) -> None:
        try:
            async for line in self._tuner.lines():
                self._lines.put_nowait(line)
        except ClaraCoreError as error:
            self._lines.put_nowait({"what": "error", "message": error.message})
        finally:
            self._lines.put_nowait(None)


async def _told(
    runtime: Runtime, stream: TuneStream, open_streams: OpenStreams, grant: Grant | None
) -> AsyncIterator[str]:
    """Give the lines as text."""
    model_id = stream.model_id
    if model_id in runtime.tuned:
        yield json.dumps({"what": "error", "message": f"{model_id} is being tuned already"}) + "\n"
        return
    runtime.tuned.add(model_id)
    try:
        with open_streams.holding(stream, grant):
            async with aclosing(stream.lines()) as lines:
                async for line in lines:
                    yield json.dumps(line) + "\n"
    finally:
        runtime.tuned.discard(model_id)
