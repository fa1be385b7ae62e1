"""Conversations that are kept in RAM: reserved, not somebody else's, and in no model's way."""

from __future__ import annotations

from typing import Any, cast

import pytest

from claracore.core.config.load import load
from claracore.core.memory.footprint import RAM, DeviceMemory
from claracore.core.units import GIB
from claracore.host.footprints.model_memory import FootprintTools, ModelMemory
from claracore.host.hardware.memory_devices import DeviceUse


class Devices:
    """24 GiB of RAM, of which so much is in use, kept conversations included."""

    ids = (RAM,)

    def __init__(self, used: int) -> None:
        self.used = used

    def all(self, _pids: object) -> tuple[DeviceUse, ...]:
        return (DeviceUse(RAM, "RAM", 24 * GIB, self.used, {}),)


class Models:
    """One model, and no server."""

    def __init__(self, ram: str) -> None:
        text = f"models: {{a: {{cmd: 'x --port ${{PORT}}', memory: {{ram: {ram}}}}}}}"
        config = load(text, env={}).config
        assert config is not None
        self.config = config

    def all_running(self) -> dict[str, Any]:
        return {}


def looked(model: str, kept: int, used: int) -> tuple[DeviceMemory, int]:
    """Return what the device is said to have, and how many bytes are kept after it was looked at."""
    left = [kept]

    def kept_bytes(most: int) -> int:
        left[0] = min(left[0], most)
        return left[0]

    memory = ModelMemory(lambda: cast("FootprintTools", Tools(Devices(used))))
    memory.kept_bytes = kept_bytes
    memory.connect(Models(model))
    return memory.devices()[0], left[0]


class Tools:
    """The devices alone."""

    def __init__(self, devices: Devices) -> None:
        self.devices = devices


def test_they_are_reserved_and_no_other_programs() -> None:
    without, _ = looked("4GiB", 0, 2 * GIB)
    device, kept = looked("4GiB", 3 * GIB, 5 * GIB)
    assert kept == 3 * GIB
    assert device.other == without.other == 2 * GIB
    assert device.reserved == without.reserved + 3 * GIB


@pytest.mark.parametrize(("model", "left"), [("18GiB", 2), ("20GiB", 0), ("30GiB", 0)])
def test_the_largest_model_always_has_room_beside_them(model: str, left: int) -> None:
    """Of 24 GiB, 2 are reserved and 2 other programs'."""
    device, kept = looked(model, 3 * GIB, 5 * GIB)
    assert kept == left * GIB
    assert device.reserved == (2 + left) * GIB
