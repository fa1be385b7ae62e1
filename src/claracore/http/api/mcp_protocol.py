"""How is MCP spoken around our tools?

By the SDK of the protocol, which this module alone imports; that takes a second. Each request is answered by itself:
nothing is remembered between two, so that a restart breaks no client.
"""

from __future__ import annotations

import json
from typing import Any

import mcp_types as protocol
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from claracore import __version__
from claracore.errors import ClaraCoreError
from claracore.http.access.keys import Right
from claracore.http.api.mcp_tools import TOOLS, Caller, ModelTool, call, text_of
from claracore.http.api.parts import Runtime
from claracore.http.asgi import Receive, Scope, Send

MOST_BODY_BYTES = 1 << 20
INSTRUCTIONS = (
    "This server runs local language models and loads them when they are asked for. Loading one may unload others."
)


async def answer(runtime: Runtime, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request of MCP's streamable HTTP, as an ASGI application."""
    manager = StreamableHTTPSessionManager(
        _server(runtime, caller), stateless=True, json_response=True, max_request_body_size=MOST_BODY_BYTES
    )
    async with manager.run():
        await manager.handle_request(scope, receive, send)


def _server(runtime: Runtime, caller: Caller) -> Server[Any]:
    async def list_tools(_context: ServerRequestContext[Any], _params: object) -> protocol.ListToolsResult:
        return protocol.ListToolsResult(tools=[_offered(tool) for tool in TOOLS])

    async def call_tool(
        _context: ServerRequestContext[Any], params: protocol.CallToolRequestParams
    ) -> protocol.CallToolResult:
        try:
            result = await call(runtime, caller, params.name, params.arguments or {})
        except ClaraCoreError as error:
            return protocol.CallToolResult(content=[protocol.TextContent(text=text_of(error))], is_error=True)
        text = json.dumps(result, indent=1)
        return protocol.CallToolResult(content=[protocol.TextContent(text=text)], structured_content=result)

    return Server(
        "claracore",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _offered(tool: ModelTool) -> protocol.Tool:
    hints = protocol.ToolAnnotations(
        read_only_hint=tool.right is Right.READ,
        destructive_hint=False,
        idempotent_hint=True,
        open_world_hint=False,
    )
    return protocol.Tool(name=tool.name, description=tool.description, input_schema=tool.schema, annotations=hints)
