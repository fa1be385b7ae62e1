"""What is remembered of commands, on a disk that is not always there."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from claracore.core.fit.learnt import PlacementClass
from claracore.core.memory.command_key import command_key
from claracore.core.memory.measured import MeasuredCommand
from claracore.core.units import GIB
from claracore.host.footprints.remembered import FILE, MOST_COMMANDS, RememberedCommands


def taken(size: int, at: float = 1.0, file: str = "/m.gguf") -> MeasuredCommand:
    return MeasuredCommand("m", file, ({"ram": size},), at, {"ram": GIB}, "cpu", 4096)


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_another_start_and_another_instance_know_it(tmp_path: Path) -> None:
    one, other = RememberedCommands(tmp_path), RememberedCommands(tmp_path)
    one.add("a", taken(5), same_run=False)
    other.add("b", taken(7), same_run=False)
    one.add("c", taken(9), same_run=False)
    assert RememberedCommands(tmp_path).commands.keys() == {"a", "b", "c"} == one.commands.keys()
    assert RememberedCommands(tmp_path).commands["a"].footprint.by_device == {"ram": 5}
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_the_oldest_are_forgotten(tmp_path: Path) -> None:
    remembered = RememberedCommands(None)
    for number in range(MOST_COMMANDS + 5):
        remembered.add(str(number), taken(1, at=number), same_run=False)
    assert len(remembered.commands) == MOST_COMMANDS
    assert "4" not in remembered.commands
    assert "5" in remembered.commands
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", [b"[]", b'{"version": 9, "commands": {}}', b"[" * 100_000])
def test_what_cannot_be_read_is_measured_anew(tmp_path: Path, text: bytes) -> None:
    (tmp_path / FILE).write_bytes(text)
    remembered = RememberedCommands(tmp_path)
    assert not remembered.commands
    remembered.add("a", taken(5), same_run=False)
    assert "a" in RememberedCommands(tmp_path).commands


def test_a_disk_that_is_full_counts_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered = RememberedCommands(tmp_path)
    monkeypatch.setattr(Path, "replace", no_room)
    remembered.add("a", taken(5), same_run=False)
    remembered.add("a", taken(7), same_run=False)
    assert remembered.commands["a"].runs == ({"ram": 5}, {"ram": 7})
    monkeypatch.undo()
    remembered.add("b", taken(9), same_run=False)
    assert RememberedCommands(tmp_path).commands == remembered.commands


def test_what_a_file_took_corrects_its_next_plan() -> None:
    remembered = RememberedCommands(None)
    remembered.add("old", taken(9 * GIB, at=1), same_run=False)
    remembered.add("new", taken(3 * GIB, at=2), same_run=False)
    off = remembered.learnt.correction("/m.gguf", PlacementClass.CPU)
    assert off is not None
    assert 1.9 * GIB < off.by_place[-1] < 2 * GIB
    assert remembered.learnt.correction("/m.gguf", PlacementClass.GPU) is None
    assert remembered.learnt.correction("/other.gguf", PlacementClass.CPU) is None


def test_a_command_is_named_by_what_decides_about_memory() -> None:
    base = command_key(["llama-server", "--port", "1", "-m", "x", "-c", "4096"], [], files=1)
    same = [
        "llama-server",
        "-m",
        "x",
        "--alias",
        "n",
        "-c",
        "4096",
        "--port=9",
        "--host",
        "::1",
        "--metrics",
        "--jinja",
    ]
    assert command_key(same, [], files=1) == base
    others = [
        command_key(["llama-server", "-m", "x", "-c", "8192"], [], files=1),
        command_key(["llama-server", "-m", "x", "-c", "4096"], [], files=2),
        command_key(["llama-server", "-m", "x", "-c", "4096"], ["A=b"], files=1),
        command_key(["llama-server", "-m", "x", "-c", "4096"], [], files=1, engine="b2"),
        command_key(["llama-server", "-m", "x", "-c", "4096"], [], files=1, devices="gpu0"),
    ]
    assert len({base, *others}) == 6
