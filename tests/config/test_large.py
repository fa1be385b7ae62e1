"""A file of many models costs each of them the same as in a small one.

What is counted is the interpreter's steps, so that neither a slow machine nor a busy one changes the result.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from claracore.core.config.changes import compare
from claracore.core.config.load import LoadedConfig, load
from claracore.core.ports.leases import Leases
from claracore.core.ports.listen import Listen
from claracore.core.ports.plan import plan
from claracore.host.setup.presence import missing_things
from claracore.http.gateway.targets import targets_of

FEW, MANY = 60, 240
LISTEN = Listen(port=5800)


def models(count: int, *lines: str) -> str:
    """Return a file of models whose further options are `lines`; N stands for the model's number."""
    body = "".join(f"    {line}\n" for line in ("cmd: server --port ${PORT}", *lines))
    return "models:\n" + "".join(f"  m{n}:\n{body.replace('N', str(n))}" for n in range(count))


def members(count: int, name: str = "m") -> str:
    return ", ".join(f"{name}{n}" for n in range(count))


def with_macros(count: int, *lines: str) -> str:
    return "macros:\n" + "".join(f"  x{n}: a\n" for n in range(count)) + models(count, *lines)


def with_each(section: str, line: str) -> Callable[[int], str]:
    """Return a maker of files with as many entries in a section as models; N is the number, M the next
    one's, P a port of its own."""

    def text(count: int) -> str:
        meant = [{"N": str(n), "M": str((n + 1) % count), "P": str(20_000 + n)} for n in range(count)]
        entries = [re.sub("[NMP](?![a-z])", partial(_meant, its), line) for its in meant]
        return models(count) + section + ":\n" + "".join(f"  {entry}\n" for entry in entries)

    return text


def _meant(words: dict[str, str], found: re.Match[str]) -> str:
    return words[found[0]]


def one_group(count: int, rest: str = "") -> str:
    return models(count) + f"groups: {{g: {{swap: false, members: [{members(count)}]}}}}\n{rest}"


def fixed(count: int) -> str:
    line = "  mN: {cmd: server --port P, proxy: 'http://127.0.0.1:P'}\n"
    return "models:\n" + "".join(line.replace("N", str(n)).replace("P", str(20_000 + n)) for n in range(count))


SHAPES: dict[str, Callable[[int], str]] = {
    "plain": models,
    "aliases": lambda n: models(n, "aliases: [aN, bN]"),
    "sets of parameters": lambda n: models(n, "filters: {setParamsByID: {mN-high: {effort: high}}}"),
    "macros of the file": lambda n: with_macros(n, "name: ${xN}"),
    "macros of the file and of each": lambda n: with_macros(n, "macros: {yN: '${xN}'}", "name: ${yN}"),
    "one large group": one_group,
    "many groups": with_each("groups", "gN: {swap: false, members: [mN]}"),
    "many ranges": with_each("groups", "gN: {swap: false, startPort: P, members: [mN]}"),
    "many hard ranges": with_each("groups", "gN: {startPort: P, endPort: P, members: [mN]}"),
    "fixed ports": fixed,
    "unknown members": lambda n: models(n) + f"groups: {{g: {{members: [{members(n, 'x')}]}}}}\n",
    "unknown preloads": lambda n: models(n) + f"hooks: {{on_startup: {{preload: [{members(n, 'x')}]}}}}\n",
    "unknown macros": lambda n: models(n, "name: ${nope-N}"),
    "unknown targets": with_each("selectors", "sN: {targets: [xN]}"),
    "unknown pins": with_each("profiles", "pN: {pins: {aN: xN}}"),
    "selectors": lambda n: (
        one_group(n) + with_each("selectors", "sN: {strategy: spillover, targets: [mN, mM]}")(n).removeprefix(models(n))
    ),
    "unknown keys": lambda n: models(n, "nmae: x"),
}
UNUSABLE = {"unknown macros", "unknown targets", "unknown pins"}


def steps_of(work: Callable[[], object]) -> int:
    """Return how many steps of the interpreter some work takes."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def in_proportion(prepare: Callable[[int], Callable[[], object]]) -> None:
    """Assert that four times as much takes hardly more than four times as long."""
    few, many = (steps_of(prepare(count)) for count in (FEW, MANY))
    assert many < few * MANY / FEW * 1.25, f"{few} steps for {FEW}, {many} for {MANY}"


def loaded(text: str) -> LoadedConfig:
    return load(text, env={})


@pytest.fixture(autouse=True)
def _few_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both sizes have as many comparisons: their bound is the same for all files."""
    monkeypatch.setattr("claracore.core.config.report.Hints.__init__", _spent)


def _spent(self: Any, _left: int = 0) -> None:
    self._left = 0


@pytest.mark.parametrize("shape", SHAPES)
def test_loading(shape: str) -> None:
    in_proportion(lambda count: lambda: loaded(SHAPES[shape](count)))


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in UNUSABLE])
def test_what_follows_from_a_file(shape: str) -> None:
    def everything(count: int) -> Callable[[], object]:
        its, again = loaded(SHAPES[shape](count)), loaded(SHAPES[shape](count))
        old, new = its.config, again.config
        assert old is not None
        assert new is not None

        def work() -> None:
            planned = plan(old, LISTEN, places=its.places, ephemeral=range(32768, 61000), privileged_below=1024)
            leases = Leases(planned)
            for model_id in planned.assignment:
                leases.give(model_id, next(leases.candidates(model_id)))
                assert leases.plan.range_of(model_id) is not None
            compare(old, new)
            targets_of(old)

        return work

    in_proportion(everything)


def test_files_that_are_missing_in_a_full_folder(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"other {number}.gguf").touch()

    def look(count: int) -> Callable[[], object]:
        its = loaded(models(count).replace("server", f"llama-server -m {tmp_path}/mine.gguf"))
        config = its.config
        assert config is not None
        return lambda: list(missing_things(config, its.places))

    in_proportion(look)


def test_ports_that_somebody_else_has_all_of() -> None:
    def take(count: int) -> Callable[[], object]:
        its = loaded(models(count))
        assert its.config is not None
        planned = plan(its.config, LISTEN, places=its.places)

        def work() -> None:
            leases = Leases(planned)
            skipped = leases.skipped()
            for model_id, port in planned.assignment.items():
                tried = leases.candidates(model_id, skipped=skipped)
                assert next(tried) == port
                skipped.add(port)
                found = next(tried)
                skipped.add(found)
                leases.give(model_id, found)
            assert leases.given == {model_id: port + count for model_id, port in planned.assignment.items()}

        return work

    in_proportion(take)
