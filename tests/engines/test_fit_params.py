"""llama.cpp's own program for plans, with scripts that stand for it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from claracore.host.engines.abilities import Abilities
from claracore.host.engines.find import Engine
from claracore.host.engines.fit_params import FitBinary, FitRunner, fit_binary
from e2e.instance import until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(os.name == "nt", reason="shell scripts stand for programs"),
]

HELP = 'case $1 in --help) echo "-fitp, --fit-print [on|off]   print"; echo "-c, --ctx-size N  size";;'


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def engine(server: Path, *, embedded: bool = False) -> Engine:
    return Engine((str(server),), "llama-server", "1", Abilities(), embedded=embedded)


def runner(path: Path, seconds: float = 60.0) -> FitRunner:
    return FitRunner(FitBinary(str(path), frozenset(), ""), time.monotonic() + seconds)


def test_it_is_found_beside_the_engine_or_beside_what_a_link_leads_to(tmp_path: Path) -> None:
    server = script(tmp_path / "build" / "llama-server", "true")
    assert fit_binary(engine(server)) is None
    program = script(tmp_path / "build" / "llama-fit-params", f"{HELP} esac")
    found = fit_binary(engine(server))
    assert found is not None
    assert (found.path, found.flags) == (str(program), frozenset({"-fitp", "--fit-print", "-c", "--ctx-size"}))
    link = tmp_path / "llama-server"
    link.symlink_to(server)
    assert fit_binary(engine(link)) == found
    assert fit_binary(engine(server, embedded=True)) is None


def test_one_that_cannot_say_what_flags_take_is_none(tmp_path: Path) -> None:
    server = script(tmp_path / "llama-server", "true")
    script(tmp_path / "llama-fit-params", 'echo "-c, --ctx-size N  size"')
    assert fit_binary(engine(server)) is None
    script(tmp_path / "llama-fit-params", "exit 7 # another size, so that it is asked again")
    assert fit_binary(engine(server)) is None


def test_what_it_prints_is_returned_unless_it_fails(tmp_path: Path) -> None:
    script(tmp_path / "good", 'echo "$@"; echo noise >&2; echo "$CUDA_DEVICE_ORDER"')
    assert runner(tmp_path / "good").run(["--ctx-size", "1"]) == "--ctx-size 1\nPCI_BUS_ID\n"
    script(tmp_path / "bad", "echo half; exit 1")
    assert runner(tmp_path / "bad").run([]) is None
    assert runner(tmp_path / "missing").run([]) is None


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script(tmp_path / "slow", f"sleep 600 & echo $! > {tmp_path}/pid; wait")
    started = time.monotonic()
    assert runner(tmp_path / "slow", 0.5).run([]) is None
    assert time.monotonic() - started < 30
    status = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    # It has been killed; on a busy machine the kernel gets to it later.
    until(lambda: not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_closing_ends_what_runs_and_nothing_is_run_any_more(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    script(tmp_path / "slow", f"echo started > {tmp_path}/fifo; exec sleep 600")
    running = runner(tmp_path / "slow")
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(running.run([])))
    thread.start()
    assert (tmp_path / "fifo").read_text() == "started\n"
    running.close()
    thread.join(30)
    assert found == [None]
    assert not running.may_run
    assert running.run([]) is None
