"""Lines of real logs, and what a load that prints them is at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claracore.core.loading.past import Forecast, ModelFile
from claracore.core.loading.phases import LoadPhase, phase_of, phase_words
from claracore.core.loading.progress import Behind, left_seconds
from claracore.core.units import GIB, MIB
from claracore.host.engines.states import MARK
from claracore.host.loading.bytes_read import bytes_read
from claracore.host.loading.under_way import LoadUnderWay, Looked
from claracore.host.supervisor.health import Loading
from claracore.host.supervisor.reports import Reports
from claracore.host.supervisor.running import Running
from claracore.types import ModelState

LINES = [
    ("0.00.005.524 I srv    load_model: loading model '/models/phi-4-Q4_K_M.gguf'", LoadPhase.WEIGHTS),
    ("llama_model_loader: loaded meta data with 33 key-value pairs and 272 tensors", LoadPhase.WEIGHTS),
    ("llm_load_tensors:   CPU_Mapped model buffer size =  8632.25 MiB", LoadPhase.WEIGHTS),
    ("llama_context: constructing llama_context", LoadPhase.CONTEXT),
    ("llama_new_context_with_model: n_ctx      = 8192", LoadPhase.CONTEXT),
    ("0.00.375.827 I cmn          init: llama threadpool init, n_threads = 2", LoadPhase.WARMUP),
    ("common_init_from_params: warming up the model with an empty run - please wait ...", LoadPhase.WARMUP),
    ("srv  llama_server: listening on http://127.0.0.1:18998", None),
    ("srv  llama_server: security: no API key is set and CORS allows all origins", None),
]


@pytest.mark.parametrize(("line", "phase"), LINES)
def test_what_a_line_tells(line: str, phase: LoadPhase | None) -> None:
    assert phase_of(line) is phase


WORDS = [
    (LoadPhase.STARTING, "", None, 0, "starting the engine"),
    (LoadPhase.STARTING, "Loading model", None, 0, "starting the engine"),
    (LoadPhase.STARTING, "compiling kernels", None, 0, "compiling kernels"),
    (LoadPhase.WEIGHTS, "Loading model", int(4.1 * GIB), int(8.2 * GIB), "reading weights 4.1 of 8.2 GiB"),
    (LoadPhase.WEIGHTS, "", 14 * MIB, 99 * MIB, "reading weights 14 of 99 MiB"),
    (LoadPhase.WEIGHTS, "", None, 8 * GIB, "reading weights, 8.0 GiB"),
    (LoadPhase.WEIGHTS, "", None, 0, "reading weights"),
    (LoadPhase.WEIGHTS, "", 8 * GIB, 8 * GIB, "8.0 GiB of weights are read"),
    (LoadPhase.WEIGHTS, "Loading projector", GIB, 8 * GIB, "reading the projector"),
    (LoadPhase.CONTEXT, "Loading model", None, GIB, "making the context"),
    (LoadPhase.WARMUP, "", None, GIB, "warming up"),
    (LoadPhase.CONVERSATIONS, "", None, GIB, "bringing conversations back"),
    (None, "Loading model", None, GIB, ""),
    (None, "half way", None, GIB, "half way"),
]


@pytest.mark.parametrize(("phase", "message", "read", "total", "words"), WORDS)
def test_a_phase_in_words(phase: LoadPhase | None, message: str, read: int | None, total: int, words: str) -> None:
    assert phase_words(phase, message, read=read, total=total) == words


def test_what_is_read_and_then_copied_is_said_so() -> None:
    assert phase_words(LoadPhase.WEIGHTS, "", read=GIB, total=4 * GIB, copies=True) == "copying weights 1.0 of 4.0 GiB"


def test_without_a_warm_up_nothing_warms_up() -> None:
    reports = Reports(lambda: None, cmd="llama-server --no-warmup")
    reports.hear("cmn  init: llama threadpool init, n_threads = 2")
    assert reports.phase is LoadPhase.CONTEXT


def test_what_the_engine_reports_and_prints_is_one_story() -> None:
    told: list[LoadPhase | None] = []
    reports = Reports(lambda: told.append(reports.phase), cmd="llama-server")

    def report(value: float) -> None:
        stage = f'{{"stages":["text_model"],"current":"text_model","value":{value}}}'
        assert reports.take(f'{MARK}{{"state":"loading","payload":{stage}}}')

    report(0.0)
    reports.hear("srv    load_model: loading model 'x'")
    report(0.5)
    report(1.0)
    reports.hear("cmn          init: llama threadpool init, n_threads = 2")
    reports.restoring()
    weights, context = LoadPhase.WEIGHTS, LoadPhase.CONTEXT
    assert told == [weights, weights, context, LoadPhase.WARMUP, LoadPhase.CONVERSATIONS]


TOTAL = 1000


def load(forecast: Forecast | None = None) -> LoadUnderWay:
    return LoadUnderWay(100.0, Looked("key", ModelFile(TOTAL, 0), forecast))


def running(phase: LoadPhase | None, told: float | None = None, pid: int | None = 1) -> Running:
    loading = Loading("Loading model", told) if told is not None else None
    return Running(ModelState.STARTING, pid=pid, loading=loading, phase=phase)


def test_a_bar_never_stands_at_its_end_and_never_goes_back() -> None:
    one = load(Forecast(10.0))
    steps = [
        (running(None), 100.1),
        (running(LoadPhase.WEIGHTS, 0.0, os.getpid()), 101.0),
        (running(LoadPhase.WEIGHTS, 0.4), 103.0),
        (running(LoadPhase.CONTEXT, 1.0), 110.0),
        (running(LoadPhase.WARMUP, 1.0), 200.0),
        (running(LoadPhase.WARMUP, 1.0), 10_000.0),
    ]
    seen = []
    for now_running, now in steps:
        one.enter(now_running, now)
        expected = one.expected(now_running, now)
        assert expected.progress is not None
        seen.append(expected.progress)
    assert seen == sorted(seen)
    assert seen[-1] <= 0.99


def test_bytes_move_the_bar_of_a_first_load_and_are_said() -> None:
    one = load()
    found = one.expected(running(LoadPhase.WEIGHTS, 0.0, os.getpid()), 101.0)
    assert found.total_bytes == found.read_bytes == TOTAL, "this process has more of files than so few bytes"
    assert found.words == "1 KiB of weights are in memory already"
    assert found.progress is not None
    assert 0 < found.progress < 0.5, "they may still be copied"
    assert one.expected(running(LoadPhase.WEIGHTS, 0.3), 102.0).words == "copying weights 0 of 1 KiB"


def test_what_an_engine_says_counts_before_what_the_kernel_says() -> None:
    found = load().expected(running(LoadPhase.WEIGHTS, 0.3), 101.0)
    assert (found.read_bytes, found.words) == (300, "reading weights 0 of 1 KiB")


def test_parts_of_a_load_are_remembered_and_expected() -> None:
    one = load()
    assert one.enter(running(LoadPhase.CONTEXT), 103.0), "the weights are there only now"
    assert not one.enter(running(LoadPhase.WARMUP), 104.0)
    past = one.past(1.0, 106.0)
    assert past is not None
    assert (past.seconds, past.weights_seconds, past.warmup_seconds) == (6.0, 3.0, 2.0)
    forecast = Forecast(6.0, 3.0, 2.0)
    assert left_seconds(9.0, 0.9, forecast, Behind(1.0)) == 2.0
    assert left_seconds(9.0, 0.9, forecast, Behind(2.0, 0.5)) == 1.5
    assert left_seconds(99.0, 0.9, forecast, Behind(90.0, 50.0)) == 0.0


def test_weights_that_are_read_once_more_are_not_there_yet() -> None:
    one = load()
    one.enter(running(LoadPhase.CONTEXT), 103.0)
    one.enter(running(LoadPhase.WEIGHTS), 104.0)
    assert one.weights_at is None
    assert one.enter(running(LoadPhase.WARMUP), 109.0)


def test_bytes_of_a_process_are_of_files_that_it_has_mapped_or_read(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(os.urandom(4 * MIB))
    before = bytes_read([os.getpid()])
    assert before is not None
    mapped_before = before
    for _ in range(8 + before // (4 * MIB)):  # until what was read is more than what is mapped
        file.read_bytes()
    after = bytes_read([os.getpid()])
    assert after is not None
    assert after >= mapped_before + 4 * MIB
    assert bytes_read([]) is None
    assert bytes_read([2**22 + 1]) is None
