"""llama.cpp's RPC over two other machines, for real: `make test-llama-server`, where ggml-rpc-server is beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from e2e.instance import gone, until
from e2e.streaming import Streaming
from e2e.test_ranks import Ranks, broken_off, words

SERVER = os.environ.get("CLARACORE_LLAMA_SERVER", "")
RPC = Path(SERVER).with_name("ggml-rpc-server") if SERVER else Path()

pytestmark = pytest.mark.skipif(not RPC.is_file(), reason="no ggml-rpc-server beside CLARACORE_LLAMA_SERVER")


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Ranks]:
    with ExitStack() as stack:
        yield Ranks(tmp_path, stack)


def rpc_servers(machines: Ranks, name: str) -> list[psutil.Process]:
    return [child for child in machines.running[name].children() if RPC.name in " ".join(child.cmdline())]


def test_it_answers_over_two_rpc_servers_and_again_when_one_was_killed(machines: Ranks, smollm2: Path) -> None:
    for name in ("b", "c"):
        machines.start(name)
    model = (
        "  big:\n    nodes: 3\n"
        f"    cmd: {SERVER} --port ${{PORT}} -m {smollm2} -ngl 99 -c 512 -fit off --rpc ${{RANKS}}\n"
        f"    rankCmd: {RPC} --host ${{NODE_ADDR}} --port ${{PORT}}\n"
    )
    head = machines.start_head(model, "b", "c")
    assert head.chat("big", max_tokens=8).json["choices"][0]["message"]["content"]
    servers = {name: rpc_servers(machines, name) for name in ("b", "c")}
    assert [len(each) for each in servers.values()] == [1, 1]
    ports = {
        connection.raddr.port for each in head.children() for connection in each.net_connections() if connection.raddr
    }
    for name, (server,) in servers.items():
        listening = {each.laddr for each in server.net_connections() if each.status == psutil.CONN_LISTEN}
        assert {each.ip for each in listening} == {machines.addresses[name].split(":")[0]}
        assert {each.port for each in listening} <= ports
    stream = Streaming(head, "big")
    assert stream.begun.wait(60)
    servers["b"][0].kill()
    broken_off(stream, "machine 'b'", "its rank ended")
    assert gone([*servers["b"], *servers["c"]])
    again = head.chat("big", max_tokens=8)
    assert again.status == 200, words(again)
    assert head.ask("POST", "/api/models/unload/big").status == 200
    until(lambda: not rpc_servers(machines, "b") and not rpc_servers(machines, "c"))
