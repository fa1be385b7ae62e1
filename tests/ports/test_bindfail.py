from __future__ import annotations

import pytest

from claracore.core.ports.bindfail import is_bind_failure

CORPUS = {
    "llama-server": "srv         start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8100",
    "llama-server, older": "main: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8100",
    "uvicorn": (
        "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8100): address already in use"
    ),
    "uvicorn on macOS": (
        "ERROR:    [Errno 48] error while attempting to bind on address ('127.0.0.1', 8100): address already in use"
    ),
    "uvicorn on Windows": (
        "ERROR:    [Errno 10048] error while attempting to bind on address ('127.0.0.1', 8100): only one usage of each "
        "socket address (protocol/network address/port) is normally permitted"
    ),
    "vLLM": "OSError: [Errno 98] Address already in use",
    "gunicorn": "[2026-11-01 10:00:00 +0000] [12] [ERROR] Connection in use: ('127.0.0.1', 8100)",
    "node": "Error: listen EADDRINUSE: address already in use 127.0.0.1:8100",
    "node, fields": "  code: 'EADDRINUSE',",
    "Go": "2026/11/01 10:00:00 listen tcp 127.0.0.1:8100: bind: address already in use",
    "Go on Windows": (
        "listen tcp 127.0.0.1:8100: bind: Only one usage of each socket address (protocol/network address/port) is "
        "normally permitted."
    ),
    "Windows, excluded range": (
        "[WinError 10013] An attempt was made to access a socket in a way forbidden by its access permissions"
    ),
    "Rust": 'Error: Os { code: 98, kind: AddrInUse, message: "Address already in use" }',
    "Rust, short": "Address already in use (os error 98)",
    "Java": "java.net.BindException: Address already in use",
    "docker": (
        "docker: Error response from daemon: driver failed programming external connectivity on endpoint x: Bind for "
        "0.0.0.0:8100 failed: port is already allocated."
    ),
    "docker 28": (
        "failed to set up container networking: driver failed programming external connectivity: failed to bind host "
        "port 0.0.0.0:8100/tcp: address already in use"
    ),
    "podman": "Error: rootlessport listen tcp 0.0.0.0:8100: bind: address already in use",
    "Docker Desktop": "Error response from daemon: Ports are not available: exposing port TCP 0.0.0.0:8100 -> 0.0.0.0",
}


@pytest.mark.parametrize("line", CORPUS.values(), ids=CORPUS.keys())
def test_a_bind_failure_is_recognised(line: str) -> None:
    assert is_bind_failure(["loading", line, "exiting"])
    assert is_bind_failure([line], port=8100)


@pytest.mark.parametrize(
    "line",
    [
        "llama_model_load: error loading model: failed to open /models/x.gguf: No such file or directory",
        "CUDA error: out of memory",
        "main: HTTP server is listening, hostname: 127.0.0.1, port: 8100, http threads: 3",
        "ImportError: cannot bind name 'x'",
        "torch.OutOfMemoryError: tried to allocate 10048.00 GiB of 8",
        "loaded 98 tensors [Errno 2]",
        "",
    ],
)
def test_other_failures_are_not(line: str) -> None:
    assert not is_bind_failure([line])


@pytest.mark.parametrize(
    "line",
    [
        "listen tcp 127.0.0.1:9999: bind: address already in use",
        "couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 9999",
        "[Errno 98] error while attempting to bind on address ('127.0.0.1', 9999): address already in use",
        "Error: listen EADDRINUSE: address already in use :::9999",
    ],
)
def test_a_fight_for_another_port_does_not_count(line: str) -> None:
    assert is_bind_failure([line])
    assert not is_bind_failure([line], port=8100)


def test_no_lines_are_no_bind_failure() -> None:
    assert not is_bind_failure([])
