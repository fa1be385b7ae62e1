"""A llama-server that is as fast, or as broken, as its flags say: for what no real one does on command.

Run as a script (`llama-server --port N -m FILE [-t N] ...`). Its speed depends on `-t`: reading 1000 times
it, writing 10 times it, and 5 tokens/s more with `--flash-attn off`. `-ub 256` makes it end before it is ready. A file
`silent` beside script lets it answer without timings, a file `hangs` not at all,
a file `slow` only after a while.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FLAGS = {"-t": "--threads", "-ub": "--ubatch-size", "-fa": "--flash-attn"}
WORDS = [FLAGS.get(word, word) for word in sys.argv[1:]]
HERE = Path(sys.argv[0]).parent


def value(flag: str, default: str) -> str:
    places = [place for place, word in enumerate(WORDS) if word == flag]
    return WORDS[places[-1] + 1] if places else default


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._say({"status": "ok"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if (HERE / "hangs").exists():
            threading.Event().wait()
        threads = int(value("--threads", "1"))
        more = 5 if value("--flash-attn", "on") == "off" else 0
        timings = {"prompt_per_second": 1000.0 * threads, "predicted_per_second": 10.0 * threads + more}
        if (HERE / "slow").exists():
            threading.Event().wait(0.2)
        if (HERE / "silent").exists():
            timings = {}
        self._say({"content": "", "timings": timings, "asked": body})

    def _say(self, answer: object) -> None:
        raw = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_args: object) -> None:
        """Print nothing."""


if __name__ == "__main__":
    if "--help" in WORDS:
        sys.stdout.write("--threads N\n--ubatch-size N\n--batch-size N\n--ctx-size N\n--flash-attn on\n--fit on\n")
        raise SystemExit(0)
    if "--port" not in WORDS:
        raise SystemExit(1)
    if value("--ubatch-size", "") == "256":
        sys.stdout.write("no room for that\n")
        raise SystemExit(1)
    ThreadingHTTPServer(("127.0.0.1", int(value("--port", "0"))), Handler).serve_forever()
