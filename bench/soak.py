"""Does it hold for a long time, under everything at once? Seen from outside only: a process, its port, its children.

    make soak [SOAK_MINUTES=20]        python bench/soak.py MINUTES

One ClaraCore serves models whose servers are started in every way (shared port, let go, script, fork, `SO_REUSEPORT` of
their own, fixed port, failing). Clients chat, stream, leave in the middle, send large bodies and nonsense; people load,
unload and change the configuration; servers are killed and lose their listeners; thieves want their ports. Invariants:

* every request is answered in time, by its own model's server, to what was sent; a stream ends with [DONE] or an error
* no prompt reaches a thief; an error is one that the traffic explains, in OpenAI's envelope
* no traceback in the log; at rest no request, connection, process, zombie or file is left that was not there before

Prints what was done and every violation; ends with 1 when there was one. Runs real processes: Linux only.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from e2e.instance import Answer, Instance, configured, fake, instance
from e2e.ports import sharing_engine
from e2e.test_ports_after_ready import FORKING, script, thief
from fakes import command
from sockets.helpers import free_run

ANSWER_SECONDS = 60.0
CLIENTS = 8
EXPLAINED = {
    200: {""},
    400: {"bad_request", "invalid_request_error", "invalid_json"},
    404: {"model_not_found"},
    409: {"conflict"},
    412: {"precondition_failed", "conflict", "changed_meanwhile"},
    502: {"model_failed", "bad_gateway", "port_taken"},
    503: {"model_unloaded", "queue_full", "shutting_down"},
    504: {"not_ready_in_time"},
}
"""Which errors traffic of this kind may get, by status."""
MISHAPS = ("kill", "kill", "close", "unload", "load", "configure", "thief")


class Soak:
    """What was done, and what should not have happened."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder = folder
        self.ends_at = time.monotonic() + 60 * minutes
        self.done: Counter[str] = Counter()
        self.violations: list[str] = []
        self.lock = threading.Lock()
        self.ports = free_run(20)
        self.models: list[str] = []

    # --- what is served -------------------------------------------------------------------------------------------

    def config(self) -> Path:
        forking = self.folder / "forking.py"
        forking.write_text(FORKING)
        words = (sys.executable, "-S", str(forking), *command("--port", "${PORT}", "-a", "forking"))
        rows = {
            "shares": f"{sharing_engine(self.folder)} --port ${{PORT}} -a shares",
            "plain": fake("-a", "plain"),
            "script": script(self.folder, "while :; do SERVER $1; sleep 0.2; done\n", "-a", "script"),
            "forking": " ".join(f'"{word}"' for word in words),
            "reuses": fake("--reuse-port", "-a", "reuses"),
            "closes": fake("--router-child", "-a", "closes"),
            "slow": fake("-a", "slow", "--ready-after", "0.3"),
            "fixed": " ".join(f'"{word}"' for word in command("--port", str(self.ports[15]), "-a", "fixed")),
            "failing": fake("-a", "failing", "--crash", "loading"),
        }
        self.models = [name for name in rows if name != "failing"]
        proxy = f", proxy: 'http://127.0.0.1:{self.ports[15]}'"
        lines = [
            f"  {name}: {{cmd: '{cmd}', unloadTimeout: 1, ttl: {3 * (name == 'plain')}{proxy * (name == 'fixed')}}}"
            for name, cmd in rows.items()
        ]
        groups = "groups:\n  beside: {swap: false, exclusive: false, members: [plain, script, reuses, fixed]}\n"
        return configured(self.folder, f"startPort: {self.ports.start}\nmodels:\n" + "\n".join(lines) + f"\n{groups}")

    # --- clients --------------------------------------------------------------------------------------------------

    def client(self, running: Instance, seed: int) -> None:
        dice = random.Random(seed)
        while time.monotonic() < self.ends_at:
            kind = dice.choices(["chat", "stream", "leave", "large", "nonsense", "look"], [9, 4, 2, 1, 1, 1])[0]
            try:
                getattr(self, kind)(running, dice)
            except (OSError, http.client.HTTPException) as error:
                self.violation(f"{kind}: {type(error).__name__}: {error}")
            self.count(kind)

    def chat(self, running: Instance, dice: random.Random, size: int = 0) -> None:
        model = dice.choice([*self.models, "failing"])
        orders = {"framing": dice.choice(["length", "chunked", "close"])}
        body = {
            "model": model,
            "messages": [{"role": "user", "content": "x" * size + str(dice.random())}],
            "fake": orders,
        }
        raw = json.dumps(body).encode()
        answer = ask(running, "POST", "/v1/chat/completions", raw)
        if self.explained(answer, f"chat {model}") and answer.status == 200:
            echo = answer.json.get("echo", {})
            if echo.get("model") != model or echo.get("body_sha256") != hashlib.sha256(raw).hexdigest():
                self.violation(f"chat {model} was answered with {answer.body[:200]!r}")

    def large(self, running: Instance, dice: random.Random) -> None:
        self.chat(running, dice, dice.randrange(100_000, 3_000_000))

    def stream(self, running: Instance, dice: random.Random) -> None:
        model = dice.choice(self.models)
        body = {"model": model, "stream": True, "fake": {"chunks": dice.randrange(1, 40)}}
        answer = ask(running, "POST", "/v1/chat/completions", json.dumps(body).encode())
        if self.explained(answer, f"stream {model}") and answer.status == 200:
            last = answer.body.rstrip().rpartition(b"\n\n")[2]
            if last != b"data: [DONE]" and not last.startswith(b"event: error"):
                self.violation(f"a stream of {model} ended with {last[:200]!r}")

    def leave(self, running: Instance, dice: random.Random) -> None:
        """Go away in the middle: of waiting, or of an answer that is held back."""
        connection = running.connect()
        body = json.dumps({"model": dice.choice(self.models), "stream": True, "fake": {"hold_after": 1}})
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        connection.sock.settimeout(dice.choice([0.001, 0.05, 0.3]))
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.getresponse().read(20)
        connection.close()

    def nonsense(self, running: Instance, dice: random.Random) -> None:
        raw = dice.choice([b"{", b"[]", b'{"model": 1}', b'{"model": "nobody"}', b"\xff" * 1000, b'{"model": []}'])
        answer = ask(running, "POST", "/v1/chat/completions", raw)
        if answer.status not in (400, 404):
            self.violation(f"{raw[:30]!r} was answered with {answer.status} {answer.body[:200]!r}")

    def look(self, running: Instance, dice: random.Random) -> None:
        path = dice.choice(
            ["/v1/models", "/running", "/api/models", "/api/ports", "/metrics", "/api/requests", "/health"]
        )
        answer = ask(running, "GET", path)
        if answer.status != 200:
            self.violation(f"{path}: {answer.status} {answer.body[:200]!r}")
        if path == "/running":
            ports = [row["port"] for row in answer.json["running"] if row.get("port")]
            if len(set(ports)) != len(ports):
                self.violation(f"two models have one port: {answer.body!r}")

    # --- what goes wrong ------------------------------------------------------------------------------------------

    def mischief(self, running: Instance) -> None:
        dice = random.Random(4711)
        while time.monotonic() < self.ends_at:
            kind = dice.choice(MISHAPS)
            try:
                getattr(self, f"do_{kind}")(running, dice)
            except (psutil.Error, ProcessLookupError):
                pass  # it has ended by itself
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told and the soak goes on
                self.violation(f"mishap {kind}: {type(error).__name__}: {error}")
            self.count(f"mishap {kind}")
            time.sleep(dice.uniform(0.2, 1.5))

    def do_kill(self, running: Instance, dice: random.Random) -> None:
        servers = [child for child in running.children() if "fake_server.py" in " ".join(child.cmdline())]
        if servers:
            dice.choice(servers).kill()

    def do_close(self, running: Instance, dice: random.Random) -> None:
        del dice
        for child in running.children():
            if "--router-child" in child.cmdline():
                os.kill(child.pid, signal.SIGTERM)

    def do_unload(self, running: Instance, dice: random.Random) -> None:
        self.explained(ask(running, "POST", f"/api/models/unload/{dice.choice(self.models)}"), "unload")

    def do_load(self, running: Instance, dice: random.Random) -> None:
        self.explained(ask(running, "POST", f"/api/models/load/{dice.choice(self.models)}"), "load")

    def do_configure(self, running: Instance, dice: random.Random) -> None:
        patch = json.dumps({"ttl": dice.randrange(2, 9)}).encode()
        answer = ask(running, "PATCH", f"/api/config/models/{dice.choice(self.models)}", patch)
        if answer.status != 200:
            self.violation(f"PATCH: {answer.status} {answer.body[:200]!r}")

    def do_thief(self, running: Instance, dice: random.Random) -> None:
        rows = [row for row in running.running().values() if row.get("port") and row.get("pid")]
        if not rows:
            return
        row = dice.choice(rows)
        leader = psutil.Process(int(row["pid"]))
        with thief(int(row["port"]), *dice.choice([(), ("65534",)] if os.getuid() == 0 else [()])) as taker:
            for child in leader.children(recursive=True) or [leader]:
                child.kill()
            time.sleep(dice.uniform(0.2, 1.0))
            if taker.prompts:
                self.violation(f"a thief on port {row['port']} of {row['model']} was sent {taker.prompts} prompts")
            self.count("thief got the port" if taker.lines else "thief got nothing")

    # --- judgement ------------------------------------------------------------------------------------------------

    def explained(self, answer: Answer, what: str) -> bool:
        code = "" if answer.status == 200 else str(error_of(answer).get("code"))
        self.count(f"answer {answer.status} {code}".strip())
        if code in EXPLAINED.get(answer.status, ()):
            return True
        self.violation(f"{what}: {answer.status} {answer.body[:300]!r}")
        return False

    def at_rest(self, running: Instance, files_before: int) -> None:
        """Unload everything and see what is left."""
        ask(running, "POST", "/api/models/unload")
        process = psutil.Process(running.process.pid)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            requests = ask(running, "GET", "/api/requests").json["requests"]
            left, files = running.children(), process.num_fds()
            if not requests and not left and files <= files_before + 10:
                return
            time.sleep(0.5)
        self.violation(f"at rest: requests {requests}, processes {left}, {files} files open, {files_before} before")

    def count(self, what: str) -> None:
        with self.lock:
            self.done[what] += 1

    def violation(self, what: str) -> None:
        with self.lock:
            self.violations.append(what)
            print("VIOLATION", time.strftime("%H:%M:%S"), what, flush=True)


