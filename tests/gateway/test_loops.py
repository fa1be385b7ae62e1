"""Does a request that a peer sends back end?"""

from __future__ import annotations

from claracore.core.config.load import load
from claracore.core.config.model import Config
from claracore.core.config.peers import with_peers
from claracore.types import Endpoint
from gateway.stand import StandIn, answers, model_server, play, post, stage

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def peers(*ids: str) -> Config:
    lines = "".join(f'\n  {each}: {{proxy: "http://127.0.0.1:1", models: [m]}}' for each in ids)
    loaded = load(f"models: {{}}\npeers:{lines}\nunknown_model: {ids[0]}\n", env={})
    assert loaded.config is not None, loaded.findings
    return with_peers(loaded.config)


def test_what_a_peer_sends_back_is_not_sent_to_a_peer_again() -> None:
    async def story() -> None:
        one = StandIn()
        async with stage(peers("far"), one) as here:
            one.endpoints["far/*"] = Endpoint("127.0.0.1", here.port)
            answer = await here.say(post("/v1/completions", b'{"model":"unheard","prompt":""}'))
            assert answer.startswith(b"HTTP/1.1 508 ")
            assert b"loop_detected" in answer
            assert one.arrived == 1

    play(story)


def test_a_peer_is_told_which_servers_of_ours_were_asked_and_nothing_else() -> None:
    earlier = "1.1 claracore-0123456789abcdef"

    async def story() -> None:
        stand_in = StandIn()
        async with model_server(answers(ANSWER)) as server, stage(peers("far"), stand_in) as here:
            stand_in.endpoints["far/m"] = server.endpoint
            more = f"Via: 1.1 office.example, {earlier}\r\n"
            assert (await here.say(post("/v1/completions", b'{"model":"m"}', more=more))).startswith(b"HTTP/1.1 200")
            (line,) = [line for line in server.seen[0].split(b"\r\n") if line.lower().startswith(b"via:")]
            assert line.startswith(b"Via: " + earlier.encode() + b", 1.1 claracore-")
            assert line.count(b",") == 1

    play(story)
