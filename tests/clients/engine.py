"""A model server that plays a fixed script: it asks for one tool, and then says what the tool has told it.

Stand-alone (stdlib only): `python tests/clients/engine.py --port N --folder F --log FILE`. It speaks what llama-server
does: /v1/chat/completions, /v1/responses, /v1/messages (streams or whole), /v1/completions, /v1/embeddings, /v1/rerank.

The script: who offers a tool that can run a command or read a file gets a call of it for `note.txt` in the folder; who
brings a result back, or anything else that has the word of the note in it, is told the word. Without tools the answer
is `hello`. Aider, which has no tools, is answered with an edit in its own format. Each request is a line of JSON in the
log.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

WORD = re.compile(r"pelican-\d+")
SHELLS = (
    *("Bash", "bash", "shell", "shell_command", "exec_command", "local_shell", "run_commands", "execute_command"),
    *("run_terminal_command", "run_in_terminal"),
)
READERS = ("Read", "read", "read_file", "read_files", "read_note")
USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
TIMINGS = {
    "cache_n": 0, "prompt_n": 12, "prompt_ms": 6.0, "prompt_per_second": 2000.0, "predicted_n": 5, "predicted_ms": 50.0,
    "predicted_per_second": 100.0,
}  # fmt: skip
EDIT = "made.txt\n```\n<<<<<<< SEARCH\n=======\nmade by the model\n>>>>>>> REPLACE\n```\n"


class Plan:
    """What is answered to a request: a text, or a call of a tool."""

    def __init__(self, text: str = "", tool: str = "", arguments: dict[str, Any] | None = None) -> None:
        self.text, self.tool, self.arguments = text, tool, json.dumps(arguments or {})
        self.call_id = f"call_{uuid.uuid4().hex[:12]}"


def plan(body: dict[str, Any], folder: Path) -> Plan:
    """Decide by what the conversation has in it already."""
    conversation = json.dumps(body.get("messages") or body.get("input") or body.get("prompt") or "")
    found = WORD.findall(conversation)
    if found:
        return Plan(f"The note says {found[-1]}.")
    tools = dict(offered(body))
    for name in (*SHELLS, *READERS):
        if name in tools:
            return Plan(tool=name, arguments=arguments_for(tools[name], folder))
    if "SEARCH/REPLACE" in json.dumps(body.get("messages", "")):
        return Plan(EDIT)
    return Plan("hello")


def offered(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the schema of each tool, in whichever of three APIs it is offered."""
    for tool in body.get("tools") or ():
        function = tool.get("function", tool)
        if "name" in function:
            yield function["name"], function.get("parameters") or function.get("input_schema") or {}