def error_of(answer: Answer) -> dict[str, Any]:
    """Return OpenAI's error of an answer; empty when it is none."""
    with contextlib.suppress(ValueError, AttributeError):
        found = answer.json.get("error")
        return found if isinstance(found, dict) else {}
    return {}


def ask(running: Instance, method: str, path: str, body: bytes | None = None) -> Answer:
    connection = running.connect()
    connection.timeout = ANSWER_SECONDS
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())


def main(minutes: float) -> int:
    with tempfile.TemporaryDirectory() as name:
        soak = Soak(Path(name), minutes)
        with instance(soak.folder, "--config", str(soak.config())) as running:
            ask(running, "GET", "/api/models")
            process = psutil.Process(running.process.pid)
            files, began = process.num_fds(), process.memory_info().rss
            threads = [threading.Thread(target=soak.client, args=(running, seed)) for seed in range(CLIENTS)]
            threads.append(threading.Thread(target=soak.mischief, args=(running,)))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            soak.at_rest(running, files)
            rest = process.memory_info().rss
            code = running.end(signal.SIGTERM)
            if code != 0:
                soak.violation(f"it ended with {code}")
            for line in running.lines:
                if "Traceback" in line or "unexpected" in line:
                    soak.violation(f"in the log: {line}")
            print(f"memory: {began / 2**20:.0f} MiB at first, {rest / 2**20:.0f} MiB at the end")
        for what, times in sorted(soak.done.items()):
            print(f"{times:8} {what}")
        print(f"{len(soak.violations)} violations")
    return 1 if soak.violations else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0))
