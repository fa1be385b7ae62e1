"""The ports of the tests: no two workers have one in common, and who has one is left alone."""

from __future__ import annotations

import pytest

from fakes.ports import END, LOWEST, Runs, free_port, free_run, share
from sockets.helpers import listening


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_workers_have_no_port_in_common(workers: int) -> None:
    ports = [port for worker in range(workers) for port in share(worker, workers)]
    assert len(ports) == len(set(ports))
    assert min(ports) >= LOWEST
    assert max(ports) < END


def test_no_port_comes_twice_before_all_others() -> None:
    runs = [free_run(length) for length in (1, 8, 60, 1, 30)]
    ports = [port for run in runs for port in run]
    assert len(ports) == len(set(ports)) == 100


def test_a_port_that_somebody_has_is_passed_over_and_after_the_last_comes_the_first() -> None:
    port = free_port()
    with listening(port):
        runs = Runs(range(port, port + 40))
        assert port not in [runs.free_port() for _ in range(4)]
        with pytest.raises(AssertionError, match="no 50 free ports"):
            runs.free_run(50)
