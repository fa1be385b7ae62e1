"""What llama.cpp has said is remembered; what it was not asked is asked later. A script stands for the program."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claracore.core.fit.budget import budget_of
from claracore.core.fit.case import Case, Wishes
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor
from claracore.core.fit.memory import Companions
from claracore.core.fit.opinion import OpinionOutcome
from claracore.core.fit.plan import plan
from claracore.core.units import GIB
from claracore.host.engines.abilities import Abilities
from claracore.host.engines.find import Engine
from claracore.host.setup.opinions import FILE, Planned, SecondOpinions
from fit.llama_cpp import facts

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(os.name == "nt", reason="shell scripts stand for programs"),
]

FLAGS = KnownFlags(frozenset({"--ctx-size", "--n-gpu-layers", "--parallel", "--kv-unified"}))
HARDWARE = Hardware(
    Processor("cpu", 16, 8, 8),
    Memory(64 * GIB, 60 * GIB),
    (Gpu("card", "nvidia", Backend.CUDA, 24 * GIB, 24 * GIB, device="CUDA0"),),
)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An engine whose program counts in a file how often it is asked, and says 9 GiB."""
    folder = tmp_path / "engine"
    folder.mkdir()
    program = folder / "llama-fit-params"
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --help ]; then echo "--fit-print X"; echo "--ctx-size N"; echo "--n-gpu-layers N"; exit; fi\n'
        f"echo asked >> {tmp_path}/asked\n"
        'echo "CUDA0 9216 0 0 "; echo "Host 300 0 0 "\n'
    )
    program.chmod(0o755)
    return Engine((str(folder / "llama-server"),), "llama-server", "1", Abilities(), embedded=False)


def planned(tmp_path: Path) -> Planned:
    file = tmp_path / "m.gguf"
    if not file.exists():
        file.write_bytes(b"GGUF")
    case = Case(facts("llama-3.1-8b-Q4_K_M"), budget_of(HARDWARE), Wishes(8192), FLAGS, Companions())
    return Planned(file, case, plan(case.facts, case.budget, case.wishes, FLAGS), HARDWARE)


def times_asked(tmp_path: Path) -> int:
    path = tmp_path / "asked"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_an_answer_is_remembered_for_the_file_as_it_is(engine: Engine, tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = SecondOpinions(engine, state, seconds=60).one(planned(tmp_path))
    assert first.devices[0].engine > first.devices[0].counted
    asked = times_asked(tmp_path)
    assert asked > 0
    again = SecondOpinions(engine, state, seconds=60).one(planned(tmp_path))
    assert (again, times_asked(tmp_path)) == (first, asked)
    (tmp_path / "m.gguf").write_bytes(b"GGUF, another")
    SecondOpinions(engine, state, seconds=60).one(planned(tmp_path))
    assert times_asked(tmp_path) > asked


def test_without_time_only_what_is_remembered_counts_and_the_rest_is_asked_later(
    engine: Engine, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    opinions = SecondOpinions(engine, state)
    assert opinions.one(planned(tmp_path)).outcome is OpinionOutcome.UNANSWERED
    assert times_asked(tmp_path) == 0
    states = [opinions.is_open]
    opinions.go_on(60)
    states.append(opinions.is_open)
    assert states == [True, False]
    later = SecondOpinions(engine, state)
    assert later.one(planned(tmp_path)).outcome is not OpinionOutcome.UNANSWERED
    assert not later.is_open


def test_what_was_closed_asks_nothing(engine: Engine, tmp_path: Path) -> None:
    opinions = SecondOpinions(engine, None)
    opinions.one(planned(tmp_path))
    opinions.close()
    opinions.go_on(60)
    assert times_asked(tmp_path) == 0


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 99, "answers": {}}', b"\xff"])
def test_a_file_that_cannot_be_read_is_an_empty_one(engine: Engine, tmp_path: Path, content: bytes) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / FILE).write_bytes(content)
    opinion = SecondOpinions(engine, state, seconds=60).one(planned(tmp_path))
    assert opinion.outcome is not OpinionOutcome.UNANSWERED


def test_without_a_program_nothing_is_said(tmp_path: Path) -> None:
    for engine in (None, Engine((str(tmp_path / "llama-server"),), "llama-server", "1", Abilities(), embedded=False)):
        opinions = SecondOpinions(engine, None, seconds=60)
        assert opinions.one(planned(tmp_path)).outcome is OpinionOutcome.UNANSWERED
        assert not opinions.is_open
