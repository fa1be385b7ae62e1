"""Which tests run, where, and what may they do? Also the fixtures that several folders share.

Two workers (`-n 2`) divide the suite file by file: what a module's fixtures start is started once. `--fast` leaves out
whatever starts a process; in every run, a test that it does not leave out fails when it starts one.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

# A suite that a shell has put into its background ignores Ctrl-C, and all of its children would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
# How long an example takes says how busy the machine is.
# No test meets, or leaves, a configuration or an engine in the home of who runs it: in this folder there can be none.
os.environ["XDG_CONFIG_HOME"] = "/dev/null/none"
os.environ["XDG_DATA_HOME"] = "/dev/null/none"
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

FAST = frozenset(
    ["access", "config", "conformance", "fit", "gguf", "ports", "pull", "scheduler", "sim", "tidy", "wire"]
)
"""What of this folder starts no process, except for the tests that are marked `processes`."""
TESTS = Path(__file__).parent
STARTS = frozenset({"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"})
MODELS = Path(__file__).resolve().parents[1] / ".models"


class Guard:
    """Forbids processes while it is `closed`."""

    closed = False

    def __call__(self, event: str, _arguments: tuple[Any, ...]) -> None:
        """Take an audit event (PEP 578)."""
        if self.closed and event in STARTS:
            raise AssertionError(f"a test of `make test-fast` starts a process ({event}): mark it `processes`")


GUARD = Guard()
sys.addaudithook(GUARD)


def is_fast(path: Path) -> bool:
    """Whether `--fast` runs what lies here."""
    return path.parts[len(TESTS.parts)] in FAST if path.is_relative_to(TESTS) and path != TESTS else True


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="leave out all tests that start a process")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if config.getoption("--fast") and not is_fast(collection_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--fast"):
        left_out = [item for item in items if item.get_closest_marker("processes")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    GUARD.closed = is_fast(item.path) and item.get_closest_marker("processes") is None
    try:
        return (yield)
    finally:
        GUARD.closed = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Hand out files in the order in which they were collected: the last ones must be the last of each worker."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def model_file(relative: str) -> Path:
    path = MODELS / relative
    if not path.exists():
        pytest.fail(f"{path} is missing: run `make models`")
    return path


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct Q4_1: a small real chat model."""
    return model_file("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="session")
def gemma() -> Path:
    """gemma-3-270m Q4_K_M: another real model, with sliding windows."""
    return model_file("gemma/gemma-3-270m-q4_k_m.gguf")
