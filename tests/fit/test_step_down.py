"""With what a model starts that ran out of memory with its own command."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from claracore.core.fit.case import FLOOR
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.marks import comment_digest, digest
from claracore.core.fit.server_flags import server_flags
from claracore.core.fit.settings import Settings
from claracore.core.fit.step_down import StepDown, with_values
from claracore.core.fit.untouched import untouched_commands

CMD = """\
${llama-server} --model "/models/a b.gguf"
# context: all that fits; a comment that names --ctx-size 9
--ctx-size 32768
--n-gpu-layers 33
--parallel 1
"""
LAYERS = 32


def count(cmd: str) -> Mapping[str, int]:
    """Count 100 for each layer, 50 of it experts, and one for each 1024 tokens."""
    flags = server_flags(["llama-server", *cmd.replace("${llama-server}", "").split()], {})
    assert flags is not None
    experts = flags.number("cpu_experts") or 0
    on_gpu = min(flags.number("gpu_layers") or 0, LAYERS)
    context = (flags.number("context") or 0) // 1024
    in_ram = 100 * (LAYERS - on_gpu) + 50 * max(0, experts - (LAYERS - on_gpu))
    return {"gpu0": 100 * LAYERS + context - in_ram, "ram": in_ram}


def step(gpu: int, ram: int = 10_000, *, experts: bool = False, in_ram: bool = False, cmd: str = CMD) -> StepDown:
    return StepDown(
        cmd,
        Settings(32768, gpu_layers=33),
        LAYERS,
        experts,
        count,
        {"gpu0": gpu, "ram": ram},
        in_ram=in_ram,
        known_flags=KnownFlags(frozenset({"--n-cpu-moe"})),
    )


def less(subject: StepDown) -> Mapping[str, int]:
    found = subject.lesser()
    assert found is not None
    assert all(found.sizes.get(device, 0) <= size for device, size in subject.room.items())
    assert found.cmd == with_values(subject.cmd, found.values)
    return found.values


def test_context_first_as_much_as_fits() -> None:
    assert less(step(3231)) == {"context": 31 * 1024}
    assert less(step(3216)) == {"context": 16 * 1024}
    found = step(3204).lesser()
    assert found is not None
    assert found.change == "4096 tokens of context instead of 32768"


def test_then_experts_and_layers_go_to_ram_with_a_modest_context() -> None:
    assert less(step(3000, experts=True)) == {"context": 8192, "cpu_experts": 5}
    assert less(step(1000, experts=True)) == {"context": 8192, "cpu_experts": LAYERS, "gpu_layers": 19}
    assert less(step(3000)) == {"context": 8192, "gpu_layers": 29}
    found = step(3000, experts=True).lesser()
    assert found is not None
    assert found.change == "8192 tokens of context instead of 32768, the experts of 5 layers in RAM"


def test_less_context_than_is_useful_only_where_nothing_can_go_to_ram() -> None:
    assert less(step(3203)) == {"context": 8192, "gpu_layers": 31}
    assert less(step(3203, ram=0)) == {"context": 3 * 1024}
    assert less(step(3203, in_ram=True)) == {"context": 3 * 1024}


def test_nothing_helps() -> None:
    assert step(3200 + FLOOR // 1024 - 1, in_ram=True).lesser() is None
    assert step(3000, ram=50).lesser() is None
    embedder = step(10)
    assert StepDown(**{**fields(embedder), "settings": Settings(8192, embeddings=True)}).lesser() is None  # type: ignore[arg-type]


def fields(subject: StepDown) -> dict[str, object]:
    return {name: getattr(subject, name) for name in StepDown.__slots__}


@pytest.mark.parametrize(
    ("cmd", "after"),
    [
        ("x -m a -c 4096 --port 1", "x -m a -c 2048 --port 1"),
        ("x --ctx-size=4096", "x --ctx-size=2048"),
        ("x -m a\n# -c 5\n-c 4096\n", "x -m a\n# -c 5\n-c 2048\n"),
        ("x -c 1 -c 4096", "x -c 1 -c 2048"),
        ("x -m a", "x -m a\n--ctx-size 2048\n"),
        ("x -m -c-4096.gguf", "x -m -c-4096.gguf\n--ctx-size 2048\n"),
    ],
)
def test_a_value_in_a_command_as_it_is_written(cmd: str, after: str) -> None:
    assert with_values(cmd, {"context": 2048}) == after


def test_commands_that_nobody_has_changed() -> None:
    def text(cmd: str, mark: str, *, comment: str = "") -> str:
        return f"models:\n  a:\n    # setup: cmd={mark}\n{comment}    cmd: {cmd}\n  b:\n    cmd: x\n"

    mark = digest("llama-server -m x") + comment_digest([])
    assert untouched_commands(text("llama-server -m x", mark)) == {"a": "llama-server -m x"}
    assert untouched_commands(text("'llama-server -m x'", mark)).keys() == {"a"}, "it says the same"
    assert untouched_commands(text("llama-server -m x -c 9", mark)) == {}
    assert untouched_commands("models: {a: {cmd: x}}") == {}
    assert untouched_commands("") == {}
