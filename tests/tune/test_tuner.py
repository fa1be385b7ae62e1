"""Models that are really started, one tuning after another, by a supervisor: with a scripted server and a real one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import psutil
import pytest

from claracore.core.config.load import load
from claracore.core.fit.budget import Budget
from claracore.core.tune.tuning import Tuning
from claracore.errors import BadRequest, Conflict, ModelNotFound
from claracore.host.tune import asking, case
from claracore.host.tune.local import TuneWish, local_tuner
from claracore.host.tune.tuner import Tuner
from claracore.host.tune.written import write_tuning
from claracore.types import ModelState
from fakes.ports import free_run

P = ParamSpec("P")
SCRIPT = Path(__file__).with_name("scripted.py")


def in_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test in an event loop of its own."""

    @wraps(test)
    def run(*args: P.args, **fixtures: P.kwargs) -> None:
        asyncio.run(test(*args, **fixtures))

    return run


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A program called llama-server."""
    program = tmp_path / "llama-server"
    program.write_text(f"#!{sys.executable} -ES\n" + SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def configured(folder: Path, command: str) -> Path:
    file = folder / "config.yaml"
    text = f"startPort: {free_run(4).start}\nmodels:\n  small:\n    aliases: [s]\n    cmd: |\n      {command}\n"
    file.write_text(text, encoding="utf-8")
    return file


@contextlib.asynccontextmanager
async def tuning(file: Path, folder: Path, seconds: float = 600) -> AsyncIterator[Tuner]:
    async with local_tuner(TuneWish(file, "s", seconds), folder / "state", os.environ) as tuner:
        yield tuner


async def all_lines(tuner: Tuner) -> list[dict[str, Any]]:
    return [line async for line in tuner.lines() if line["what"] != "note"]


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def scripted(server: Path, smollm2: Path, flags: str = "-t 1") -> str:
    return f'"{server}" --port ${{PORT}} -m "{smollm2}" -c 4096 {flags}'


@in_loop
async def test_the_fastest_is_found_and_nothing_is_left(tmp_path: Path, server: Path, smollm2: Path) -> None:
    before = children()
    file = configured(tmp_path, scripted(server, smollm2))
    async with tuning(file, tmp_path) as tuner:
        tuner.tunable = with_cores(tuner, 2)
        lines = await all_lines(tuner)
        assert tuner.supervisor.state("small") is ModelState.STOPPED
    assert children() == before
    trials = {line["words"]: line for line in lines if line["what"] == "trial"}
    assert "2 threads" in trials
    assert trials["as configured"]["reading"] == 1000
    assert "ended before it was ready" in trials["2 threads, prompts by 256 tokens"]["failure"]
    result = lines[-1]
    assert (result["what"], result["complete"]) == ("result", True)
    assert result["settings"] == {"threads": 2, "flash_attention": False}
    assert result["after"]["writing"] == 25
    assert [line["number"] for line in lines if line["what"] == "trying"] == list(range(1, result["trials"] + 1))


def with_cores(tuner: Tuner, cores: int) -> Any:
    """The machine of the test has so many."""
    return replace(tuner.tunable, case=replace(tuner.tunable.case, cores=cores, logical=cores))


@in_loop
async def test_whoever_ends_it_finds_nothing_that_runs(tmp_path: Path, server: Path, smollm2: Path) -> None:
    before = children()
    file = configured(tmp_path, scripted(server, smollm2))
    seen: list[str] = []

    async def tune() -> None:
        async with tuning(file, tmp_path) as tuner, contextlib.aclosing(tuner.lines()) as lines:
            async for line in lines:
                seen.extend([line["what"]] if line["what"] != "note" else [])
                if seen == ["trying", "trial", "trying"]:
                    task.cancel()

    task = asyncio.create_task(tune())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children() == before


@in_loop
async def test_a_server_that_tells_no_timings(tmp_path: Path, server: Path, smollm2: Path) -> None:
    (tmp_path / "silent").touch()
    async with tuning(configured(tmp_path, scripted(server, smollm2)), tmp_path) as tuner:
        lines = await all_lines(tuner)
    assert "has no timings" in lines[-1]["failure"]
    assert lines[-1]["trials"] == 1


@in_loop
async def test_a_server_that_does_not_answer(
    tmp_path: Path, server: Path, smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.2)
    (tmp_path / "hangs").touch()
    async with tuning(configured(tmp_path, scripted(server, smollm2)), tmp_path) as tuner:
        lines = await all_lines(tuner)
    assert lines[-1]["failure"] == "it did not answer in time"


@in_loop
async def test_a_configuration_that_changes_ends_it(tmp_path: Path, server: Path, smollm2: Path) -> None:
    async with tuning(configured(tmp_path, scripted(server, smollm2)), tmp_path) as tuner:
        first = tuner.config()
        other = first.model_copy(update={"global_ttl": 5.0})
        tuner.config = lambda: first if not tuner.trials else other
        with pytest.raises(Conflict, match="has changed"):
            await all_lines(tuner)
        assert tuner.supervisor.config is other


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("python3 -m http.server ${PORT}", "no llama-server"),
        ("sh -c 'llama-server -m x.gguf --port ${PORT}'", "a shell's script"),
        ("docker run -p ${PORT}:80 llama-server -m x.gguf", "no llama-server"),
        ("llama-server --port ${PORT} -m x.gguf -t many", "cannot be read"),
    ],
)
@in_loop
async def test_what_cannot_be_tuned(tmp_path: Path, command: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        async with tuning(configured(tmp_path, command), tmp_path):
            pass


@in_loop
async def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    file = configured(tmp_path, "llama-server --port ${PORT} -m x.gguf")
    with pytest.raises(ModelNotFound):
        async with local_tuner(TuneWish(file, "other", 9), None, os.environ):
            pass


@in_loop
async def test_a_busy_machine_is_told(
    tmp_path: Path, server: Path, smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (64.0, 0.0, 0.0))
    async with tuning(configured(tmp_path, scripted(server, smollm2)), tmp_path, seconds=0.1) as tuner:
        lines = [line async for line in tuner.lines()]
    assert "load 64.0" in lines[0]["message"]


@in_loop
async def test_no_setting_takes_more_than_is_granted(
    tmp_path: Path, server: Path, smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case, "budget_of", lambda _hardware: Budget((), 0, ()))
    async with tuning(configured(tmp_path, scripted(server, smollm2)), tmp_path) as tuner:
        fits = tuner.tunable.case.fits
        assert fits(Tuning(threads=2))
        assert fits(Tuning(micro_batch=256)), "what the command takes now may be taken"
        assert not fits(Tuning(micro_batch=1024))


@in_loop
async def test_the_embedded_engine(tmp_path: Path, smollm2: Path) -> None:
    command = f'"{sys.executable}" -m claracore engine --port ${{PORT}} -m "{smollm2}" -c 2048 -t 1'
    async with tuning(configured(tmp_path, command), tmp_path, seconds=0.1) as tuner:
        lines = await all_lines(tuner)
    assert [line["what"] for line in lines] == ["trying", "trial", "result"]
    assert lines[1]["failure"] == ""
    assert lines[1]["reading"] > lines[1]["writing"] > 0


def test_what_is_best_is_written_under_the_files_lock(tmp_path: Path, server: Path, smollm2: Path) -> None:
    file = configured(tmp_path, scripted(server, smollm2))
    before = file.read_text(encoding="utf-8")
    backup = write_tuning(file, "s", Tuning(threads=2, flash_attention=False), "faster", os.environ)
    assert backup is not None
    assert backup.read_text(encoding="utf-8") == before
    config = load(file.read_text(encoding="utf-8"), env={}).config
    assert config is not None
    assert config.models["small"].cmd.split()[-4:] == ["-t", "2", "--flash-attn", "off"]
    with pytest.raises(ModelNotFound):
        write_tuning(file, "other", Tuning(threads=2), "", os.environ)
