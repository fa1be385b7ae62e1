"""What follows from a start that ran out of memory: real headers, a scripted card, who has it, what would do."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from claracore.core.config.load import load
from claracore.core.config.model import Config
from claracore.core.fit.marks import comment_digest, digest
from claracore.core.memory.allocation_errors import ANY_GPU, AllocationError
from claracore.core.memory.engine_log import EngineBuffers
from claracore.core.memory.footprint import FootprintSource
from claracore.core.memory.measured import MeasuredCommand
from claracore.core.scheduler.known_memory import POLL_SECONDS
from claracore.core.units import GIB
from claracore.host.footprints import running_out
from claracore.host.footprints.lesser import FILE, LesserCommands
from claracore.host.footprints.model_memory import FootprintTools, ModelMemory
from claracore.host.footprints.remembered import RememberedCommands
from claracore.host.supervisor.ran_out import SeenShortage, StartShown
from claracore.host.supervisor.running import Running
from claracore.types import ModelState
from footprints.test_command_reader import SERVER, reader
from footprints.test_measuring import devices_of
from hardware.nvml import MIB, build

CMD = "llama-server --port ${PORT} -m FILE --n-gpu-layers 99\n--ctx-size 32768\n--parallel 1\n--fit off"


class Servers:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.servers: dict[str, Running] = {}

    def all_running(self) -> Mapping[str, Running]:
        return self.servers


class Desk:
    """The memory of two models on a card of 24 GiB and one of 12."""

    def __init__(self, folder: Path, file: Path, *, ours: bool = True, more: str = "") -> None:
        self.cards = build(folder)
        self.cards.write((24576, 1000), (12288, 300))
        cmd = CMD.replace("FILE", str(file))
        lines = "\n".join(f"      {line}" for line in cmd.splitlines())
        mark = f"    # setup: cmd={digest(cmd + chr(10))}{comment_digest([])}\n" if ours else ""
        other = "  other:\n    cmd: x --port ${PORT}\n    memory: {gpu: 4GiB}\n"
        self.text = f"models:\n  m:\n{mark}    cmd: |\n{lines}\n{more}{other}"
        config = load(self.text, env={}).config
        assert config is not None
        self.folder = folder
        self.servers = Servers(config)
        self.tools = FootprintTools(devices_of(self.cards, folder), reader(SERVER), RememberedCommands(folder))
        self.memory = self.again()

    def again(self) -> ModelMemory:
        """Return what another start of ClaraCore knows."""
        memory = ModelMemory(lambda: self.tools, LesserCommands(self.folder), lambda: [("c.yaml", self.text)])
        memory.connect(self.servers)
        return memory

    def runs_out(self, error: AllocationError, buffers: EngineBuffers | None = None) -> SeenShortage:
        model = self.memory.as_started(self.servers.config.models["m"])
        self.memory.footprint("m")
        return self.memory.ran_out(model, StartShown(error, buffers or EngineBuffers()))

    def use(self, mib: int, processes: Mapping[tuple[int, int], int] | None = None) -> None:
        self.cards.write((24576, mib), (12288, 300), processes=processes)


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes back here."""
    monkeypatch.setattr(running_out, "RETURN_SECONDS", 0.0)


def test_what_the_server_had_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def comes_back(seconds: float) -> None:
        assert seconds == POLL_SECONDS
        desk.use(2000)

    monkeypatch.setattr(running_out, "RETURN_SECONDS", 30.0)
    monkeypatch.setattr(time, "sleep", comes_back)
    desk.use(24500)
    assert "GPU 0 has 22.0 GiB free" in desk.runs_out(cuda(GIB)).words


@pytest.fixture
def desk(tmp_path: Path, gemma: Path) -> Desk:
    return Desk(tmp_path, gemma)


def cuda(asked: int | None, had: int | None = None, device: str = "gpu0") -> AllocationError:
    return AllocationError("CUDA", device, asked, had)


