"""A start that ran out of memory, from the server's lines to what clients are told and what is started next."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from claracore.core.memory.allocation_errors import KILLED, AllocationError
from claracore.core.memory.engine_log import EngineBuffers
from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, Footprint, FootprintSource
from claracore.core.units import GIB, MIB
from claracore.host.hardware.oom_kills import oom_kills
from claracore.host.hardware.tree import Tree
from claracore.host.supervisor import memory_looks
from claracore.host.supervisor.child import Exit
from claracore.host.supervisor.loop import Supervisor
from claracore.host.supervisor.ran_out import RanOutOfMemory, SeenShortage, StartLog, StartShown
from claracore.host.supervisor.runner import Outcome
from hardware.trees import plant
from supervisor.test_memory_looks import Card, Runs, loaded, play, stage

SHOWN = StartShown(AllocationError("CUDA", "gpu0", GIB), EngineBuffers())
LINES = """\
load_tensors:        CUDA0 model buffer size =  1024.00 MiB
load: nothing about it
E ggml_backend_cuda_buffer_type_alloc_buffer: allocating 512.00 MiB on device 0: cudaMalloc failed: out of memory
"""


def ran_out(model: str) -> Outcome:
    return Outcome(RanOutOfMemory(model, "its server ended before it was ready: exit code 1", ("last line",), SHOWN))


class Short(Card):
    """A card on which b needs all, and may be started with 2 GiB."""

    def __init__(self, *, less: bool = False) -> None:
        super().__init__()
        self.sizes = dict.fromkeys("abc", 4)
        self.less, self.lessened = less, False

    def footprint(self, model_id: str) -> Footprint:
        return Footprint({"gpu0": self.sizes.get(model_id, 9) * GIB}, FootprintSource.MEASURED)

    def ran_out(self, model: object, shown: StartShown) -> SeenShortage:
        del model
        assert shown is SHOWN
        self.sizes["b"] = 8
        less = Footprint({"gpu0": 2 * GIB}, FootprintSource.ESTIMATED) if self.less else UNKNOWN_FOOTPRINT
        return SeenShortage(self.footprint("b"), less, words="it could not get 1.0 GiB more")

    def lessen(self, model_id: str) -> None:
        assert model_id == "b"
        self.lessened = True
        self.sizes["b"] = 2


async def failing(supervisor: Supervisor, runs: Runs) -> asyncio.Task[None]:
    """Begin to load b, and have its first start run out of memory."""
    loading = asyncio.create_task(supervisor.load("b"))
    run = await asyncio.wait_for(runs.begun.get(), 10)
    await run.end(ran_out("b"))
    return loading


def test_who_waits_hears_nothing_of_a_failure_that_was_made_good() -> None:
    async def story() -> None:
        supervisor, runs = stage(Short())
        first = await loaded(supervisor, runs, "a")
        loading = await failing(supervisor, runs)
        await first.told_to_stop.wait()
        assert not loading.done()
        await first.end()
        await runs.next_ready("b")
        await loading
        assert supervisor.failure("b") is None

    play(story())


def test_it_is_started_with_less_where_that_is_possible() -> None:
    async def story() -> None:
        card = Short(less=True)
        supervisor, runs = stage(card)
        loading = await failing(supervisor, runs)
        await runs.next_ready("b")
        await loading
        assert card.lessened

    play(story())


def test_else_there_is_one_error_with_the_numbers() -> None:
    async def story() -> None:
        supervisor, runs = stage(Short())
        loading = await failing(supervisor, runs)
        with pytest.raises(RanOutOfMemory) as failed:
            await loading
        assert (failed.value.status, failed.value.code, failed.value.should_retry) == (
            503,
            "insufficient_memory",
            False,
        )
        assert str(failed.value).startswith("model 'b' failed: it could not get 1.0 GiB more (its server ended before")
        assert failed.value.last_lines == ("last line",)

    play(story())


def test_a_device_that_does_not_answer_keeps_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    class Hanging(Short):
        def ran_out(self, model: object, shown: StartShown) -> SeenShortage:
            over.wait(30)
            return super().ran_out(model, shown)

    async def story() -> None:
        supervisor, runs = stage(Hanging())
        loading = await failing(supervisor, runs)
        with pytest.raises(RanOutOfMemory, match="failed: its server ended before it was ready"):
            await loading
        over.set()

    monkeypatch.setattr(memory_looks, "LONGEST_SECONDS", 0.2)
    play(story())


def test_what_a_start_has_shown() -> None:
    log = StartLog()
    for line in LINES.splitlines():
        log.push(line)
    shown = log.why(Exit(1, None))
    assert shown is not None
    assert (shown.error.device, shown.error.asked) == ("gpu0", 512 * MIB)
    assert shown.buffers.on_gpu(0) == GIB
    assert StartLog().why(Exit(1, None)) is None


def test_who_is_killed_while_the_kernel_kills_for_want_of_memory_ran_out_of_it() -> None:
    counts = [3, 4, 3, 3, 3]
    log = StartLog(lambda: counts.pop(0))
    shown = log.why(Exit(None, 9))
    assert shown is not None
    assert (shown.error.family, shown.error.device) == (KILLED, "ram")
    assert StartLog(lambda: counts.pop(0)).why(Exit(None, 9)) is None, "somebody else has killed it"
    assert StartLog(lambda: counts.pop(0)).why(Exit(1, None)) is None
    assert StartLog(lambda: None).why(Exit(None, 9)) is None


def test_the_kernels_count(tmp_path: Path) -> None:
    assert oom_kills(plant(tmp_path, "== /proc/vmstat\nnr_free_pages 5\noom_kill 17\n")) == 17
    assert oom_kills(Tree(tmp_path / "nothing")) is None
