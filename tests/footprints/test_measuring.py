"""What a server takes, where devices tell by process, where they do not, and in containers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claracore.core.config.model import ModelConfig
from claracore.core.fit.machine import Hardware, Memory, Processor
from claracore.core.memory.devices import RAM_BESIDE_GPU
from claracore.core.memory.engine_log import EngineBuffers
from claracore.host.footprints.command_reader import ReadCommand
from claracore.host.footprints.containers import container_pids, is_container
from claracore.host.footprints.measuring import NOISE_BYTES, ServerSeen, measure
from claracore.host.hardware.memory_devices import MemoryDevices
from claracore.host.hardware.nvidia import read_gpus
from claracore.host.hardware.process_memory import process_memory
from claracore.host.hardware.tree import Tree
from hardware.nvml import MIB, Script, build
from hardware.trees import plant

COMMAND = ReadCommand("key")


@pytest.fixture
def script(tmp_path: Path) -> Script:
    made = build(tmp_path)
    made.write((24576, 1000), (12288, 300))
    return made


def devices_of(script: Script, tmp_path: Path) -> MemoryDevices:
    gpus, _ = read_gpus(script.load())
    tree = tmp_path / "tree"
    tree.mkdir()
    hardware = Hardware(Processor("", 4, 4, 4), Memory(1, 1), gpus)
    return MemoryDevices(hardware, tree=plant(tree, "== /proc/2/comm\nkthreadd\n"), load=script.load)


def test_by_process_with_what_lies_beside_its_buffers(script: Script, tmp_path: Path) -> None:
    me = os.getpid()
    devices = devices_of(script, tmp_path)
    script.write((24576, 9000), (12288, 300), processes={(0, me): 5590, (0, 1): 1500})
    buffers = EngineBuffers({"CUDA0": 5000 * MIB, "CUDA_Host": MIB, "CPU_Mapped": 2 * MIB})
    taken = measure(devices, ServerSeen((me,), COMMAND, buffers))
    assert taken is not None
    memory = process_memory(me)
    assert memory is not None
    assert taken.by_device["gpu0"] == 5590 * MIB
    assert taken.by_device["ram"] == pytest.approx(memory.own + 2 * MIB, abs=4 * MIB)
    assert taken.overheads["gpu0"] == 590 * MIB
    assert taken.overheads[RAM_BESIDE_GPU] == pytest.approx(memory.own - MIB, abs=4 * MIB)


def test_a_projector_is_in_no_log_so_that_nothing_is_learnt(script: Script, tmp_path: Path) -> None:
    me = os.getpid()
    devices = devices_of(script, tmp_path)
    script.write((24576, 9000), (12288, 300), processes={(0, me): 5590})
    command = ReadCommand("key", several_files=True)
    taken = measure(devices, ServerSeen((me,), command, EngineBuffers({"CUDA0": MIB})))
    assert taken is not None
    assert not taken.overheads


def test_the_difference_counts_where_nobody_else_came_or_went(script: Script, tmp_path: Path) -> None:
    me = os.getpid()
    devices = devices_of(script, tmp_path)
    before = {"gpu0": 1000 * MIB, "gpu1": 300 * MIB}
    script.write((24576, 7000), (12288, 310), silent=(0, 1))
    taken = measure(devices, ServerSeen((me,), COMMAND, EngineBuffers(), before))
    assert taken is not None
    assert taken.by_device["gpu0"] == 6000 * MIB
    assert "gpu1" not in taken.by_device  # noise
    assert 10 * MIB < NOISE_BYTES
    assert measure(devices, ServerSeen((me,), COMMAND, EngineBuffers())) is None


def test_a_container_without_a_name_is_a_difference_everywhere(script: Script, tmp_path: Path) -> None:
    devices = devices_of(script, tmp_path)
    used = {device: devices.use(device).used for device in devices.ids}
    script.write((24576, 4000), (12288, 300))
    before = {**used, "ram": used["ram"] - 500 * MIB}
    taken = measure(devices, ServerSeen((), COMMAND, EngineBuffers(), before))
    assert taken is not None
    assert taken.by_device["gpu0"] == 3000 * MIB
    assert taken.by_device["ram"] == pytest.approx(500 * MIB, abs=200 * MIB)


def test_pages_that_are_not_known_to_be_weights_are_counted_whole(tmp_path: Path) -> None:
    hardware = Hardware(Processor("", 4, 4, 4), Memory(1, 1))
    devices = MemoryDevices(hardware, tree=Tree(tmp_path), load=lambda: None)
    memory = process_memory(os.getpid())
    assert memory is not None
    whole = measure(devices, ServerSeen((os.getpid(),), COMMAND, EngineBuffers()))
    needed = measure(devices, ServerSeen((os.getpid(),), COMMAND, EngineBuffers({"CPU": 1})))
    assert whole is not None
    assert needed is not None
    assert whole.by_device["ram"] - needed.by_device["ram"] == pytest.approx(memory.mapped, abs=4 * MIB)


def model(cmd: str) -> ModelConfig:
    return ModelConfig(id="m", cmd=cmd)


def test_the_runtime_knows_the_processes_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "$@" > "$0.asked"\necho 4711\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    named = model("docker run --rm --name qwen -p ${PORT}:8080 image")
    tree = plant(
        tmp_path, "== /proc/4711/cgroup\n0::/docker/abc\n== /sys/fs/cgroup/docker/abc/cgroup.procs\n4711\n4712\n"
    )
    assert is_container(named)
    assert container_pids(named, tree) == [4711, 4712]
    assert (tmp_path / "docker.asked").read_text().split() == ["inspect", "--format", "{{.State.Pid}}", "qwen"]
    docker.write_text("#!/bin/sh\necho 0\n")
    assert container_pids(named, tree) == []
    docker.write_text("#!/bin/sh\necho no such object >&2\nexit 1\n")
    assert container_pids(named, tree) == []
    assert container_pids(model("docker run image"), tree) == []
    assert container_pids(model("podman run --name x image"), tree) == []
    assert not is_container(model("llama-server -m x"))
    assert not is_container(model("llama-server 'x"))


def test_what_lies_on_a_card_was_only_read_from_the_file(script: Script, tmp_path: Path) -> None:
    devices, me = devices_of(script, tmp_path), os.getpid()
    script.write((24576, 9000), (12288, 300), processes={(0, me): 5000})
    taken = measure(devices, ServerSeen((me,), COMMAND, EngineBuffers()))
    memory = process_memory(me)
    assert taken is not None
    assert memory is not None
    assert taken.by_device["ram"] == pytest.approx(memory.own, abs=4 * MIB)
