"""How does a test run a whole ClaraCore, as a person would: a process, a port, requests?"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psutil

from fakes import command

WAIT_SECONDS = 120


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


class Instance:
    """One `claracore` process in a folder of its own; `url` is where it serves."""

    def __init__(
        self,
        folder: Path,
        *argv: str,
        env: Mapping[str, str] | None = None,
        user: int | None = None,
        python: str = sys.executable,
        run_by: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.python, self.run_by = python, run_by
        state = folder / "state"
        self.process = subprocess.Popen(
            [*self.command(), "-m", "claracore", "--listen", "127.0.0.1:0", *argv],
            cwd=folder,
            env={**os.environ, "XDG_STATE_HOME": str(state), "XDG_RUNTIME_DIR": str(state), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def command(self) -> list[str]:
        """Return the words that start Python."""
        return [*self.run_by, self.python]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def line(self, text: str) -> str:
        """Wait for a line that contains `text`."""
        with self._news:
            found = self._news.wait_for(lambda: self._find(text) or not self._reader.is_alive(), WAIT_SECONDS)
            line = self._find(text)
        assert found, f"no line with {text!r} in:\n" + "\n".join(self.lines)
        assert line, f"it ended without a line with {text!r}:\n" + "\n".join(self.lines)
        return line

    def _find(self, text: str) -> str | None:
        return next((line for line in self.lines if text in line), None)

    def ready(self) -> Self:
        self.url = self.line(" on http").rsplit(" ", 1)[-1]
        return self

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=WAIT_SECONDS)

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if raw is not None else {}
        connection = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, raw, {**kind, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())

    def chat(self, model: str, **more: Any) -> Answer:
        messages = [{"role": "user", "content": "Say hello."}]
        return self.ask("POST", "/v1/chat/completions", {"model": model, "messages": messages, **more})

    def running(self) -> dict[str, Any]:
        return {row["model"]: row for row in self.ask("GET", "/running").json["running"]}

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Signal it and wait for its end; return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(WAIT_SECONDS)
        self._reader.join(WAIT_SECONDS)
        return code


@contextlib.contextmanager
def instance(
    folder: Path,
    *argv: str,
    env: Mapping[str, str] | None = None,
    user: int | None = None,
    python: str = sys.executable,
    run_by: Sequence[str] = (),
    kind: type[Instance] | None = None,
) -> Iterator[Instance]:
    """Run a ClaraCore for the length of a block; whatever happens, nothing of it is left afterwards.

    Root may have it run as another `user`, by a `python` that this one may run; `run_by` is a command that runs it.
    """
    running = (kind or Instance)(folder, *argv, env=env, user=user, python=python, run_by=run_by)
    try:
        yield running.ready()
    finally:
        children = running.children() if running.process.poll() is None else []
        running.process.kill()
        running.process.wait()
        running._reader.join(WAIT_SECONDS)
        if running.process.stdout is not None:
            running.process.stdout.close()
        psutil.wait_procs(children, timeout=WAIT_SECONDS)


def on_one_processor() -> tuple[str, ...]:
    """Return a command that runs another on one processor, where there is such a command.

    An engine that finds one processor has one thread: on a busy machine, two that wait for each other are far slower.
    """
    if (taskset := shutil.which("taskset")) is None:
        return ()
    processors = sorted(os.sched_getaffinity(0))
    return (taskset, "--cpu-list", str(processors[os.getpid() % len(processors)]))


def configured(folder: Path, text: str) -> Path:
    """Write a configuration; return its path."""
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def fake(*flags: str) -> str:
    """Return the `cmd` of a fake model server on ${PORT}."""
    return " ".join(f'"{word}"' for word in command("--port", "${PORT}", *flags))


def until(holds: Callable[[], bool]) -> None:
    """Wait for something in another process that tells nobody."""
    latest = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < latest
        time.sleep(0.01)


def gone(processes: list[psutil.Process]) -> bool:
    """Wait until none of the processes runs any more."""
    _, alive = psutil.wait_procs(processes, timeout=WAIT_SECONDS)
    return not alive