def arguments_for(schema: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return arguments that fit a tool's schema and lead to the note."""
    properties: dict[str, Any] = schema.get("properties", {})
    required = schema.get("required", [])
    note = str(folder / "note.txt")
    found: dict[str, Any] = {}
    for key, kind in properties.items():
        if key in {"command", "cmd", "commands"}:
            found[key] = ["cat", note] if kind.get("type") == "array" and key == "command" else f"cat {note}"
            if key == "commands":
                found[key] = [f"cat {note}"]
        elif key in {"path", "file_path", "filePath", "filepath"}:
            found[key] = note
        elif key == "files":
            found[key] = [{"path": note}]
        elif key in required:
            found[key] = filled(kind)
    return found


def filled(kind: dict[str, Any]) -> Any:
    """Return some value of a JSON type."""
    if kind.get("enum"):
        return kind["enum"][0]
    return {"boolean": False, "integer": 0, "number": 0, "array": [], "object": {}}.get(str(kind.get("type")), "a note")


def chat_message(now: Plan) -> tuple[dict[str, Any], str]:
    """Return the message of a chat completion and why it ended."""
    if not now.tool:
        return {"role": "assistant", "content": now.text}, "stop"
    function = {"name": now.tool, "arguments": now.arguments}
    calls = [{"index": 0, "id": now.call_id, "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"


def chat(body: dict[str, Any], now: Plan) -> dict[str, Any]:
    """Return a chat completion as a whole."""
    message, reason = chat_message(now)
    choices = [{"index": 0, "message": message, "finish_reason": reason}]
    return {**head(body, "chat.completion"), "choices": choices, "usage": USAGE, "timings": TIMINGS}


def chat_events(body: dict[str, Any], now: Plan) -> Iterator[str]:
    """Yield the chunks of a chat completion; the arguments of a call come in two halves."""
    message, reason = chat_message(now)

    def chunk(delta: dict[str, Any], ended: str | None = None) -> str:
        choices = [{"index": 0, "delta": delta, "finish_reason": ended}]
        more = {"timings": TIMINGS} if ended else {}
        return data({**head(body, "chat.completion.chunk"), "choices": choices, **more})

    yield chunk({"role": "assistant", "content": None})
    for call in message.get("tool_calls", ()):
        half = len(now.arguments) // 2
        first = {**call, "function": {"name": now.tool, "arguments": now.arguments[:half]}}
        yield chunk({"tool_calls": [first]})
        yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": now.arguments[half:]}}]})
    for word in re.findall(r"\S+\s*", now.text):
        yield chunk({"content": word})
    yield chunk({}, reason)
    if (body.get("stream_options") or {}).get("include_usage"):
        yield data({**head(body, "chat.completion.chunk"), "choices": [], "usage": USAGE})
    yield "data: [DONE]\n\n"


def completion(body: dict[str, Any], now: Plan) -> dict[str, Any]:
    """Return a completion of a text as a whole."""
    choices = [{"index": 0, "text": now.text, "finish_reason": "stop"}]
    return {**head(body, "text_completion"), "choices": choices, "usage": USAGE, "timings": TIMINGS}


def completion_events(body: dict[str, Any], now: Plan) -> Iterator[str]:
    """Yield it in one piece."""
    yield data(completion(body, now))
    yield "data: [DONE]\n\n"


def message(body: dict[str, Any], now: Plan) -> dict[str, Any]:
    """Return a message of Anthropic's API as a whole."""
    content: list[dict[str, Any]] = [{"type": "text", "text": now.text}]
    if now.tool:
        content = [{"type": "tool_use", "id": now.call_id, "name": now.tool, "input": json.loads(now.arguments)}]
    return {
        "id": f"msg_{now.call_id}", "type": "message", "role": "assistant", "model": body.get("model"),
        "content": content, "stop_reason": "tool_use" if now.tool else "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 5, "cache_read_input_tokens": 0},
    }  # fmt: skip


def message_events(body: dict[str, Any], now: Plan) -> Iterator[str]:
    """Yield the events of a message, as llama-server does."""
    whole = message(body, now)
    begun = {**whole, "content": [], "stop_reason": None}
    yield event({"type": "message_start", "message": begun})
    block = {**whole["content"][0], **({"input": {}} if now.tool else {"text": ""})}
    yield event({"type": "content_block_start", "index": 0, "content_block": block})
    delta = {"type": "text_delta", "text": now.text}
    if now.tool:
        delta = {"type": "input_json_delta", "partial_json": now.arguments}
    yield event({"type": "content_block_delta", "index": 0, "delta": delta})
    yield event({"type": "content_block_stop", "index": 0})
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield event({"type": "message_delta", "delta": ended, "usage": {"output_tokens": 5}})
    yield event({"type": "message_stop"})


def response(body: dict[str, Any], now: Plan) -> dict[str, Any]:
    """Return a response of OpenAI's second API as a whole."""
    item: dict[str, Any] = {
        "type": "message", "id": f"msg_{now.call_id}", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": now.text, "annotations": [], "logprobs": []}],
    }  # fmt: skip
    if now.tool:
        item = {
            "type": "function_call", "id": f"fc_{now.call_id}", "call_id": now.call_id, "name": now.tool,
            "arguments": now.arguments, "status": "completed",
        }  # fmt: skip
    usage = {
        "input_tokens": 12, "output_tokens": 5, "total_tokens": 17, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }  # fmt: skip
    return {
        "id": f"resp_{now.call_id}", "object": "response", "created_at": 1, "status": "completed",
        "model": body.get("model"), "output": [item], "usage": usage, "parallel_tool_calls": True, "tools": [],
        "tool_choice": "auto",
    }  # fmt: skip


def response_events(body: dict[str, Any], now: Plan) -> Iterator[str]:
    """Yield the events of a response."""
    whole = response(body, now)
    item = whole["output"][0]
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    at = {"item_id": item["id"], "output_index": 0}
    empty: dict[str, Any] = {"content": []} if not now.tool else {"arguments": ""}
    events.append(
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, **empty, "status": "in_progress"}}
    )
    if now.tool:
        events.append({"type": "response.function_call_arguments.delta", **at, "delta": now.arguments})
        events.append({"type": "response.function_call_arguments.done", **at, "arguments": now.arguments})
    else:
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        events.append({"type": "response.content_part.added", **at, "content_index": 0, "part": part})
        text = {**at, "content_index": 0, "logprobs": []}
        events.append({"type": "response.output_text.delta", **text, "delta": now.text})
        events.append({"type": "response.output_text.done", **text, "text": now.text})
        done = {**part, "text": now.text}
        events.append({"type": "response.content_part.done", **at, "content_index": 0, "part": done})
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    events.append({"type": "response.completed", "response": whole})
    for number, one in enumerate(events):
        yield event({**one, "sequence_number": number})


def head(body: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return what all objects of OpenAI's first API begin with."""
    return {"id": "chatcmpl-scripted", "object": kind, "created": 1, "model": body.get("model")}


def data(value: object) -> str:
    """Return an event without a name."""
    return f"data: {json.dumps(value)}\n\n"


def event(value: dict[str, Any]) -> str:
    """Return an event with its type as its name."""
    return f"event: {value['type']}\n{data(value)}"


SPOKEN = {
    "/v1/chat/completions": (chat, chat_events),
    "/v1/completions": (completion, completion_events),
    "/v1/messages": (message, message_events),
    "/v1/responses": (response, response_events),
}


def other(path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the answer of a path that has no stream; None for a path that is not there."""
    match path:
        case "/v1/embeddings":
            texts = body.get("input")
            count = len(texts) if isinstance(texts, list) and texts and not isinstance(texts[0], int) else 1
            rows = [{"object": "embedding", "index": n, "embedding": [0.6, 0.8, 0.0]} for n in range(count)]
            usage = {"prompt_tokens": count, "total_tokens": count}
            return {"object": "list", "data": rows, "model": body.get("model"), "usage": usage}
        case "/v1/rerank" | "/rerank" | "/v1/reranking" | "/reranking":
            rows = [{"index": n, "relevance_score": 1.0 / (n + 1)} for n, _ in enumerate(body.get("documents", ()))]
            return {"object": "list", "results": rows, "model": body.get("model"), "usage": USAGE}
        case "/v1/messages/count_tokens":
            return {"input_tokens": 12}
        case "/health":
            return {"status": "ok"}
        case "/props":
            settings = {"n_ctx": 32768, "params": {}}
            return {"default_generation_settings": settings, "total_slots": 1, "modalities": {"vision": False}}
        case "/v1/models":
            meta = {"n_ctx": 32768, "n_ctx_train": 32768}
            return {"object": "list", "data": [{"id": "scripted", "object": "model", "meta": meta}]}
    return None


class Handler(BaseHTTPRequestHandler):
    """Answers one request after another on a connection."""

    protocol_version = "HTTP/1.1"
    folder: Path
    log: Path
    writing = threading.Lock()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Print nothing."""

    def do_GET(self) -> None:
        """Answer without a body."""
        self._answer({})

    def do_POST(self) -> None:
        """Answer a body of JSON."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw or b"{}")
        self._note(body, len(raw))
        self._answer(body)

    def _note(self, body: dict[str, Any], size: int) -> None:
        row = {"path": self.path, "model": body.get("model"), "stream": bool(body.get("stream")), "bytes": size}
        tools = [name for name, _ in offered(body)]
        with self.writing, self.log.open("a") as file:
            file.write(json.dumps({**row, "tools": tools, "agent": self.headers.get("User-Agent")}) + "\n")

    def _answer(self, body: dict[str, Any]) -> None:
        path = self.path.partition("?")[0]
        if path in SPOKEN:
            whole, events = SPOKEN[path]
            now = plan(body, self.folder)
            if body.get("stream"):
                self._stream(events(body, now))
            else:
                self._json(200, whole(body, now))
            return
        found = other(path, body)
        self._json(200, found) if found else self._json(404, {"error": {"message": f"no {path}", "code": 404}})

    def _json(self, status: int, value: object) -> None:
        raw = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _stream(self, events: Iterator[str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for text in events:
            raw = text.encode()
            self.wfile.write(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    options = parser.parse_args()
    Handler.folder, Handler.log = options.folder, options.log
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
