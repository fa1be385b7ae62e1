"""What is said of a load while its weights are read: bar, words and time left."""

from __future__ import annotations

import pytest

from claracore.core.loading.past import Forecast, ModelFile
from claracore.core.loading.phases import LoadPhase
from claracore.core.units import MIB
from claracore.host.loading.under_way import LoadUnderWay, Looked
from claracore.host.supervisor.health import Loading
from claracore.host.supervisor.running import Running
from claracore.types import ModelState

SEEN = Looked("engine", ModelFile(94 * MIB, 0), Forecast(10.0, 2.0))


def test_the_bar_keeps_to_the_bytes_and_the_time_left_to_former_loads() -> None:
    load = LoadUnderWay(0.0, SEEN)
    running = Running(ModelState.STARTING, pid=1, loading=Loading("", 16 / 94), phase=LoadPhase.WEIGHTS)
    found = load.expected(running, 7.1)
    assert found.words == "reading weights 16 of 94 MiB"
    assert found.progress is not None
    assert found.progress < 0.25
    assert found.left_seconds == pytest.approx(2.9, abs=0.5)
