"""Which path does a peer get of a request for the own paths of a model's server, and who may ask for it?"""

from __future__ import annotations

import pytest

from claracore.core.cluster.model import NodeKind
from claracore.core.config.load import load
from claracore.core.config.peers import with_peers
from claracore.errors import Forbidden
from claracore.http.access.keys import Grant, Right
from claracore.http.gateway.server_there import path_there
from claracore.http.gateway.targets import Target, targets_of
from gateway.stand import answers, play
from gateway.test_elsewhere import OK, both

USER = Grant("user", frozenset({Right.INFERENCE}))
READER = Grant("reader", frozenset({Right.INFERENCE, Right.READ, Right.NODE}))
LIMITED = Grant("limited", frozenset({Right.INFERENCE}), frozenset({"desk/a model"}))
ADMIN = Grant("admin", frozenset({Right.INFERENCE, Right.ADMIN}))
EVERYTHING = (None, USER, READER, LIMITED, ADMIN)
OTHERS = [kind for kind in NodeKind if kind not in {NodeKind.CLARACORE, NodeKind.LLAMA_SWAP}]


def target() -> Target:
    config = load("models: {}\npeers: {desk: {proxy: 'http://127.0.0.1:1', models: ['org/a model']}}", env={}).config
    assert config is not None
    return targets_of(with_peers(config)).by_name["org/a model"]


@pytest.mark.parametrize("kind", [NodeKind.CLARACORE, NodeKind.LLAMA_SWAP])
@pytest.mark.parametrize("grant", EVERYTHING)
@pytest.mark.parametrize("rest", [b"/", b"/slots", b"/api/node/part", b"//api/keys", b"/v1/chat/completions"])
def test_of_a_program_that_runs_servers_it_is_the_models_own(kind: NodeKind, grant: Grant | None, rest: bytes) -> None:
    assert path_there(target(), kind, b"GET", rest, grant) == b"/upstream/org/a%20model" + rest


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("grant", [None, ADMIN])
def test_whoever_may_do_everything_may_ask_for_everything(kind: NodeKind, grant: Grant | None) -> None:
    assert path_there(target(), kind, b"DELETE", b"/api/delete", grant) == b"/api/delete"


@pytest.mark.parametrize("kind", OTHERS)
def test_a_key_for_some_models_reaches_no_other(kind: NodeKind) -> None:
    with pytest.raises(Forbidden, match="'limited' is for some models"):
        path_there(target(), kind, b"POST", b"/v1/chat/completions", LIMITED)


@pytest.mark.parametrize("grant", [USER, READER])
@pytest.mark.parametrize("kind", [NodeKind.OLLAMA, NodeKind.LM_STUDIO, NodeKind.OTHER])
@pytest.mark.parametrize(
    ("method", "rest"),
    [(b"PUT", b"/api/node/part"), (b"GET", b"/api/keys"), (b"DELETE", b"/api/delete"), (b"GET", b"/api/chat"),
     (b"GET", b"/"), (b"GET", b"/upstream/evil/health"), (b"GET", b"//slots"), (b"GET", b"/%73lots")],
)  # fmt: skip
def test_of_an_unknown_program_it_is_what_asks_a_model(
    kind: NodeKind, grant: Grant, method: bytes, rest: bytes
) -> None:
    assert path_there(target(), kind, b"POST", b"/v1/chat/completions", grant) == b"/v1/chat/completions"
    with pytest.raises(Forbidden, match="may be another thing there"):
        path_there(target(), kind, method, rest, grant)


@pytest.mark.parametrize("kind", [NodeKind.LLAMA_SERVER, NodeKind.VLLM])
def test_a_model_server_is_as_open_as_one_of_this_machine(kind: NodeKind) -> None:
    assert path_there(target(), kind, b"GET", b"/metrics", USER) == b"/metrics"


@pytest.mark.parametrize("name", ["one/x", "x"])
def test_a_request_goes_to_the_models_server_over_there(name: str) -> None:
    """Also by a name that only other machines have."""

    async def conversation() -> None:
        async with both(answers(OK), answers(OK)) as (one, two, running):
            asked = f"GET /upstream/{name}/api/node?all=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            assert (await running.say(asked.encode())).startswith(b"HTTP/1.1 200 ")
            assert one.seen[0].startswith(b"GET /upstream/x/api/node?all=1 HTTP/1.1\r\n")
            assert not two.seen

    play(conversation)


def test_names_that_only_others_have_are_among_those_that_are_known() -> None:
    async def conversation() -> None:
        async with both(answers(OK), answers(OK)) as (_one, _two, running):
            answer = await running.say(b"GET /upstream/nobody/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 404 ")
            assert b"one/x, two/x, x" in answer

    play(conversation)
