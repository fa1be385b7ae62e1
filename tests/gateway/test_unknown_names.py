"""What answers names that no model has, and requests without one?"""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.config.load import load
from claracore.core.config.patterns import compiled, is_pattern
from claracore.core.config.peers import with_peers
from claracore.errors import BadRequest, Forbidden, ModelNotFound
from claracore.http.access.admitted import check_model
from claracore.http.access.keys import Grant, Right
from claracore.http.gateway.resolver import Resolver
from claracore.http.gateway.targets import ActiveProfile, Target
from claracore.types import ModelState
from gateway.stand import StandIn, answers, config, model_server, play, post, stage

TEXT = """
models:
  small: {cmd: "llama-server --port ${PORT}", aliases: ["claude-*", s]}
  haiku: {cmd: "llama-server --port ${PORT}", aliases: ["claude-*-haiku*", "gpt-*"]}
  gpt-4o: {cmd: "llama-server --port ${PORT}"}
profiles:
  night: {pins: {small: haiku, gpt-3: null}}
selectors:
  auto: {strategy: warm, targets: [small, haiku]}
peers:
  far: {proxy: "https://far.example/base", models: [large], apiKey: secret}
"""


def resolver(more: str = "", profile: str | None = None) -> Resolver:
    loaded = load(TEXT + more, env={})
    assert loaded.config is not None, loaded.findings
    config = with_peers(loaded.config)
    return Resolver(config, ActiveProfile(profile), lambda _id: ModelState.STOPPED, lambda _id: 0)


def found(name: str, more: str = "", profile: str | None = None) -> Target:
    return resolver(more, profile).find(name, None)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("claude-sonnet-4-5", "small"),
        ("claude-3-haiku-20240307", "haiku"),
        ("claude-", "small"),
        ("gpt-5", "haiku"),
        ("gpt-4o", "gpt-4o"),
        ("s", "small"),
        ("gpt-4o:latest", "gpt-4o"),
    ],
)
def test_the_name_itself_then_the_most_specific_pattern(name: str, model: str) -> None:
    assert found(name).model_id == model


def test_pins_do_not_chain_by_tag_either() -> None:
    text = """
models: {"c:latest": {cmd: "x ${PORT}"}, d: {cmd: "x ${PORT}"}}
profiles: {p: {pins: {c: "c:latest", "c:latest": d, "d:latest": "c:latest", d: d}}}
"""
    loaded = load(text, env={})
    assert loaded.config is not None, loaded.findings
    names = Resolver(loaded.config, ActiveProfile("p"), lambda _id: ModelState.STOPPED, lambda _id: 0)
    assert [names.find(name, None).model_id for name in ("c", "c:latest", "d", "d:latest")] == [
        "c:latest",
        "d",
        "d",
        "c:latest",
    ]


def test_a_long_name_takes_no_more_than_its_share() -> None:
    """With ways back into each part, this one would take hours."""
    names = resolver("\ndefault_model: small\nunknown_model: default", None)
    assert compiled("a*-b*-c*d").fullmatch("a" + "-b-c" * 250_000) is None
    assert compiled("*-haiku*-thinking").fullmatch("-haiku" * 10_000) is None
    assert compiled("a*ab*b").fullmatch("aababb") is not None
    assert names.find("-haiku" * 10_000, None).model_id == "small"


@given(st.text("ab*", min_size=1, max_size=6).filter(is_pattern), st.text("ab\n", max_size=8))
def test_a_pattern_is_what_it_says(pattern: str, name: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL)
    assert (compiled(pattern).fullmatch(name) is None) is (expected is None)


@pytest.mark.parametrize("name", ["my-claude-1", "claud", "CLAUDE-1", "other"])
def test_what_fits_no_pattern_is_refused(name: str) -> None:
    with pytest.raises(ModelNotFound) as refused:
        found(name)
    assert "*" not in refused.value.message


