"""Which model does a selector mean?"""

from __future__ import annotations

from collections import Counter

import pytest

from claracore.core.config.load import load
from claracore.http.gateway.targets import Targets, targets_of
from claracore.types import ModelState

STATES = {"-": ModelState.STOPPED, "s": ModelState.STARTING, "r": ModelState.READY, "e": ModelState.STOPPING}


def targets(strategy: str, spillover: int = 1) -> Targets:
    text = f"""
models:
  a: {{cmd: "x ${{PORT}}"}}
  b: {{cmd: "x ${{PORT}}", aliases: [bee]}}
  c: {{cmd: "x ${{PORT}}"}}
groups: {{all: {{swap: false, members: [a, b, c]}}}}
selectors:
  auto: {{strategy: {strategy}, targets: [a, bee, c], settings: {{spillover: {spillover}}}}}
"""
    config = load(text, env={}).config
    assert config is not None
    return targets_of(config)


@pytest.mark.parametrize(
    ("strategy", "states", "busy", "chosen"),
    [
        ("pin", "-rr", (0, 0, 0), "a"),
        ("pin", "err", (0, 0, 0), "a"),
        ("warm", "---", (0, 0, 0), "a"),
        ("warm", "-s-", (0, 0, 0), "b"),
        ("warm", "-sr", (0, 9, 9), "c"),
        ("warm", "eee", (0, 0, 0), "a"),
        ("spillover", "---", (0, 0, 0), "a"),
        ("spillover", "r--", (1, 0, 0), "a"),
        ("spillover", "r--", (2, 0, 0), "b"),
        ("spillover", "rr-", (2, 1, 0), "b"),
        ("spillover", "rs-", (2, 2, 0), "c"),
        ("spillover", "rrr", (4, 3, 5), "b"),
        ("spillover", "re-", (2, 0, 0), "c"),
        ("spillover", "ree", (2, 0, 0), "a"),
        ("spillover", "eee", (1, 0, 1), "b"),
    ],
)
def test_strategies(strategy: str, states: str, busy: tuple[int, int, int], chosen: str) -> None:
    names = "abc"
    choice = targets(strategy, spillover=2).choices["auto"]
    found = choice.choose(
        choice.targets, lambda model: STATES[states[names.index(model)]], lambda model: busy[names.index(model)], turn=0
    )
    assert found.model_id == chosen


def test_equals_take_turns() -> None:
    choice = targets("spillover").choices["auto"]
    chosen = [
        choice.choose(choice.targets, lambda _: ModelState.READY, lambda _: 0, turn).model_id for turn in range(6)
    ]
    assert Counter(chosen) == {"a": 2, "b": 2, "c": 2}
