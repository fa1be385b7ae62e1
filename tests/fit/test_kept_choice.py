"""A placement that was chosen is written among what a person wrote, and outlives later set-ups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from claracore.core.config.edit import EditRefused
from claracore.core.config.load import load
from claracore.core.config.model import ModelConfig
from claracore.core.fit.budget import budget_of
from claracore.core.fit.case import Wishes
from claracore.core.fit.catalog import Candidate, Chosen, alternatives, choose
from claracore.core.fit.command import flags
from claracore.core.fit.document import Setup, document, environment, memory_words
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.kept_choice import WantedPlacement, with_choice
from claracore.core.fit.machine import Hardware
from claracore.core.fit.merge import Merged, Present, merge
from claracore.core.fit.model_paths import model_paths
from claracore.core.fit.placed_command import placed_flags
from claracore.core.fit.plan import Placement
from claracore.errors import ModelNotFound
from claracore.host.engines.llama_flags import LLAMA_FLAGS
from fit.llama_cpp import facts
from fit.test_placed_command import machine

TODAY = KnownFlags(LLAMA_FLAGS)
QWEN, BGE = "qwen3-32b-Q4_K_M", "bge-m3-Q8_0"
TWO = machine(24, 24)


def setup_of(names: Sequence[str] = (QWEN,), hardware: Hardware = TWO) -> Setup:
    candidates = [Candidate(name, f"/models/{name}.gguf", facts(name), name) for name in names]
    catalog = choose(candidates, budget_of(hardware), Wishes(), TODAY)
    return Setup(catalog.chosen, hardware, ("llama-server",), "llama-server b7000", TODAY, "schema.json")


def offered(setup: Setup, name: str = QWEN) -> tuple[Chosen, list[Placement]]:
    item = next(item for item in setup.chosen if item.candidate.id == name)
    return item, alternatives(item, budget_of(setup.hardware), Wishes(), TODAY)


def taken(text: str, setup: Setup, number: int, name: str = QWEN) -> str:
    item, found = offered(setup, name)
    placement = found[number]
    words = placed_flags(flags(item.candidate.facts, placement, TODAY, setup.hardware))
    wanted = WantedPlacement(
        words,
        memory_words(placement),
        placement.settings.context,
        item.placement.settings.context,
        environment(placement, setup.hardware),
        placement.settings == item.placement.settings,
    )
    return with_choice(text, name, wanted)


def model(text: str, name: str = QWEN) -> ModelConfig:
    result = load(text, env={})
    assert result.config is not None, result.findings
    return result.config.models[name]


def merged(text: str, setup: Setup) -> Merged:
    config = load(text, env={}).config
    assert config is not None
    paths = model_paths({name: one.cmd for name, one in config.models.items()})
    return merge(text, setup, Present(paths, frozenset()), today="2026-11-23", listen_port=5800)


def test_a_choice_changes_flags_of_the_placement_and_what_follows_from_them() -> None:
    setup = setup_of()
    before = document(setup)
    after = taken(before, setup, 0)
    changed = {line.strip() for line in {*after.splitlines()} - {*before.splitlines()}}
    assert {line.split()[0] for line in changed} <= {"#", "--ctx-size", "--device", "context:", "fit", "--cache-ram"}
    assert "--device CUDA0" in model(after).cmd
    assert "--tensor-split" not in model(after).cmd
    context = offered(setup)[1][0].settings.context
    assert model(after).capabilities.context == context
    assert f"--ctx-size {context}" in model(after).cmd
    assert "# Takes 22." in after


def test_a_choice_outlives_the_next_setup_and_all_else_is_refreshed() -> None:
    setup = setup_of()
    text = taken(document(setup), setup, 1)
    again = merged(text, setup)
    assert again.text == text
    assert again.kept == [f"{QWEN}.placement"]
    other = replace(TWO, processor=replace(TWO.processor, performance_cores=4))
    refreshed = merged(text, setup_of(hardware=other))
    assert "--threads 4" in model(refreshed.text).cmd
    assert "--cache-type-k q8_0" in model(refreshed.text).cmd
    assert model(refreshed.text).capabilities.context == model(text).capabilities.context
    assert merged(refreshed.text, setup_of(hardware=other)).text == refreshed.text


def test_a_choice_outlives_a_file_that_moved() -> None:
    setup = setup_of()
    text = taken(document(setup), setup, 0)
    (item,) = setup.chosen
    moved = replace(setup, chosen=[replace(item, candidate=replace(item.candidate, path="/other/new.gguf"))])
    present = Present({QWEN: "/other/new.gguf"}, frozenset())
    after = merge(text, moved, present, today="2026-11-23", listen_port=5800).text
    assert "/other/new.gguf" in model(after).cmd
    assert "--device CUDA0" in model(after).cmd


def test_what_setup_chooses_by_itself_is_no_choice() -> None:
    setup = setup_of()
    text = document(setup)
    chosen = taken(text, setup, 0)
    assert "choice=" in chosen
    assert taken(chosen, setup, -1) == text
    assert merged(taken(chosen, setup, -1), setup_of(hardware=machine(24))).refreshed


def test_a_command_that_is_edited_after_the_choice_is_the_persons() -> None:
    setup = setup_of()
    text = taken(document(setup), setup, 0).replace("--jinja", "--jinja --temp 0.5")
    assert merged(text, setup).text == text
    after = taken(text, setup, 1)
    assert "--temp 0.5" in model(after).cmd
    assert "--cache-type-k q8_0" in model(after).cmd
    assert merged(after, setup).text == after
    recommended = taken(after, setup, -1)
    assert "--temp 0.5" in model(merged(recommended, setup_of(hardware=machine(24))).text).cmd, "it stays the person's"


def test_a_command_of_a_persons_own() -> None:
    text = f"""\
models:
  {QWEN}: # mine
    cmd: llama-server -m /m.gguf -c 4096 --port ${{PORT}} # the best
    capabilities: {{in: [text], out: [text], context: 4096}}
"""
    setup = setup_of()
    item, found = offered(setup)
    words = placed_flags(flags(item.candidate.facts, found[0], TODAY, TWO))
    wanted = WantedPlacement(words, "", found[0].settings.context, 4096)
    after = with_choice(text, QWEN, wanted)
    assert "# mine" in after
    assert "# the best" in after
    assert re.search(r"cmd: llama-server -m /m.gguf --ctx-size \d+ .*--port \$\{PORT\} # the best\n", after)
    assert model(after).capabilities.context == found[0].settings.context
    assert model(with_choice(text, QWEN, replace(wanted, former_context=2048))).capabilities.context == 4096


def test_a_helper_may_leave_the_card() -> None:
    setup = setup_of((QWEN, BGE))
    _, found = offered(setup, BGE)
    assert [placement.gpus for placement in found] == [(0,), ()]
    text = taken(document(setup), setup, 1, BGE)
    assert "--device none" in model(text, BGE).cmd
    assert merged(text, setup).text == text, "the environment that only cards need stays, too"


@pytest.mark.parametrize(
    "entry", ["{}", "{cmd: [a]}", "{cmd: 'sh -c \"llama-server -c 1\"'}", '{cmd: "llama-server \'x"}']
)
def test_what_no_program_should_change_is_refused(entry: str) -> None:
    with pytest.raises(EditRefused):
        with_choice(f"models:\n  a: {entry}\n", "a", WantedPlacement((), "", 1, 1))


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ModelNotFound):
        with_choice("models: {}\n", "a", WantedPlacement((), "", 1, 1))