def test_who_has_the_memory_that_is_missing(desk: Desk) -> None:
    me = os.getpid()
    desk.use(24000, {(0, me): 23000})
    seen = desk.runs_out(cuda(2 * GIB))
    name = psutil.Process(me).name()
    assert (
        f"it could not get 2.0 GiB more, GPU 0 has 576 MiB free of 24.0 GiB: 22.5 GiB by {name} (pid {me})"
        in seen.words
    )
    desk.servers.servers["other"] = Running(ModelState.READY, pid=me)
    assert "22.5 GiB by model 'other'; " in desk.runs_out(cuda(2 * GIB)).words


def test_the_larger_need_is_remembered_until_it_runs(desk: Desk) -> None:
    before = desk.memory.footprint("m")
    desk.servers.servers["other"] = Running(ModelState.READY, pid=1)
    desk.use(9000, {(0, 1): 8000})
    seen = desk.runs_out(cuda(GIB))
    usable = desk.memory.device("gpu0")
    assert usable is not None
    assert seen.footprint.on("gpu0") == usable.usable - 4 * GIB + GIB > before.on("gpu0")
    assert seen.footprint.source is FootprintSource.MEASURED
    assert desk.memory.known("m").on("gpu0") == seen.footprint.on("gpu0")
    later = desk.again()
    assert later.footprint("m").on("gpu0") == seen.footprint.on("gpu0"), "over restarts too"
    command = later.command("m")
    assert command is not None
    later.remember(command, MeasuredCommand("m", "", ({"gpu0": 5 * GIB},), 1.0), same_run=False)
    assert later.known("m").on("gpu0") == 5 * GIB


def test_what_is_only_guessed_never_says_that_it_does_not_fit(desk: Desk) -> None:
    seen = desk.runs_out(cuda(None))
    first = desk.memory.device("gpu0")
    assert first is not None
    assert seen.footprint.on("gpu0") == first.usable
    desk.use(9000)
    desk.memory.devices()
    now = desk.memory.device("gpu0")
    assert now is not None
    assert desk.memory.known("m").on("gpu0") == now.usable < first.usable


def test_what_the_server_has_said_proves_it_and_corrects_the_estimates(desk: Desk) -> None:
    buffers = EngineBuffers({"CUDA0": 20 * GIB})
    seen = desk.runs_out(cuda(6 * GIB), buffers)
    assert seen.words.startswith("it needs 26.0 GiB, GPU 0 has ")
    assert seen.footprint.on("gpu0") == 26 * GIB
    desk.use(9000)
    assert desk.memory.known("m").on("gpu0") == 26 * GIB
    assert desk.tools.remembered.learnt.commands[key(desk)].loaded["gpu0"] == 26 * GIB


def key(desk: Desk) -> str:
    command = desk.memory.command("m")
    assert command is not None
    return command.key


