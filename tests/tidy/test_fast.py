"""`make test-fast` needs neither a process nor a browser: whoever starts one there is told to say so."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    "start",
    [
        lambda: subprocess.run([sys.executable, "--version"], check=True),
        lambda: os.posix_spawn(sys.executable, [sys.executable, "--version"], {}),
        lambda: os.system("true"),  # noqa: S605 - it is not started
        os.fork,
    ],
    ids=["subprocess", "posix_spawn", "system", "fork"],
)
def test_a_process_is_forbidden(start: Callable[[], object]) -> None:
    with pytest.raises(AssertionError, match="mark it `processes`"):
        start()


@pytest.mark.processes
def test_a_marked_test_may_have_one() -> None:
    assert subprocess.run([sys.executable, "--version"], check=True, capture_output=True).stdout
