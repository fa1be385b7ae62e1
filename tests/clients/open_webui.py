"""Does Open WebUI list and chat through both kinds of connection?

Its server is started as its recipe says, and asked what its own page asks.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clients.world import MODEL, Failed, World, tail
from fakes.ports import free_run

STARTS_SECONDS = 400
SETTINGS = {
    "WEBUI_AUTH": "False", "WEBUI_SECRET_KEY": "only for this run", "OFFLINE_MODE": "true", "HF_HUB_OFFLINE": "1",
    "ENABLE_VERSION_UPDATE_CHECK": "false", "RAG_EMBEDDING_ENGINE": "openai", "ENABLE_PERSISTENT_CONFIG": "false",
    "OPENBLAS_NUM_THREADS": "1",
}  # fmt: skip
"""No accounts, and nothing fetched."""


def open_webui(world: World) -> str:
    """Return what it answered through the connection to OpenAI's API and through the one to Ollama's."""
    port = free_run(1).start
    with started(world, port) as url:
        token = asked(url, "POST", "/api/v1/auths/signin", {"email": "", "password": ""})["token"]
        listed = {model["id"]: model["owned_by"] for model in asked(url, "GET", "/api/models", token=token)["data"]}
        if {MODEL: "openai", f"{MODEL}:latest": "ollama"}.items() - listed.items():
            raise Failed(f"it lists {listed}")
        return " ".join(said(url, token, model, world) for model in (MODEL, f"{MODEL}:latest"))


def said(url: str, token: str, model: str, world: World) -> str:
    """Return what a model answers to a chat; its script tells the word of a note that it is shown."""
    note = (world.folder / "note.txt").read_text()
    messages = [{"role": "user", "content": f"What does this note say? {note}"}]
    body = {"model": model, "messages": messages, "stream": False}
    answer = asked(url, "POST", "/api/chat/completions", body, token)
    return str(answer["choices"][0]["message"]["content"])


@contextmanager
def started(world: World, port: int) -> Iterator[str]:
    """Run its server; give its address once it answers."""
    lines = world.script("open-webui", "sh").splitlines()[:-1]
    script = "\n".join([*lines, f"exec open-webui serve --host 127.0.0.1 --port {port}"])
    data = world.home / "data"
    data.mkdir()
    environ = world.environment(**SETTINGS, DATA_DIR=str(data))
    output = (world.home / "printed.txt").open("w+")
    process = subprocess.Popen(["bash", "-ec", script], cwd=world.home, env=environ, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        until_it_answers(process, url)
        yield url
    except Failed as failure:
        output.seek(0)
        raise Failed(f"{failure}; it printed {tail(output.read())}") from failure
    finally:
        process.kill()
        process.wait()
        output.close()


def until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    """Wait for its /health. Raises Failed."""
    last = time.monotonic() + STARTS_SECONDS
    while time.monotonic() < last:
        if process.poll() is not None:
            raise Failed(f"it ended with {process.returncode}")
        try:
            asked(url, "GET", "/health")
        except OSError:
            time.sleep(1)  # a stranger's server tells in no other way
        else:
            return
    raise Failed(f"it did not answer within {STARTS_SECONDS} s")


def asked(url: str, method: str, path: str, body: object = None, token: str = "") -> Any:
    """Return what it answers, from JSON. Raises Failed for an error, OSError when nobody listens."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    raw = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, raw, headers, method=method)  # noqa: S310 - to loopback
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - same
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Failed(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error
