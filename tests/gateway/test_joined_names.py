"""What do names of a machine mean that the file does not know: before it joins, while it is there, when it has left?"""

from __future__ import annotations

import pytest

from claracore.core.cluster.joined import JoinedNode, with_joined
from claracore.core.config.load import load
from claracore.core.config.model import Config
from claracore.core.config.not_here import without_joined
from claracore.core.config.peers import with_found, with_peers
from claracore.errors import ModelNotFound
from claracore.http.gateway.resolver import MachineNotThere, Resolver
from claracore.http.gateway.targets import ActiveProfile
from claracore.types import ModelState

TEXT = """
models:
  small: {cmd: "llama-server --port ${PORT}"}
selectors:
  either: {strategy: warm, targets: [desk/big, small]}
  there: {strategy: spillover, targets: [desk/big, desk/huge]}
profiles:
  night: {pins: {gpt: desk/big, other: there}}
default_model: desk/big
unknown_model: desk
placement: {prefer: [desk]}
routing: {scheduler: {settings: {fifo: {priority: {desk/big: 7}}}}}
"""
DESK = JoinedNode("desk", "http://127.0.0.2:5800", "key")
NAMES = ("gpt", "there", "other", "")


def configured(*joined: JoinedNode, has: tuple[str, ...] = ("big",)) -> Config:
    loaded = load(TEXT, env={})
    assert loaded.config is not None, loaded.findings
    assert without_joined(loaded.findings, ["desk"]) == ()
    assert without_joined(loaded.findings, ["lap"]) == loaded.findings != ()
    return with_peers(with_found(with_joined(loaded.config, joined), {node.name: has for node in joined}))


def of(config: Config) -> Resolver:
    return Resolver(config, ActiveProfile("night"), lambda _id: ModelState.STOPPED, lambda _id: 0)


def test_what_is_only_there_cannot_be_used_before_it_has_joined() -> None:
    names = of(configured())
    assert names.find("either", None).model_id == "small"
    for name in NAMES:
        with pytest.raises(MachineNotThere, match="desk/big"):
            names.find(name, None)
    with pytest.raises(ModelNotFound):
        names.find("anything", None)


def test_it_is_used_when_it_has_joined_and_no_more_when_it_has_left() -> None:
    names = of(configured())
    names.reconfigure(configured(DESK))
    names._profile.name = "night"
    assert [names.find(name, None).model_id for name in ("either", *NAMES)] == ["desk/big"] * 5
    assert names.find("gpt", None).priority == 7
    assert (names.find("anything", None).node, names.find("anything", None).use_model_name) == ("desk", "")
    names.reconfigure(configured())
    assert names.find("either", None).model_id == "small"
    with pytest.raises(MachineNotThere):
        names.find("there", None)


def test_a_machine_that_is_there_without_the_model_is_no_place() -> None:
    names = of(configured(DESK, has=("else",)))
    assert names.find("either", None).model_id == "small"
    with pytest.raises(MachineNotThere):
        names.find("there", None)
