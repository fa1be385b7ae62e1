"""Which names does the gateway know, and what does it say about those that nothing answers to yet?"""

from __future__ import annotations

import pytest

from claracore.config.load import load
from claracore.errors import ModelNotFound
from claracore.gateway.targets import targets_of

TEXT = """
models:
  small: {cmd: "llama-server --port ${PORT}", aliases: [s]}
  big: {cmd: "llama-server --port ${PORT}"}
profiles:
  coding: {pins: {gpt-4: big, small: big}}
selectors:
  auto: {strategy: warm, targets: [small, big]}
peers:
  far: {proxy: "https://far.example", models: [org/large]}
"""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("auto", "it is a selector"),
        ("far/org/large", "it is a model of peer 'far'"),
        ("org/large", "it is a model of peer 'far'"),
        ("gpt-4", "it is a pin of profile 'coding'"),
    ],
)
def test_what_is_configured_and_not_supported_is_told_as_that(name: str, reason: str) -> None:
    config = load(TEXT, env={}).config
    assert config is not None
    targets = targets_of(config)
    assert set(targets.by_name) == {"small", "s", "big"}
    error = ModelNotFound(name, targets.by_name, targets.not_yet[name])
    assert error.message.startswith(f"model {name!r} cannot be used: {reason}")
    assert error.message.endswith("not supported yet")
