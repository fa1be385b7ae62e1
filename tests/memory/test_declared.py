"""What a configuration says of memory, on machines with other devices than it names."""

from __future__ import annotations

import pytest

from claracore.core.config.sizes import parse_bytes
from claracore.core.memory.declared import MemoryLimits, declared_footprint, device_problems, placed
from claracore.core.memory.footprint import Footprint, FootprintSource
from claracore.core.units import GIB, MIB


@pytest.mark.parametrize(
    ("text", "size"),
    [("500MiB", 500 * MIB), ("8 GiB", 8 * GIB), ("1.5gb", 3 * GIB // 2), ("2T", 2048 * GIB), ("0", 0), (0, 0)],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_bytes(text) == size


def test_what_is_printed_can_be_read_again() -> None:
    assert parse_bytes(8 * GIB) == parse_bytes(str(8 * GIB)) == 8 * GIB


@pytest.mark.parametrize("text", ["8", 8, True, "GiB", "-1GiB", "1e9", "8 gigs", "9" * 60, "9999TiB", None, [], 1.5])
def test_no_sizes(text: object) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_bytes(text)


def test_gpu_is_the_first_one() -> None:
    found = declared_footprint({"ram": 1, "gpu": 2, "gpu1": 3})
    assert found == Footprint({"ram": 1, "gpu0": 2, "gpu1": 3}, FootprintSource.DECLARED)
    assert declared_footprint({}) is None


def test_shared_memory_is_one_device() -> None:
    declared = Footprint({"ram": 1, "gpu0": 2, "gpu1": 3}, FootprintSource.DECLARED)
    assert placed(declared, ["unified"]).by_device == {"unified": 6}
    assert placed(Footprint({"unified": 5, "gpu0": 1}, FootprintSource.DECLARED), ["ram"]).by_device == {
        "ram": 5,
        "gpu0": 1,
    }


def test_names_of_devices() -> None:
    assert not device_problems(["ram", "gpu", "gpu1", "unified", "gpu12"])
    assert set(device_problems(["vram", "gpu01", "GPU0", "ram "])) == {"vram", "gpu01", "GPU0", "ram "}
    assert set(device_problems(["gpu", "gpu0"])) == {"gpu"}


def test_limits_by_device_and_for_all_of_a_kind() -> None:
    limits = MemoryLimits({"gpu": 100, "gpu1": 7}, {"ram": 50, "gpu0": 10**9})
    assert [limits.reserved(name) for name in ("gpu0", "gpu1", "ram", "unified")] == [100, 7, 2 * GIB, 2 * GIB]
    assert [limits.granted(name, 1000) for name in ("ram", "unified", "gpu0", "gpu1")] == [50, 50, 1000, 1000]
