"""What is sure to fail is seen before: programs and files on a real disk, and what runs meanwhile goes on."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from claracore.core.config.load import load
from claracore.core.config.model import Config
from claracore.core.gguf.header import Header, read_header
from claracore.core.loading.failure_kinds import FailureKind
from claracore.core.ports.listen import Listen
from claracore.errors import ClaraCoreError, ModelFailed
from claracore.host.engines.abilities import Abilities
from claracore.host.sockets.host import plan_here
from claracore.host.sockets.ports import PortKeeper
from claracore.host.supervisor import foreseen as looked
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.foreseen import foreseen
from claracore.host.supervisor.program import SpawnFailed
from claracore.host.supervisor.surroundings import Surroundings
from supervisor.test_loop import fake, run, served, supervising
from supervisor.test_runner import stage
from zoo.hostile import GOOD


def config_of(**commands: str) -> Config:
    text = "models:\n" + "".join(f"  {model}: {{cmd: '{cmd}'}}\n" for model, cmd in commands.items())
    loaded = load(text, env={})
    assert loaded.config is not None, loaded.findings
    return loaded.config


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Surroundings]:
    """Surroundings with a llama-server on PATH, which is never started here."""
    server = tmp_path / "bin" / "llama-server"
    server.parent.mkdir()
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)

    plan = plan_here(config_of(a="true ${PORT}"), Listen(), places={})
    with contextlib.closing(PortKeeper(plan, state_dir=tmp_path, ledger_dir=tmp_path / "ledger")) as keeper:
        yield Surroundings(keeper, Commands(None, lambda _: Abilities()), {"PATH": str(server.parent)}, None)


def seen(around: Surroundings, cmd: str) -> ClaraCoreError | None:
    return foreseen(config_of(a=cmd).models["a"], around)


def kind_of(error: ClaraCoreError | None) -> str:
    assert error is not None
    assert error.explained is not None
    return error.explained.kind


def test_each_file_that_no_engine_can_read_is_told_as_a_failed_start_is(around: Surroundings, tmp_path: Path) -> None:
    whole = GOOD.header + bytes(GOOD.data_size)
    contents = {
        "page.gguf": (b"<!DOCTYPE html>", FailureKind.NOT_A_MODEL),
        "empty.gguf": (b"", FailureKind.NOT_A_MODEL),
        "begun.gguf": (GOOD.header[:40], FailureKind.CUT),
        "cut.gguf": (whole[:-1], FailureKind.CUT),
    }
    for name, (content, kind) in contents.items():
        (tmp_path / name).write_bytes(content)
        error = seen(around, f"llama-server --port ${{PORT}} -m {tmp_path / name}")
        assert isinstance(error, ModelFailed)
        assert kind_of(error) == kind, name
        assert str(tmp_path / name) in str(error.explained)
    (tmp_path / "whole.gguf").write_bytes(whole)
    assert seen(around, f"llama-server --port ${{PORT}} --model={tmp_path / 'whole.gguf'}") is None
    for engine in ("claracore engine", "claracore.engines.embedded"):
        cmd = f"{sys.executable} -P -m {engine} --port ${{PORT}}"
        assert seen(around, f"{cmd} -m {tmp_path / 'whole.gguf'}") is None
        assert kind_of(seen(around, f"{cmd} -m {tmp_path / 'no.gguf'}")) == FailureKind.NO_FILE
    missing = seen(around, f"llama-server --port ${{PORT}} -m {tmp_path / 'no.gguf'}")
    assert kind_of(missing) == FailureKind.NO_FILE
    assert "no.gguf is not there" in str(missing)
    assert kind_of(seen(around, f"llama-server --port ${{PORT}} -m {tmp_path}")) == FailureKind.NOT_A_MODEL
    beside = seen(around, f"llama-server --port ${{PORT}} -m {tmp_path}/whole.gguf --mmproj {tmp_path}/no.gguf")
    assert kind_of(beside) == FailureKind.NO_FILE
    (tmp_path / "adapter.gguf").write_bytes(whole)
    both = f"llama-server --port ${{PORT}} -m {tmp_path}/whole.gguf --lora {tmp_path}/adapter.gguf,{tmp_path}"
    assert seen(around, f"{both}/whole.gguf") is None
    assert "no.gguf is not there" in str(seen(around, f"{both}/no.gguf"))


def test_what_a_server_may_fetch_or_another_program_may_read_is_not_judged(
    around: Surroundings, tmp_path: Path
) -> None:
    missing = tmp_path / "no.gguf"
    assert seen(around, f"llama-server --port ${{PORT}} -m {missing} --model-url http://x/y") is None
    assert seen(around, f"llama-server --port ${{PORT}} -hf org/name -m {missing}") is None
    assert seen(around, f"/bin/sh start ${{PORT}} -m {missing}") is None
    odd = tmp_path / "newer.gguf"
    odd.write_bytes(b"GGUF\x09\0\0\0" + bytes(64))  # a newer engine may know this version
    assert seen(around, f"llama-server --port ${{PORT}} -m {odd}") is None


def test_a_program_that_is_not_there_or_may_not_run(around: Surroundings, tmp_path: Path) -> None:
    assert kind_of(seen(around, "no-such-program ${PORT}")) == FailureKind.PROGRAM
    gone = seen(around, f"{tmp_path}/no-such-program ${{PORT}}")
    assert isinstance(gone, SpawnFailed)
    assert "check the path" in str(gone)
    assert "model 'a'" in str(gone)
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    plain.chmod(0o644)
    assert "not executable" in str(seen(around, f"{plain} ${{PORT}}"))
    assert kind_of(seen(around, f"{tmp_path} ${{PORT}}")) == FailureKind.PROGRAM


def test_a_header_is_read_once_for_each_state_of_its_file(
    around: Surroundings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []

    def counted(stream: BinaryIO, *, size: int) -> Header:
        reads.append(size)
        return read_header(stream, size=size)

    monkeypatch.setattr(looked, "read_header", counted)
    file = tmp_path / "m.gguf"
    file.write_bytes(b"no model")
    cmd = f"llama-server --port ${{PORT}} -m {file}"
    assert kind_of(seen(around, cmd)) == kind_of(seen(around, cmd)) == FailureKind.NOT_A_MODEL
    assert len(reads) == 1
    file.write_bytes(GOOD.header + bytes(GOOD.data_size))
    assert seen(around, cmd) is None
    assert len(reads) == 2


@run
async def test_what_runs_is_not_unloaded_for_a_file_that_is_no_model(tmp_path: Path) -> None:
    page = tmp_path / "page.gguf"
    page.write_text("<!DOCTYPE html>")
    server = tmp_path / "llama-server"
    server.write_text("#!/bin/sh\nexit 1\n")
    server.chmod(0o755)
    config = config_of(good=fake(), bad=f"{server} --port ${{PORT}} -m {page}")
    async with supervising(config, tmp_path) as supervisor:
        request, _ = await served(supervisor, "good")
        supervisor.finish(request)
        endpoint = supervisor.ready_endpoint("good")
        _, refused = await served(supervisor, "bad")
        assert isinstance(refused.error, ModelFailed)
        assert "the file is no GGUF" in str(refused.error)
        with pytest.raises(ModelFailed, match="no GGUF"):
            await supervisor.load("bad")
        assert supervisor.ready_endpoint("good") == endpoint
        assert "no GGUF" in str(supervisor.failure("bad"))
        page.unlink()
        with pytest.raises(ModelFailed, match="is not there"):
            await supervisor.load("bad")
        assert supervisor.ready_endpoint("good") == endpoint


def test_a_look_ends_with_the_unload_the_change_or_the_end() -> None:
    async def story() -> None:
        supervisor, runner, heard = stage("a", "b")
        runner.looks = asyncio.Queue()
        one = asyncio.ensure_future(supervisor.load("a"))
        await asyncio.sleep(0)
        runner.runs[0].ready()
        await one
        two = asyncio.ensure_future(supervisor.load("b"))
        first = await runner.looks.get()
        await supervisor.unload(["b"])
        with pytest.raises(ClaraCoreError, match="was unloaded while"):
            await two
        assert first.cancelled()
        three = asyncio.ensure_future(supervisor.load("b"))
        second = await runner.looks.get()
        second.set_result(ModelFailed("b", "its image is not there"))
        with pytest.raises(ModelFailed, match="its image is not there"):
            await three
        assert heard.all[-1] == "b reported"  # whoever shows it learns why, although nothing was started
        assert runner.runs[0].orders == []
        four = asyncio.ensure_future(supervisor.load("b"))
        third = await runner.looks.get()
        ending = asyncio.ensure_future(supervisor.shut_down(0.0))
        await asyncio.sleep(0)
        with pytest.raises(ClaraCoreError, match="shutting down"):
            await four
        assert third.cancelled()
        await runner.runs[0].end()
        await ending

    asyncio.run(story())
