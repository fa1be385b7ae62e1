"""One line for each device, and every byte in it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from claracore.cli.memory_bars import CELLS, memory_bars
from claracore.core.units import GIB


def device(total: int, other: int, reserved: int, *models: int) -> dict[str, Any]:
    rows = [{"model": f"m{number}", "bytes": size, "source": "measured"} for number, size in enumerate(models)]
    free = max(0, total - other - reserved - sum(models))
    return {
        "id": "gpu0", "total_bytes": total, "other_bytes": other, "reserved_bytes": reserved, "free_bytes": free,
        "models": rows,
    }  # fmt: skip


def test_who_takes_what() -> None:
    (line,) = memory_bars([device(40 * GIB, 4 * GIB, GIB // 2, 20 * GIB, GIB // 100)])
    bar, _, words = line.partition("] ")
    assert bar == "gpu0  [" + "A" * 20 + "B" + "." * 14 + "oooo" + "-"
    assert words.startswith("A m0 20.0 GiB (measured), B m1 10 MiB (measured), o other programs 4.0 GiB, - kept free")
    assert words.endswith(". free 15.5 GiB of 40.0 GiB")


def test_what_no_model_may_use_by_the_budget() -> None:
    shown = device(40 * GIB, 4 * GIB, 0, 10 * GIB) | {"free_bytes": 6 * GIB}
    bar, _, words = memory_bars([shown])[0].partition("] ")
    assert bar == "gpu0  [" + "A" * 10 + "." * 6 + "x" * 20 + "oooo"
    assert words.endswith("o other programs 4.0 GiB, x beyond the budget 20.0 GiB, . free 6.0 GiB of 40.0 GiB")


def test_what_is_not_known() -> None:
    shown = device(GIB, 0, 0, 0)
    shown["models"][0]["source"] = "unknown"
    assert memory_bars([shown]) == [f"gpu0  [{'.' * CELLS}] A m0 ? (unknown), . free 1.0 GiB of 1.0 GiB"]
    assert memory_bars([]) == []


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**12), min_size=2, max_size=60))
def test_a_bar_is_never_longer_than_it_is(total: int, sizes: list[int]) -> None:
    (line,) = memory_bars([device(total, *sizes[:2], *sizes[2:])])
    assert line.index("]") - line.index("[") - 1 == CELLS
