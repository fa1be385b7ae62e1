"""How long loads will take, by those that were seen."""

from __future__ import annotations

from itertools import count

import pytest

from claracore.core.loading.forecast import Experience
from claracore.core.loading.past import Forecast, ModelFile, PastLoad
from claracore.core.units import GIB

SIZE = 4 * GIB
WARM = ModelFile(SIZE, 0, "ssd")
COLD = ModelFile(SIZE, SIZE, "ssd")
clock = count(1)


def load(seconds: float, file: ModelFile = WARM, weights: float | None = None) -> PastLoad:
    return PastLoad(next(clock), seconds, file, weights)


def seconds(forecast: Forecast | None) -> float:
    assert forecast is not None
    return round(forecast.seconds, 6)


def test_nothing_is_said_where_nothing_was_seen() -> None:
    assert Experience({}).forecast("a", WARM) is None
    assert Experience({}, {"ssd": 1e9}).forecast("a", COLD) is None


def test_a_command_takes_what_it_took_last_with_its_file_in_memory() -> None:
    seen = Experience({"a": [load(9.0), load(2.0), load(2.2), load(2.1)]})
    assert seen.forecast("a", WARM) == Forecast(2.1)


def test_what_is_not_in_memory_is_read_first_as_fast_as_the_disk_has_been() -> None:
    seen = Experience({"a": [load(2.0), load(6.0, COLD)]})  # so 1 GiB/s
    assert seconds(seen.forecast("a", COLD)) == 6.0
    assert seconds(seen.forecast("a", ModelFile(SIZE, GIB, "ssd"))) == 3.0
    assert seconds(seen.forecast("a", WARM)) == 2.0


def test_a_command_seen_only_cold_is_quicker_warm_when_the_disk_is_known_from_others() -> None:
    seen = Experience({"a": [load(2.0), load(6.0, COLD)], "b": [load(7.0, COLD)]})
    assert seconds(seen.forecast("b", WARM)) == 3.0
    assert seconds(seen.forecast("b", COLD)) == 7.0


def test_seen_only_cold_and_nothing_known_of_the_disk_a_cold_load_takes_as_long_again() -> None:
    forecast = Experience({"a": [load(10.0, COLD)]}).forecast("a", COLD)
    assert forecast is not None
    assert forecast.seconds == pytest.approx(11.0)  # of the load a tenth at least was something else


def test_a_disk_counts_by_its_own_reads_where_there_are_any() -> None:
    slow = ModelFile(SIZE, SIZE, "hdd")
    seen = Experience({"a": [load(2.0), load(6.0, COLD)], "b": [load(2.0), load(42.0, slow)]})
    assert seconds(seen.forecast("a", slow)) == 42.0
    assert seconds(seen.forecast("a", COLD)) == 6.0
    assert seconds(seen.forecast("a", ModelFile(SIZE, SIZE, "usb"))) == round(2.0 + 4 / 0.55, 6)


def test_what_was_read_ahead_tells_the_speed_of_a_disk_from_which_no_load_has_read() -> None:
    seen = Experience({"a": [load(2.0)]}, {"ssd": GIB})
    assert seconds(seen.forecast("a", COLD)) == 6.0
    assert Experience({"a": [load(2.0)]}).forecast("a", COLD) is None


def test_a_first_load_is_expected_by_the_command_whose_file_is_nearest_in_size() -> None:
    small, large = ModelFile(GIB, 0, "ssd"), ModelFile(20 * GIB, 0, "ssd")
    seen = Experience({"small": [load(1.0, small)], "large": [load(10.0, large)]})
    assert seconds(seen.forecast("new", ModelFile(2 * GIB, 0))) == 2.0
    assert seconds(seen.forecast("new", ModelFile(30 * GIB, 0))) == 15.0
    assert seconds(seen.forecast("new", ModelFile(GIB // 100, 0))) == 1.0


def test_where_memory_cannot_be_seen_a_load_takes_what_the_last_ones_took() -> None:
    unseen = ModelFile(SIZE, None)
    seen = Experience({"a": [load(2.0, unseen), load(8.0, unseen), load(3.0, unseen)]})
    assert seen.forecast("a", unseen) == Forecast(3.0)
    assert seen.forecast("b", unseen) is not None  # as one whose file is in memory


def test_the_part_after_the_weights_is_what_it_was() -> None:
    seen = Experience({"a": [load(3.0, weights=2.0), load(3.4, weights=2.2)]})
    forecast = seen.forecast("a", WARM)
    assert forecast is not None
    assert forecast.rest_seconds == pytest.approx(1.1)
