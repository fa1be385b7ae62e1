"""A model server that does what a test tells it to: rude, slow, dead, or merely curious.

Stand-alone (stdlib only, starts in about 40 ms): `python -E -S tests/fakes/fake_server.py --port N [flags]`, or as argv
`fakes.command("--port", "0", ...)`. Tests start it as a child process.

Where it listens
  --host H --port N        TCP (default 127.0.0.1:0; the line "listening on H:N" tells the port)
  --unix PATH              a Unix socket instead; so does a --host that ends in .sock, as with llama-server
  --reuse-port             SO_REUSEPORT, as llama-server's flag
  --steal-port N           listens on port N as well (repeatable), and answers there
  --listen-file PATH       does not listen before that file exists
  -m/--model/-a/--alias X  the name in answers; every other unknown flag is ignored
Getting ready
  (default)                ready at once
  --ready-after SECONDS    /health says 503 {"error": {"message": "Loading model", "progress": ...}} until then
  --ready-file PATH        ... until that file exists
  --loading                ... until POST /control/ready
  --health-status N        /health answers N even when ready
  --slow-health SECONDS    /health takes that long
  --hang WHERE             "accept": accepts nothing; "health": /health never answers; "answer": nothing else does
Dying
  --crash WHEN             "start": before listening; "loading": at the first /health; "answer": amid the first answer
  --exit-code N            the exit code of crashes (default 3)
  --bind-error             prints llama-server's words for a busy port and exits 1 (so does a really busy port)
  --ignore-sigterm         SIGTERM does nothing
  --sigterm-waits          SIGTERM ends it only when no connection is open (as llama-server with a stuck client)
  --exit-on-stdin-eof      ends when stdin closes
  --router-child           ends at the line to exit on stdin, or with stdin; SIGTERM only closes its listening sockets
                           (as llama-server under a router; what it reports is for /control/print to say)
Noise and relatives
  --print TEXT             prints a line (repeatable); --flood N prints N lines of 100 bytes
  --flood-forever          prints without end while it serves
  --grandchild FILE        a child that keeps stdout open, in the same process group; its pid goes to FILE
  --escaped-grandchild FILE   the same in a session of its own (it ends itself after 60 s)

HTTP (1.0 and 1.1, keep-alive, chunked request bodies, Expect: 100-continue, Upgrade: websocket with a raw byte echo)
  GET  /health, /v1/models
  POST /v1/chat/completions, /v1/completions   OpenAI-like; {"stream": true} streams SSE chunks and [DONE]
  anything else            an echo: {"method", "path", "http_version", "headers": [[name, value]...] in order
                           and case, "body_sha256", "body_bytes", "pid", "model"}. Completions carry it in "echo".
Per-request orders: a JSON object in the header `X-Fake`, or the key "fake" of a JSON body:
  chunks N (default 4)     how many content chunks a stream has; chunk_bytes N: the size of each one's text
  hold_head true           waits for a release before the status line; hold_after N: after N chunks; hold_each: before
                           each chunk
  cut_after N              closes the connection after N chunks without an end; crash_after N: the whole process dies
  status N, headers [[name, value]...], framing "chunked" | "length" | "close"; error T: with a status, llama-server's
                           error envelope around the text T instead of the echo
  bytes N                  the body is N bytes of "x" (huge answers; framing "length" is allowed)
Control (never counted): POST /control/ready, /control/unready, /control/release?count=N (each hold uses up one),
  /control/crash?code=N, /control/print?text=T, GET /control/state -> {"connections", "connections_total", "requests",
  "active", "held", "aborted" (client left before the end), "completed", "pid"}, and
  GET /control/wait?key=K&at_least=N (or at_most=N), which answers with the state as soon as that is so.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fakes.fake_http import Connection, State, die, say


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("--reuse-port", "--loading", "--bind-error", "--ignore-sigterm", "--sigterm-waits"):
        parser.add_argument(flag, action="store_true")
    for flag in ("--exit-on-stdin-eof", "--flood-forever", "--router-child"):
        parser.add_argument(flag, action="store_true")
    for flag in (
        "--unix",
        "--listen-file",
        "--ready-file",
        "--hang",
        "--crash",
        "--grandchild",
        "--escaped-grandchild",
    ):
        parser.add_argument(flag)
    parser.add_argument("--health-status", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--steal-port", type=int, action="append", default=[])
    parser.add_argument("-m", "--model", "-a", "--alias", default="fake")
    parser.add_argument("--ready-after", type=float, default=0.0)
    parser.add_argument("--slow-health", type=float, default=0.0)
    parser.add_argument("--exit-code", type=int, default=3)
    parser.add_argument("--print", action="append", default=[], dest="lines")
    parser.add_argument("--flood", type=int, default=0)
    parser.add_argument("--version", action="version", version="version: 0 (fake)")
    return parser.parse_known_args(argv)[0]


def listen(options: argparse.Namespace, port: int) -> socket.socket:
    path = options.unix or (options.host if options.host.endswith(".sock") else None)
    family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family)
    if not path:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound = False
    with contextlib.suppress(OSError):
        listener.bind(path or (options.host, port))
        listener.listen(512)
        bound = not options.bind_error
    if not bound:
        say(f"srv  llama_server: couldn't bind HTTP server socket, hostname: {path or options.host}, port: {port}")
        sys.exit(1)
    say(f"listening on {path or '{}:{}'.format(*listener.getsockname()[:2])}")
    return listener


def accept(listener: socket.socket, state: State) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Connection(connection, state).run, daemon=True).start()


def relative(path: str, *, escapes: bool) -> None:
    if os.fork():
        while not Path(path).exists():
            time.sleep(0.005)
        return
    if escapes:
        os.setsid()
    signal.alarm(60)
    part = Path(f"{path}.part")
    part.write_text(str(os.getpid()))
    part.rename(path)
    while True:
        signal.pause()


def flood() -> None:
    while True:
        say("flood " * 16)


def on_sigterm(state: State, listeners: list[socket.socket]) -> None:
    if state.options.ignore_sigterm:
        return
    if state.options.router_child:
        for listener in listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
        return
    if state.options.sigterm_waits:
        threading.Thread(target=lambda: (state.wait("connections", None, 0), os._exit(0)), daemon=True).start()
    else:
        os._exit(0)


def wait_for_sigterm(state: State, listeners: list[socket.socket]) -> None:
    while True:
        signal.sigwait({signal.SIGTERM})
        on_sigterm(state, listeners)


def stdin_watch() -> None:
    while (said := os.read(0, 4096)) and said != b"cmd_router_to_child:exit\n":
        pass
    os._exit(0)


def main() -> None:
    options = parse(sys.argv[1:])
    state = State(options)
    listeners: list[socket.socket] = []
    # Not signal.signal and pause(): a signal just before the call of pause() would wait for the next one.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if options.grandchild:
        relative(options.grandchild, escapes=False)
    if options.escaped_grandchild:
        relative(options.escaped_grandchild, escapes=True)
    threading.Thread(target=wait_for_sigterm, args=(state, listeners), daemon=True).start()
    for line in options.lines:
        say(line)
    for number in range(options.flood):
        say(f"{number:06d} ".ljust(99, "f"))
    if options.crash == "start":
        die(options)
    while options.listen_file and not Path(options.listen_file).exists():
        time.sleep(0.005)
    listeners += [listen(options, port) for port in (options.port, *options.steal_port)]
    watches_stdin = options.exit_on_stdin_eof or options.router_child
    for target in [flood] * options.flood_forever + [stdin_watch] * watches_stdin:
        threading.Thread(target=target, daemon=True).start()
    for listener in listeners if options.hang != "accept" else []:
        threading.Thread(target=accept, args=(listener, state), daemon=True).start()
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