def test_no_name_is_an_error_unless_there_is_a_default() -> None:
    with pytest.raises(BadRequest, match="the request names no model: 'model' is required"):
        found("")
    assert found("", "default_model: small").model_id == "small"
    assert found("", "default_model: auto").model_id == "small"
    assert found("", "default_model: far/large").use_model_name == "large"
    with pytest.raises(ModelNotFound):
        found("other", "default_model: small")


def test_the_default_may_be_for_every_name() -> None:
    assert found("other", "default_model: s\nunknown_model: default").model_id == "small"
    assert found("gpt-5", "default_model: s\nunknown_model: default").model_id == "haiku"


def test_the_default_model_is_written_where_the_client_names_none_or_another() -> None:
    both = "default_model: small\nunknown_model: default"
    assert found("", both).use_model_name == "small"
    assert found("other", both).use_model_name == "small"
    assert found("other", both, "night").use_model_name == "haiku"
    assert found("claude-4", both, "night").use_model_name == "haiku"
    for name in ("small", "s", "claude-4"):
        assert found(name, both).use_model_name == ""


def test_a_peer_is_asked_for_unknown_names_as_they_are() -> None:
    target = found("org/other", "unknown_model: far")
    assert (target.model_id, target.use_model_name, target.edits) == ("far/*", "", False)
    assert (target.base_path, target.tls_host) == (b"/base", "far.example")
    assert target.own_lines == (b"Authorization: Bearer secret", b"x-api-key: secret")
    with pytest.raises(BadRequest):
        found("", "unknown_model: far")
    with pytest.raises(ModelNotFound):
        found("org/other")
    assert "far/*" not in resolver().targets.by_name


def test_a_key_for_some_models_is_not_for_unknown_ones() -> None:
    grant = Grant("app", frozenset({Right.INFERENCE}), frozenset({"small"}))
    with pytest.raises(Forbidden):
        check_model(grant, resolver("unknown_model: far").find("other", grant).model_id)
    check_model(grant, resolver().find("claude-4", grant).model_id)


def test_what_the_model_server_gets_names_the_default_model() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    default = config(m={}).model_copy(update={"default_model": "m", "unknown_model": "default"})

    async def story() -> None:
        async with model_server(answers(answer)) as server, stage(default, StandIn(m=server.endpoint)) as here:
            for body in (b'{"prompt":"a"}', b'{"model":"x","prompt":"a"}', b'{"model":"m","prompt":"a"}'):
                assert (await here.say(post("/v1/completions", body))).startswith(b"HTTP/1.1 200 OK")
            sent = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in server.seen]
            assert sent == [{"prompt": "a", "model": "m"}, {"model": "m", "prompt": "a"}, {"model": "m", "prompt": "a"}]

    play(story)


def test_a_profile_has_the_last_word() -> None:
    assert found("", "default_model: small", "night").model_id == "haiku"
    with pytest.raises(ModelNotFound):
        found("gpt-3", "default_model: small\nunknown_model: default", "night")


def test_one_that_names_no_model_is_answered() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    default = config(m={}).model_copy(update={"default_model": "m"})
    requests = [
        post("/infill", b'{"input_prefix":"a"}'),
        post("/v1/completions", b'{"model":null}'),
        b"GET /slots HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        post("/v1/audio/transcriptions", b"--b\r\n\r\n--b--").replace(
            b"application/json", b"multipart/form-data; boundary=b"
        ),
    ]

    async def story() -> None:
        async with model_server(answers(answer)) as server, stage(default, StandIn(m=server.endpoint)) as here:
            for request in requests:
                assert (await here.say(request)).startswith(b"HTTP/1.1 200 OK")
            assert [(record.requested, record.model) for record in here.notebook.records] == [("", "m")] * 4
            assert (await here.say(post("/infill", b"[]"))).startswith(b"HTTP/1.1 400")

    play(story)


def test_it_is_an_error_of_the_client_otherwise() -> None:
    async def story() -> None:
        async with stage(config(m={}), StandIn(m=None)) as here:
            assert b"names no model" in await here.say(post("/infill", b"{}"))

    play(story)
