"""Commands as memory sees them: real headers, scripts, files that are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claracore.core.config.model import ModelConfig
from claracore.core.fit.learnt import Correction, PlacementClass
from claracore.core.fit.machine import Hardware, Memory, Processor
from claracore.core.units import GIB, MIB
from claracore.host.engines.abilities import Abilities
from claracore.host.engines.embedded_flags import FLAGS
from claracore.host.engines.find import Engine
from claracore.host.footprints.command_reader import CommandReader
from claracore.host.hardware.memory_devices import MemoryDevices
from claracore.host.supervisor.commands import Commands
from fit.test_from_command import machine

EMBEDDED = Engine(("python", "-P", "-m", "claracore", "engine"), "embedded", "1", Abilities(FLAGS), embedded=True)
SERVER = Engine(("/opt/llama-server",), "llama-server", "b1", Abilities(FLAGS), embedded=False)
PLAIN = Hardware(Processor("", 4, 4, 4), Memory(8 * GIB, 8 * GIB))


def reader(engine: Engine = EMBEDDED, state: Path | None = None) -> CommandReader:
    return CommandReader(Commands(engine, lambda _: Abilities()), {}, state)


def devices(hardware: Hardware = PLAIN) -> MemoryDevices:
    return MemoryDevices(hardware, load=lambda: None)


def model(cmd: str, *env: str) -> ModelConfig:
    return ModelConfig(id="m", cmd=cmd, env=env)


def test_a_command_of_ours(gemma: Path) -> None:
    found = reader().read(model(f"llama-server --port ${{PORT}} -m {gemma} -c 4096"), devices())
    assert found.file == str(gemma)
    assert found.expected is not None
    assert found.expected.placement is PlacementClass.CPU
    assert 200 * MIB < found.expected.by_device["ram"] < 500 * MIB
    assert found.expected.weights_in_ram == pytest.approx(gemma.stat().st_size, rel=0.1)
    more = found.expected.corrected({"ram": 5}, Correction(PlacementClass.CPU, {-1: 7}))
    assert more == {"ram": 12}
    assert found.expected.corrected({"ram": 5}, Correction(PlacementClass.CPU, {-1: -7})) == {"ram": 0}
    assert found.expected.corrected({"ram": 5}, Correction(PlacementClass.GPU, {-1: 7})) == {"ram": 5}


def test_our_own_engine_uses_no_card_another_does(gemma: Path) -> None:
    command = model(f"llama-server -m {gemma} -c 4096")
    ours, other = (reader(engine).read(command, devices(machine(24))) for engine in (EMBEDDED, SERVER))
    assert ours.expected is not None
    assert other.expected is not None
    assert set(ours.expected.by_device) == {"ram"}
    assert set(other.expected.by_device) == {"ram", "gpu0"}
    assert ours.key != other.key


def test_another_file_under_the_same_path_is_another_command(tmp_path: Path, gemma: Path, smollm2: Path) -> None:
    file = tmp_path / "m.gguf"
    file.symlink_to(gemma)
    command, read = model(f"llama-server -m {file}"), reader()
    first = read.read(command, devices())
    assert read.read(command, devices()).key == first.key
    assert read.read(model(f"llama-server -m {file} --port 9 --alias x"), devices()).key == first.key
    file.unlink()
    file.symlink_to(smollm2)
    assert read.read(command, devices()).key != first.key


@pytest.mark.parametrize(
    "cmd",
    [
        "llama-server -m /nowhere.gguf",
        "llama-server -m {gemma} -c many",
        "vllm serve x",
        "llama-server -m {text}",
        "x 'y",
    ],
)
def test_what_cannot_be_counted_is_not_expected(cmd: str, tmp_path: Path, gemma: Path) -> None:
    text = tmp_path / "no.gguf"
    text.write_text("no model")
    found = reader().read(model(cmd.format(gemma=gemma, text=text)), devices())
    assert (found.expected, found.file) == (None, "")
    assert reader().read(model("llama-server -m x", "CUDA_VISIBLE_DEVICES=GPU-uuid"), devices()).expected is None


def test_overrides_are_counted_by_the_tensors_of_the_file(gemma: Path) -> None:
    base = f"llama-server -m {gemma} -c 4096 --fit off"
    plain, moved = (
        reader(SERVER).read(model(base + more), devices(machine(24))) for more in ("", r" -ot 'blk\.[0-3]\.=CPU'")
    )
    assert plain.expected is not None
    assert moved.expected is not None
    difference = plain.expected.by_device["gpu0"] - moved.expected.by_device["gpu0"]
    assert difference == moved.expected.by_device["ram"] - plain.expected.by_device["ram"] > MIB


def test_a_script_is_known_by_what_it_has_started(gemma: Path) -> None:
    read = reader()
    script = read.read(model("./serve.sh ${PORT}"), devices())
    assert script.expected is None
    argvs = [["sh", "./serve.sh", "8100"], ["/opt/llama-server", "-m", str(gemma), "-c", "4096"]]
    running = read.as_running(script, argvs, devices())
    assert running.key == script.key
    assert running.file == str(gemma)
    assert running.expected is not None
    assert read.as_running(script, [["/opt/llama-server", "-m", "relative.gguf"], []], devices()) == script


def test_what_was_read_is_kept_for_the_next_start(tmp_path: Path, gemma: Path) -> None:
    first = reader(state=tmp_path)
    command = model(f"llama-server -m {gemma}")
    expected = first.read(command, devices())
    first.save()
    size = (tmp_path / "library.cache").stat().st_size
    again = reader(state=tmp_path)
    assert again.read(command, devices()) == expected
    again.save()
    assert (tmp_path / "library.cache").stat().st_size == size > 0
    assert os.listdir(tmp_path) == ["library.cache"]  # noqa: PTH208 - names are all we need
