"""Which names does the gateway know, and what does it say about those that mean nothing at the moment?"""

from __future__ import annotations

import pytest

from claracore.core.config.load import load
from claracore.core.config.peers import with_peers
from claracore.errors import ModelNotFound
from claracore.http.access.keys import Grant
from claracore.http.gateway.resolver import Resolver
from claracore.http.gateway.targets import ActiveProfile, Targets, targets_of
from claracore.types import ModelState

TEXT = """
models:
  small: {cmd: "llama-server --port ${PORT}", aliases: [s]}
  big: {cmd: "llama-server --port ${PORT}"}
profiles:
  coding: {pins: {gpt-4: big, small: big, s: null}}
selectors:
  auto: {strategy: warm, targets: [small, big]}
peers:
  far:
    proxy: "https://far.example:8443/base"
    models: [org/large, big, twice]
    apiKey: secret
    filters: {stripParams: seed, setParams: {temperature: 0}, setParamsByID: {org/large: {top_k: 1}}}
  near: {proxy: "http://127.0.0.1:9000", models: [twice]}
"""


def targets() -> Targets:
    config = load(TEXT, env={}).config
    assert config is not None
    return targets_of(with_peers(config))


def test_the_names_of_models_and_of_those_of_peers() -> None:
    ours, theirs = {"small", "s", "big"}, {"far/org/large", "org/large", "far/big", "far/twice", "near/twice"}
    assert set(targets().by_name) == ours | theirs  # `big` is ours, and `twice` could be either


def test_a_peer_is_asked_under_its_own_name_with_its_own_key() -> None:
    far, near = targets().by_name["org/large"], targets().by_name["near/twice"]
    assert (far.model_id, far.use_model_name) == ("far/org/large", "org/large")
    assert (far.base_path, far.host, far.tls_host) == (b"/base", b"far.example:8443", "far.example")
    assert far.own_lines == (b"Authorization: Bearer secret", b"x-api-key: secret")
    assert (far.strip_params, far.set_params) == (("seed",), {"temperature": 0, "top_k": 1})
    assert targets().by_name["far/org/large"].set_params == {"temperature": 0}
    assert far.response_head_timeout_seconds == 60
    assert (near.tls_host, near.own_lines) == ("", ())
    assert targets().by_name["small"].own_lines is None


def test_why_a_pin_is_not_known() -> None:
    assert targets().why_not("gpt-4") == "it is a pin of profile 'coding', which is not active"
    assert targets().why_not("other") == ""
    assert targets().pins == {"coding": {"gpt-4": "big", "small": "big", "s": None}}
    assert [target.model_id for target in targets().choices["auto"].targets] == ["small", "big"]


def resolver(profile: str | None = None) -> Resolver:
    config = load(TEXT.replace("aliases: [s]", 'aliases: [s, "q:latest", "q:1b", "host:5000/m"]'), env={}).config
    assert config is not None
    return Resolver(with_peers(config), ActiveProfile(profile), lambda _: ModelState.STOPPED, lambda _: 0)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("small:latest", "small"),
        ("s:latest", "small"),
        ("q", "small"),
        ("q:latest", "small"),
        ("q:1b", "small"),
        ("host:5000/m:latest", "small"),
        ("auto:latest", "small"),
        ("org/large:latest", "far/org/large"),
        ("q:1b:latest", "small"),
        ("small:2b", None),
        ("q:2b", None),
        ("small:latest:latest", None),
        (":latest", None),
    ],
)
def test_the_tag_latest_may_be_there_or_not(name: str, found: str | None) -> None:
    if found is not None:
        assert resolver().find(name, None).model_id == found
    else:
        with pytest.raises(ModelNotFound):
            resolver().find(name, None)


def test_a_pin_is_meant_with_the_tag_too() -> None:
    assert resolver("coding").find("gpt-4:latest", None).model_id == "big"
    assert resolver("coding").find("small:latest", None).model_id == "big"
    with pytest.raises(ModelNotFound, match="hides it"):
        resolver("coding").find("s:latest", None)
    with pytest.raises(ModelNotFound):
        resolver().find("gpt-4:latest", None)


def test_a_name_near_a_selector_s_is_told_so_to_who_may_use_what_it_chooses() -> None:
    with pytest.raises(ModelNotFound, match=r"did you mean 'auto'\?"):
        resolver().find("autoo", None)
    stranger = Grant("ann", models=frozenset({"far/org/large"}))
    with pytest.raises(ModelNotFound) as caught:
        resolver().find("autoo", stranger)
    assert "'auto'" not in caught.value.message
