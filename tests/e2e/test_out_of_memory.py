"""A start that runs out of memory: a stand-in llama-server that takes more than its card has, seen by clients."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from claracore.core.fit.marks import comment_digest, digest
from e2e.instance import Instance, configured, fake, instance
from e2e.test_memory import cards, memory_of, on_cards
from fakes import command
from fakes.ports import free_run
from hardware.nvml import MIB, Script

__all__ = ["cards"]

SERVER = """\
#!{python}
# Serves with at most {most} tokens of context while there is no file {beside}; else says what llama-server says.
import os, sys
if "--help" in sys.argv:
    print("--ctx-size N  --n-gpu-layers N  --parallel N  --port N  --host H")
    raise SystemExit(0)
context = int(sys.argv[sys.argv.index("--ctx-size") + 1])
if context > {most} or os.path.exists({beside!r}):
    print("alloc_buffer: allocating 600.00 MiB on device 0: cudaMalloc failed: out of memory")
    print("llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache")
    print("srv    load_model: failed to load model, exiting due to model loading error", flush=True)
    raise SystemExit(1)
words = {words!r}
port = sys.argv[sys.argv.index("--port") + 1]
os.execv(words[0], [*words, "--port", port])
"""


@pytest.fixture
def server(tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "llama-server"
    path.parent.mkdir()
    beside = str(tmp_path / "beside")
    path.write_text(SERVER.format(python=sys.executable, most=16384, beside=beside, words=list(command())))
    path.chmod(0o755)
    return path


def counted(running: Instance, how: str) -> bool:
    text = running.ask("GET", "/metrics").body.decode()
    return f'claracore_second_starts_total{{model="m",how="{how}"}} 1' in text


def generated(server: Path, file: Path, port: int, context: int) -> str:
    """Return a configuration with a command as setup writes it."""
    cmd = f"${{llama-server}} --model {file}\n# context: all that fits\n--ctx-size {context}\n--n-gpu-layers 99\n"
    lines = "".join(f"      {line}\n" for line in cmd.splitlines())
    return f"""\
startPort: {port}
engine: {server}
macros: {{llama-server: "{server} --port ${{PORT}}"}}
models:
  m:
    # setup: cmd={digest(cmd)}{comment_digest([])}
    cmd: |
{lines}
routing: {{router: {{use: memory}}}}
"""


def test_what_setup_wrote_starts_with_less_and_a_person_may_keep_it(
    tmp_path: Path, cards: Script, server: Path, smollm2: Path
) -> None:
    path = configured(tmp_path, generated(server, smollm2, free_run(3).start, 32768))
    cards.write((24576, 500))
    with instance(tmp_path, env=on_cards(cards)) as running:
        running.ask("GET", "/api/memory")
        expected = memory_of(running, "m")["devices"]["gpu0"] // MIB
        cards.write((expected + 1500, 500))
        assert running.chat("m").status == 200
        shown = running.ask("GET", "/api/models/m").json
        assert shown["lessened"].endswith("tokens of context instead of 32768")
        assert int(shown["lessened"].split()[0]) <= 16384
        assert counted(running, "lessened")
    with instance(tmp_path, env=on_cards(cards)) as again:
        assert again.chat("m").status == 200
        assert not counted(again, "lessened"), "the next start begins with what worked"
        kept = again.ask("PUT", "/api/models/lesser/m", {"keep": True})
        assert (kept.status, kept.json["lessened"]) == (200, None)
        context = shown["lessened"].split()[0]
        assert f"# context: all that fits\n      --ctx-size {context}\n" in path.read_text()
        assert again.chat("m").status == 200
        assert again.ask("PUT", "/api/models/lesser/m", {"keep": True}).status == 409


def test_another_model_goes_and_then_it_fits(tmp_path: Path, cards: Script, server: Path, gemma: Path) -> None:
    beside = tmp_path / "beside"
    text = f"""\
startPort: {free_run(4).start}
models:
  m: {{cmd: '{server} --port ${{PORT}} --model {gemma} --ctx-size 8192 --n-gpu-layers 99'}}
  other: {{cmd: '{fake()}', cmdStop: 'sh -c "rm {beside}; kill ${{PID}}"', memory: {{gpu: 4GiB}}}}
USE
"""
    for use in ("routing: {router: {use: memory}}", "groups: {all: {swap: false, members: [m, other]}}"):
        configured(tmp_path, text.replace("USE", use))
        with instance(tmp_path, env=on_cards(cards)) as running:
            running.ask("GET", "/api/memory")
            assert running.chat("other").status == 200
            beside.touch()
            assert running.chat("m").status == 200, use
            assert set(running.running()) == {"m"}
            assert counted(running, "cleared")


def test_who_is_alone_is_told_the_numbers(tmp_path: Path, cards: Script, server: Path, gemma: Path) -> None:
    cmd = f"{server} --port ${{PORT}} --model {gemma} --ctx-size 32768 --n-gpu-layers 99"
    configured(
        tmp_path,
        f"startPort: {free_run(2).start}\nmodels: {{m: {{cmd: '{cmd}'}}}}\nrouting: {{router: {{use: memory}}}}",
    )
    with instance(tmp_path, env=on_cards(cards)) as running:
        pid = running.process.pid
        cards.write((8192, 5000), (12288, 200), processes={(0, pid): 4500})
        refused = running.chat("m")
        assert (refused.status, refused.json["error"]["code"]) == (503, "insufficient_memory")
        assert "it could not get 600 MiB more, GPU 0 has 3.1 GiB free of 8.0 GiB: 4.4 GiB by " in refused.message
        assert (
            f"(pid {pid}); give it a smaller context (--ctx-size) or another quantization, or end " in refused.message
        )
        assert refused.headers["x-should-retry"] == "false"
        assert running.ask("GET", "/api/models/m").json["error"] is not None