def test_a_command_of_setup_starts_with_less_and_that_is_remembered_when_it_works(desk: Desk) -> None:
    own = desk.memory.footprint("m").on("gpu0")
    desk.use(24576 - own // MIB - 600)  # it fits by what is known, and ran out all the same
    seen = desk.runs_out(cuda(200 * MIB))
    assert seen.less.source is FootprintSource.ESTIMATED
    assert seen.less.on("gpu0") <= own
    model = desk.servers.config.models["m"]
    assert desk.memory.as_started(model) is model, "not before it is ordered"
    desk.memory.lessen("m")
    lesser = desk.memory.as_started(model)
    assert "--ctx-size 32768" not in lesser.cmd
    assert lesser.cmd.replace("32768", "") != model.cmd
    assert desk.again().as_started(model) is model
    assert desk.memory.footprint("m").on("gpu0") < own
    command = desk.memory.command("m")
    assert command is not None
    desk.memory.remember(command, MeasuredCommand("m", "", ({"gpu0": GIB},), 1.0), same_run=False)
    later = desk.again()
    assert later.footprint("m").on("gpu0") == GIB
    assert later.as_started(model).cmd == lesser.cmd


def test_more_memory_than_there_was_ends_it(desk: Desk) -> None:
    own = desk.memory.footprint("m").on("gpu0")
    desk.use(24576 - own // MIB - 600)
    desk.runs_out(cuda(200 * MIB))
    desk.memory.lessen("m")
    model = desk.servers.config.models["m"]
    desk.memory.devices()
    assert desk.memory.as_started(model) is not model
    desk.servers.servers["m"] = Running(ModelState.READY)
    desk.use(1000)
    desk.memory.devices()
    assert desk.memory.as_started(model) is not model, "not while it runs"
    desk.servers.servers.clear()
    desk.memory.devices()
    assert desk.memory.as_started(model) is model
    assert desk.memory.footprint("m").on("gpu0") >= own


def test_what_was_lessened_once_is_not_lessened_again(desk: Desk) -> None:
    desk.use(24576 - desk.memory.footprint("m").on("gpu0") // MIB - 600)
    desk.runs_out(cuda(200 * MIB))
    desk.memory.lessen("m")
    seen = desk.runs_out(cuda(200 * MIB))
    assert seen.less.source is FootprintSource.UNKNOWN
    model = desk.servers.config.models["m"]
    assert desk.memory.as_started(model) is model, "it did not help"


def test_a_command_of_a_person_is_left_alone(tmp_path: Path, gemma: Path) -> None:
    desk = Desk(tmp_path, gemma, ours=False)
    desk.use(24576 - desk.memory.footprint("m").on("gpu0") // MIB - 600)
    seen = desk.runs_out(cuda(200 * MIB))
    assert seen.less.source is FootprintSource.UNKNOWN
    assert "claracore setup" not in seen.words


def test_a_command_that_is_only_tried_is_left_alone(desk: Desk) -> None:
    model = desk.servers.config.models["m"]
    tried = model.model_copy(update={"cmd": model.cmd.replace("32768", "30720")})
    desk.servers.config = desk.servers.config.model_copy(update={"models": {**desk.servers.config.models, "m": tried}})
    desk.use(24576 - desk.memory.footprint("m").on("gpu0") // MIB - 600)
    assert desk.runs_out(cuda(200 * MIB)).less.source is FootprintSource.UNKNOWN


def test_what_the_configuration_says_counts_again_when_it_has_run(tmp_path: Path, gemma: Path) -> None:
    desk = Desk(tmp_path, gemma, more="    memory: {gpu: 2GiB}\n")
    assert desk.memory.footprint("m").on("gpu0") == 2 * GIB
    seen = desk.runs_out(cuda(GIB, 30 * GIB))
    assert (seen.footprint.on("gpu0"), seen.footprint.source) == (31 * GIB, FootprintSource.DECLARED)
    assert desk.memory.known("m").on("gpu0") == 31 * GIB
    command = desk.memory.command("m")
    assert command is not None
    desk.memory.remember(command, MeasuredCommand("m", "", ({"gpu0": GIB},), 1.0), same_run=False)
    assert desk.memory.known("m").on("gpu0") == 2 * GIB


def test_which_card_is_meant(tmp_path: Path, gemma: Path) -> None:
    desk = Desk(tmp_path, gemma, more='    env: ["CUDA_VISIBLE_DEVICES=1"]\n')
    assert "GPU 1 has" in desk.runs_out(cuda(GIB)).words, "the first that the server sees"
    other = Desk(folder(tmp_path, "b"), gemma)
    assert "GPU 1 has" in other.runs_out(cuda(GIB, device="gpu1")).words
    third = Desk(folder(tmp_path, "c"), gemma, more="    memory: {gpu1: 2GiB}\n")
    assert "GPU 1 has" in third.runs_out(cuda(GIB, device=ANY_GPU)).words, "where it has most"


def folder(inside: Path, name: str) -> Path:
    made = inside / name
    made.mkdir()
    return made


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 9, "commands": {}}', '{"version": 1, "commands": {"a": 1}}']
)
def test_a_state_file_that_cannot_be_read_costs_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert LesserCommands(tmp_path).applied({}) == {}
