"""The examples load without an error, and who they say runs beside whom does."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path

import pytest

from claracore.core.config.command import split
from claracore.core.config.load import load
from claracore.core.config.model import Config
from claracore.core.ports.listen import Listen
from claracore.core.scheduler.by_memory import ByMemory
from claracore.core.scheduler.policy import Situation
from claracore.core.scheduler.policy_from_config import policy_of
from claracore.host.engines.abilities import flags
from claracore.host.setup.examine import examine

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
HELP = max((ROOT / "tests" / "engines" / "helps").glob("b*.txt"))
MISSING = re.compile(r"the (program|model file|file|folder) |does not exist|is not on PATH")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def config_of(path: Path) -> Config:
    loaded = load(text_of(path), file=path.name, env={}, strict=True)
    assert loaded.config is not None, loaded.findings
    return loaded.config


def claims(path: Path, what: str, between: str) -> list[list[str]]:
    found = re.findall(rf"^# {what}: (.+)$", text_of(path), re.MULTILINE)
    return [[name.strip() for name in claim.split(between)] for claim in found]


each = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.stem))


@each
def test_nothing_is_wrong_with_it_but_what_is_missing_here(path: Path) -> None:
    found = examine([(path.name, text_of(path))], env={}, listen=Listen(), strict=True)
    assert [its for its in found.findings if its.severity != "note" and not MISSING.search(its.message)] == []


@each
def test_who_is_said_to_run_together_does_whoever_comes_first(path: Path) -> None:
    rule = policy_of(config_of(path)).rule
    for together in claims(path, "together", "+"):
        for order in permutations(together):
            for number, model in enumerate(order):
                assert not rule.evictees(Situation(model, frozenset(order[:number]))), (model, order)


@each
def test_who_is_said_to_run_in_turn_makes_the_other_go(path: Path) -> None:
    rule = policy_of(config_of(path)).rule
    for turns in claims(path, "in turn", ","):
        for target, running in permutations(turns, 2):
            assert rule.evictees(Situation(target, frozenset({running}))) == {running}, (target, running)


@each
def test_who_is_said_to_go_by_memory_says_what_it_takes(path: Path) -> None:
    config = config_of(path)
    for model in (config.models[name] for names in claims(path, "by memory", ",") for name in names):
        assert isinstance(policy_of(config).rule, ByMemory)
        assert model.memory


@each
def test_every_model_is_in_what_it_says(path: Path) -> None:
    kinds = (("together", "+"), ("in turn", ","), ("by memory", ","))
    said = {name for what, between in kinds for claim in claims(path, what, between) for name in claim}
    assert said == set(config_of(path).models)


@each
def test_llama_server_knows_the_flags(path: Path) -> None:
    known = flags(HELP.read_text(encoding="utf-8"))
    for model in config_of(path).models.values():
        words = split(model.cmd)
        if words[0] == "llama-server":
            given = {word for word in words if re.fullmatch(r"--?[a-z][\w-]*", word)}
            assert given <= known, (model.id, given - known)


def test_the_page_of_examples_names_each() -> None:
    page = text_of(ROOT / "examples" / "README.md")
    assert re.findall(r"\[([\w-]+\.yaml)\]\(\1\)", page) == re.findall(r"\| \[([\w-]+\.yaml)", page)
    assert sorted(re.findall(r"\| \[([\w-]+\.yaml)", page)) == [path.name for path in EXAMPLES]
