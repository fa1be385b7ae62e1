"""RAM is measured, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from claracore.core.fit.machine import Hardware, Memory, Processor
from claracore.core.units import GIB
from claracore.host.hardware import ram_speed
from claracore.host.hardware.ram_speed import FILE, measured_bandwidth, ram_bandwidth

MACHINE = Hardware(Processor("a processor", 2, 2, 2), Memory(8 * GIB, 8 * GIB))


def test_it_is_a_plausible_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ram_speed, "SECONDS", 0.02)
    assert 1e8 < measured_bandwidth(1) < 1e12


def test_it_is_measured_once_for_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = iter([10e9, 12e9, 30e9, 20e9])
    monkeypatch.setattr(ram_speed, "measured_bandwidth", lambda _threads: next(measured))
    assert ram_bandwidth(MACHINE, tmp_path) == 12e9
    assert ram_bandwidth(MACHINE, tmp_path) == 12e9
    other = Hardware(Processor("another", 4, 4, 4), MACHINE.memory)
    assert ram_bandwidth(other, tmp_path) == 30e9
    assert next(measured, None) is None


@pytest.mark.parametrize(
    "text", ["[]", '{"a processor 2 8": "fast"}', '{"a processor 2 8": -1}', '{"a processor 2 8": 1' + "0" * 400 + "}"]
)
def test_a_file_that_says_nothing_is_written_anew(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ram_speed, "measured_bandwidth", lambda _threads: 5e9)
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    assert ram_bandwidth(MACHINE, tmp_path) == 5e9
    assert ram_bandwidth(MACHINE, None) == 5e9
