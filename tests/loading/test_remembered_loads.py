"""What is remembered of loads, on a disk that is not always there."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from claracore.core.loading.past import ModelFile, PastLoad
from claracore.host.loading.remembered_loads import FILE, MOST_COMMANDS, RememberedLoads

WARM, COLD = ModelFile(100, 0, "1"), ModelFile(100, 100, "1")


def load(at: float, file: ModelFile = WARM) -> PastLoad:
    return PastLoad(at, at + 0.5, file, 0.25)


def test_another_start_and_another_instance_know_it(tmp_path: Path) -> None:
    one, other = RememberedLoads(tmp_path), RememberedLoads(tmp_path)
    one.add("a", load(1.0))
    other.add("b", load(2.0, COLD))
    one.add("a", load(3.0))
    assert one.loads == RememberedLoads(tmp_path).loads == {"a": (load(1.0), load(3.0)), "b": (load(2.0, COLD),)}
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_of_each_kind_the_newest_are_kept() -> None:
    remembered = RememberedLoads(None)
    for at in range(10):
        remembered.add("a", load(at))
    remembered.add("a", load(10, COLD))
    for at in range(11, 20):
        remembered.add("a", load(at))
    assert [each.at for each in remembered.loads["a"]] == [10, 16, 17, 18, 19]


def test_the_oldest_commands_are_forgotten() -> None:
    remembered = RememberedLoads(None)
    for at in range(MOST_COMMANDS + 5):
        remembered.add(str(at), load(at))
    assert len(remembered.loads) == MOST_COMMANDS
    assert "4" not in remembered.loads


@pytest.mark.parametrize("raw", [b"[]", b'{"version": 99, "commands": {}}', b"[" * 100_000])
def test_what_cannot_be_read_is_left_out(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / FILE).write_bytes(raw)
    remembered = RememberedLoads(tmp_path)
    assert remembered.loads == {}
    remembered.add("a", load(1.0))
    assert RememberedLoads(tmp_path).loads == {"a": (load(1.0),)}


def test_a_disk_that_is_full_counts_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    remembered = RememberedLoads(tmp_path)
    monkeypatch.setattr(Path, "replace", no_room)
    remembered.add("a", load(1.0))
    remembered.add("a", load(2.0))
    assert remembered.loads == {"a": (load(1.0), load(2.0))}
    monkeypatch.undo()
    remembered.add("b", load(3.0))
    assert RememberedLoads(tmp_path).loads == {"a": (load(1.0), load(2.0)), "b": (load(3.0),)}
