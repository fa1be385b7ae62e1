"""What do clients of the Model Context Protocol find here? `POST /mcp`: the models as tools.

The SDK is an extra (`claracore[mcp]`), and imported when somebody asks for it the first time.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from claracore.errors import ClaraCoreError
from claracore.http.api.dependencies import GrantDep, RuntimeDep
from claracore.http.api.mcp_tools import Caller
from claracore.http.api.parts import Runtime
from claracore.http.asgi import Receive, Scope, Send

router = APIRouter(include_in_schema=False)

Answering = Callable[[Runtime, Caller, Scope, Receive, Send], Awaitable[None]]


class McpNotInstalled(ClaraCoreError):
    """The SDK of the protocol is not there; 501."""

    status = 501
    type = "server_error"
    code = "mcp_not_installed"
    cause = "The Model Context Protocol needs its SDK, which is an extra."
    way_out = "`pip install 'claracore[mcp]'`, then start ClaraCore again."


class McpAnswer(Response):
    """An answer that the SDK writes by itself."""

    def __init__(self, answer: Answering, runtime: Runtime, caller: Caller) -> None:
        super().__init__()
        self._answer, self._runtime, self._caller = answer, runtime, caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as an ASGI application."""
        await self._answer(self._runtime, self._caller, scope, receive, send)


@router.post("/mcp")
async def mcp(request: Request, runtime: RuntimeDep, grant: GrantDep) -> Response:
    """Answer a message of MCP (streamable HTTP, without sessions)."""
    answer = await asyncio.to_thread(_answering)
    return McpAnswer(answer, runtime, Caller(grant, request.state.check_right))


@router.get("/mcp")
@router.delete("/mcp")
async def no_stream() -> Response:
    """Say that there are no messages but answers, and no sessions, in the way that MCP has for it."""
    return Response(status_code=405, headers={"Allow": "POST"})


def _answering() -> Answering:
    """Return what speaks MCP. Raises McpNotInstalled."""
    try:
        found = importlib.import_module("claracore.http.api.mcp_protocol")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("mcp"):
            raise
        raise McpNotInstalled("MCP needs its SDK: pip install 'claracore[mcp]'") from error
    answer: Answering = found.answer
    return answer
