"""The image that Containerfile makes, run by a real runtime: `CLARACORE_IMAGE=localhost/claracore make test-image`."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.instance import until
from fakes.ports import free_port

IMAGE = os.environ.get("CLARACORE_IMAGE", "")
RUNTIME = os.environ.get("CLARACORE_RUNTIME") or shutil.which("podman") or shutil.which("docker") or ""
MODELS = Path(__file__).resolve().parents[2] / ".models" / "smollm2"
MODEL = "smollm2-135m-instruct-q4_1"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (IMAGE and RUNTIME), reason="CLARACORE_IMAGE names no image, or there is no runtime"),
]


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([RUNTIME, *words], capture_output=True, text=True, timeout=120, check=False)


class RunningImage:
    """A container of the image; `port` is where it is published."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port

    def get(self, method: str, path: str, body: object = None, key: str = "") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def is_up(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get("GET", "/health")[0] == 200
        return False

    def inside(self, *words: str) -> str:
        return ask("exec", self.name, *words).stdout


@contextlib.contextmanager
def running(*options: str) -> Iterator[RunningImage]:
    port, name = free_port(), f"claracore-image-test-{os.getpid()}"
    volume = f"{MODELS}:/models:ro"
    done = ask("run", "-d", "--name", name, "-p", f"127.0.0.1:{port}:5800", "-v", volume, *options, IMAGE)
    try:
        assert done.returncode == 0, done.stderr
        container = RunningImage(name, port)
        until(lambda: container.is_up() or ask("inspect", "-f", "{{.State.Running}}", name).stdout.strip() != "true")
        assert container.is_up(), ask("logs", name)
        yield container
    finally:
        ask("rm", "-f", "-v", name)


def test_it_serves_a_model_for_any_user_on_a_read_only_root_and_ends_in_peace() -> None:
    options = ("--user", "12345:0", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")  # noqa: S108 - inside
    with running(*options, "-e", "CLARACORE_API_KEY=secret") as image:
        assert image.get("GET", "/v1/models")[0] == 401
        status, models = image.get("GET", "/v1/models", key="secret")
        assert status == 200
        assert MODEL in models
        chat = {"model": MODEL, "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]}
        assert image.get("POST", "/v1/chat/completions", chat, key="secret")[0] == 200
        assert image.get("GET", "/api/config", key="secret")[0] == 200
        assert image.inside("id", "-u").strip() == "12345"
        assert MODEL in image.inside("claracore", "ps")
        assert ask("exec", image.name, "claracore-container", "is-healthy").returncode == 0
        # What loses its parent comes to the first process, which is ClaraCore, and is reaped by it.
        image.inside("sh", "-c", "(sleep 0.1 &) ; exit 0")
        until(lambda: "Z" not in [line.split(")")[-1].split()[0] for line in stats(image)])
        assert ask("stop", "-t", "40", image.name).returncode == 0
        assert ask("inspect", "-f", "{{.State.ExitCode}}", image.name).stdout.strip() == "0"


def stats(image: RunningImage) -> list[str]:
    return image.inside("sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null").splitlines()


def test_without_a_key_nobody_administers() -> None:
    with running() as image:
        assert image.get("GET", "/v1/models")[0] == 200
        status, text = image.get("POST", "/api/models/unload", {})
        assert status == 403
        assert "claracore keys add" in text
        made = image.inside("claracore", "keys", "add", "ann", "--scope", "admin").strip()
        until(lambda: image.get("GET", "/v1/models")[0] == 401)
        assert image.get("POST", "/api/models/unload", {}, key=made)[0] == 200
