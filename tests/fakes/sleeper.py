"""A model server that sleeps and wakes as vLLM does in development mode: `/sleep`, `/wake_up`, `/is_sleeping`.

Stand-alone: `python -E -S tests/fakes/sleeper.py --port N --log FILE [--refuse sleep|wake] [--die sleep|wake]`. What
it was asked goes to FILE, a line each: `sleep level=1`, `wake`, `chat`, and `chat asleep` for what must not happen.
"""

from __future__ import annotations

import argparse
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--log", required=True)
parser.add_argument("--refuse", default="")
parser.add_argument("--die", default="")
options, _ = parser.parse_known_args()
asleep = False


class Handler(BaseHTTPRequestHandler):
    """Answers as the state says."""

    protocol_version = "HTTP/1.1"

    def note(self, what: str) -> None:
        with Path(options.log).open("a", encoding="utf-8") as log:
            log.write(f"{what}\n")

    def say(self, status: int, body: object = None) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def turn(self, what: str, *, to: bool) -> None:
        global asleep  # noqa: PLW0603 - the one state of this program
        if options.die == what:
            os._exit(5)
        if options.refuse == what:
            self.say(500, {"error": "not now"})
            return
        asleep = to
        self.say(200)

    def do_GET(self) -> None:
        self.say(200, {"is_sleeping": asleep} if self.path == "/is_sleeping" else None)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        if path == "/sleep":
            self.note(f"sleep {query}")
            self.turn("sleep", to=True)
        elif path == "/wake_up":
            self.note("wake")
            self.turn("wake", to=False)
        else:
            self.note("chat asleep" if asleep else "chat")
            self.say(500 if asleep else 200, {"choices": [{"message": {"role": "assistant", "content": "hello"}}]})

    def log_message(self, *_: object) -> None:
        """Print nothing."""


ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()
