"""A llama-server that has slots and nothing else, and that does with them what a test tells it to.

Stand-alone (stdlib only): `python -E -S tests/fakes/fake_slots.py --port N --slot-save-path DIR/ [flags]`; in a thread:
`SlotsServer(...)`. A request says what it is about: POST /v1/chat/completions {"slot": N, "tokens": N}, and is answered
with `timings` as llama-server's. A kept file has 1,000 bytes a token.

  --story WORD     repeatable: "lies" (restores nothing, says that it did), "short" (restores half), "hang-save",
                   "hang-restore", "crash-save", "crash-restore", "refuse-restore", "no-slots" (501 for all of it),
                   "odd" (answers that are none), "cut" (the file has half of its bytes), "tells" (prints which slot
                   it takes for a prompt, and how alike they are), "gated-start", "gated-save", "gated-restore"
                   (goes on with one when there is a file whose name is that of the log and ".gate")
  --story-file FILE  words of more of it, looked up at the start
  --log FILE       a line for each request that is not a health check, as it is answered
  --slots N        how many there are (default 2)
  --help           its flags, as llama-server lists them
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

BYTES_PER_TOKEN = 1000


class SlotsServer(ThreadingHTTPServer):
    """The server; `slots` are the tokens of each, None for one without a request."""

    daemon_threads = True

    def __init__(self, port: int, folder: str, story: set[str], log: str | None = None, slots: int = 2) -> None:
        self.folder, self.story, self.log = folder, story, log
        self.slots: list[int | None] = [None] * slots
        self.cached = [0] * slots
        self.restored = [0] * slots
        self.tasks = [-1] * slots
        self.ended = threading.Event()
        self.on_action: Callable[[str], None] = lambda _: None
        """Called with "save" or "restore" before it is done."""
        super().__init__(("127.0.0.1", port), Handler)

    def write(self, line: str) -> None:
        """Log a line, before anything is done."""
        if self.log is not None:
            with Path(self.log).open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: SlotsServer

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        if self.path == "/slots":
            if "no-slots" in self.server.story:
                self._answer({"error": {"message": "This server does not support slots"}}, 501)
                return
            self._answer(
                "odd"
                if "odd" in self.server.story
                else [self._slot(number) for number in range(len(self.server.slots))]
            )
            return
        self._answer({"status": "ok"})

    def _slot(self, number: int) -> dict[str, Any]:
        task, tokens = self.server.tasks[number], self.server.slots[number]
        return {"id": number} if task < 0 else {"id": number, "id_task": task, "n_prompt_tokens": tokens}

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = urlsplit(self.path)
        if not parts.path.startswith("/slots/"):
            self._chat(body["slot"], body["tokens"])
            return
        number, action = int(parts.path.removeprefix("/slots/")), parse_qs(parts.query)["action"][0]
        story = self.server.story
        self.server.write(f"{action} {number}")
        self.server.on_action(action)
        if f"hang-{action}" in story:
            if action == "save":
                Path(self.server.folder + body["filename"]).write_bytes(b"x" * 500)  # so far it had got
            self.server.write(f"hangs {action}")
            self.server.ended.wait()
        elif f"gated-{action}" in story:
            while not Path(f"{self.server.log}.gate").exists():
                self.server.ended.wait(0.005)
            (self._save if action == "save" else self._restore)(number, body["filename"])
        elif f"crash-{action}" in story:
            os.kill(os.getpid(), signal.SIGKILL)
        elif f"refuse-{action}" in story:
            self._answer({"error": {"message": "Unable to restore slot"}}, 400)
        elif action == "save":
            self._save(number, body["filename"])
        else:
            self._restore(number, body["filename"])

    def _save(self, number: int, name: str) -> None:
        tokens = self.server.slots[number] or 0
        size = tokens * BYTES_PER_TOKEN
        Path(self.server.folder + name).write_bytes(b"x" * (size // 2 if "cut" in self.server.story else size))
        self._answer({"n_saved": tokens, "n_written": size})

    def _restore(self, number: int, name: str) -> None:
        tokens = Path(self.server.folder + name).stat().st_size // BYTES_PER_TOKEN
        if "short" in self.server.story:
            tokens //= 2
        self.server.restored[number] = tokens
        self.server.cached[number] = 0 if "lies" in self.server.story else tokens
        self._answer({"n_restored": tokens, "n_read": tokens * BYTES_PER_TOKEN})

    def _chat(self, number: int, tokens: int) -> None:
        server = self.server
        server.write(f"chat {number}")
        cached = min(tokens, server.cached[number])
        if "tells" in server.story:
            how = self._alike(number, tokens)
            sys.stdout.write(f"slot get_availabl: id {number} | task -1 | selected slot by {how}\n")
            sys.stdout.flush()
        server.restored[number] = 0
        server.slots[number] = server.cached[number] = tokens
        server.tasks[number] = max(server.tasks) + 1
        timings = {"cache_n": cached, "prompt_n": tokens - cached, "prompt_per_second": 50.0, "predicted_n": 1}
        self._answer({"choices": [{"message": {"role": "assistant", "content": "x"}}], "timings": timings})

    def _alike(self, number: int, tokens: int) -> str:
        there = self.server.restored[number]
        same = min(there, tokens)
        if not same:
            return "LRU, t_last = -1"
        return f"LCP similarity, f_sim_best = {same / tokens:.3f} (> 0.100 thold), f_keep = {same / there:.3f}"

    def _answer(self, found: object, status: int = 200) -> None:
        raw = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(raw)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--slot-save-path", default="")
    parser.add_argument("--story", action="append", default=[])
    parser.add_argument("--story-file", type=Path)
    parser.add_argument("--log")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--version", action="version", version="version: 1 (fake)")
    options, _ = parser.parse_known_args()
    story = set(options.story)
    if options.story_file is not None:
        story |= set(options.story_file.read_text().split())
    while "gated-start" in story and not Path(f"{options.log}.gate").exists():
        threading.Event().wait(0.005)
    server = SlotsServer(options.port, options.slot_save_path, story, options.log, options.slots)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main()
