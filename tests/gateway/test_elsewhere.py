"""A request whose machine fails before the first byte goes to another one, once to each, with the body meant for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

import pytest

from claracore.core.cluster.model import NodeKind, NodeModel, NodeReport, NodeTold, NodeUp
from claracore.core.cluster.place import PlacementWish
from claracore.core.config.load import load
from claracore.core.config.model import Config
from claracore.core.config.peers import with_found, with_peers
from claracore.core.scheduler.policy import ModelPolicy
from claracore.core.scheduler.slot import Slot
from claracore.errors import Conflict, ModelFailed
from claracore.host.cluster.cluster import Cluster
from claracore.host.cluster.machines import Machines
from claracore.host.supervisor.preview import LoadPreview
from claracore.types import Endpoint, ModelState
from fakes.ports import free_port
from gateway.stand import ModelServer, Stage, StandIn, answers, model_server, play, post, stage

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
BEGUN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"6\r\ndata: \r\n3\r\n1\n\n\r\n"
)
TEXT = """
models: {}
peers:
  one: {proxy: "http://127.0.0.1:1", models: auto, apiKey: ours, filters: {setParams: {from: one}}}
  two: {proxy: "http://127.0.0.1:2", models: auto, filters: {setParams: {only: two}, stripParams: from}}
placement: {prefer: [one, two]}
"""
BODY = json.dumps({"model": "x", "messages": [], "stream": True}).encode()
ASK = post("/v1/chat/completions", BODY)

Script = Callable[[ModelServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def breaks_off(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read_request(reader)
    writer.transport.abort()


async def breaks_off_amid(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read_request(reader)
    writer.write(BEGUN)
    await writer.drain()


async def says_nothing(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    del writer
    await server.read_request(reader)
    server.closed.set()
    await asyncio.Event().wait()


async def begins_and_hangs(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await breaks_off_amid(server, reader, writer)
    await asyncio.Event().wait()


class NoneHere:
    """A supervisor without models of its own, for the places of a name."""

    slots: Mapping[str, Slot] = {"x": Slot("x", ModelPolicy())}

    def preview(self, model_id: str) -> LoadPreview:
        raise AssertionError(model_id)

    async def load(self, model_id: str) -> None:
        raise AssertionError(model_id)

    async def unload(self, model_ids: Iterable[str]) -> None:
        raise AssertionError(model_ids)


def configured() -> Config:
    loaded = load(TEXT, env={})
    assert loaded.config is not None, loaded.findings
    return with_peers(with_found(loaded.config, {"one": ("x",), "two": ("x",)}))


class NobodyToFollow:
    async def follow(self) -> AsyncIterator[NodeUp]:
        await asyncio.Event().wait()
        yield NodeUp("", 0)

    def reconfigure(self, peers: object) -> None:
        pass

    def look_soon(self, node: str) -> None:
        pass


class Deaf:
    def models_found(self, found: object) -> None:
        pass

    def node_lost(self, node: object) -> None:
        pass

    def node_up(self, node: object) -> None:
        pass

    def hears(self, name: str) -> bool:
        """Hear nothing."""
        del name
        return False

    def node_changed(self, name: str) -> None:
        pass


@asynccontextmanager
async def two_machines(first: Endpoint | None, second: Endpoint | None) -> AsyncIterator[Stage]:
    """Run a gateway that has `x` on two machines, both free, the first of which is preferred."""
    config, cluster = configured(), Cluster(lambda _: NobodyToFollow())
    cluster.begin(config, Deaf())
    for name in ("one", "two"):
        cluster.take(NodeUp(name, 1))
        cluster.take(NodeTold(name, 1, NodeReport(NodeKind.CLARACORE, (NodeModel("x", ModelState.READY),))))
    machines = Machines(cluster, NoneHere())
    machines.reconfigure(config)
    supervisor = StandIn(**{"one/x": first, "two/x": second})
    async with stage(config, supervisor, machines=machines) as running:
        yield running
    await cluster.close()


@asynccontextmanager
async def both(first: Script, second: Script) -> AsyncIterator[tuple[ModelServer, ModelServer, Stage]]:
    """Run both machines and the gateway."""
    async with (
        model_server(first) as one,
        model_server(second) as two,
        two_machines(one.endpoint, two.endpoint) as running,
    ):
        yield one, two, running


def body_of(seen: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(seen.partition(b"\r\n\r\n")[2])
    return found


@pytest.mark.parametrize("script", [breaks_off, answers(BUSY)], ids=["breaks off", "answers 503"])
def test_it_goes_to_the_other_machine_with_the_body_meant_for_it(script: Script) -> None:
    async def conversation() -> None:
        async with both(script, answers(OK)) as (one, two, running):
            assert (await running.say(ASK)).startswith(b"HTTP/1.1 200 ")
            assert body_of(one.seen[0])["from"] == "one"
            assert body_of(two.seen[0]) == {"model": "x", "messages": [], "stream": True, "only": "two"}
            (record,) = running.notebook.records
            assert (record.model, record.status) == ("two/x", 200)

    play(conversation)


def test_a_request_without_a_body_moves_on_as_well() -> None:
    async def conversation() -> None:
        async with both(breaks_off, answers(OK)) as (_one, two, running):
            asked = b"GET /slots?model=x&all=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            assert (await running.say(asked)).startswith(b"HTTP/1.1 200 ")
            assert two.seen[0].startswith(b"GET /slots?model=x&all=1 HTTP/1.1\r\n")

    play(conversation)


def test_equal_machines_take_turns() -> None:
    async def conversation() -> None:
        async with both(answers(OK), answers(OK)) as (_one, _two, running):
            resolver = running.gateway.relay.resolver
            assert resolver._machines is not None
            resolver._machines.cluster.wish = PlacementWish()
            found = Counter(resolver.find("x", None).model_id for _ in range(20))
            assert found == {"one/x": 10, "two/x": 10}

    play(conversation)


@pytest.mark.parametrize("status", [b"401 Unauthorized", b"403 Forbidden"])
def test_a_machine_that_does_not_take_our_key_is_passed_over_and_named(status: bytes) -> None:
    refuses = b"HTTP/1.1 " + status + b"\r\nContent-Length: 16\r\n\r\nno valid API key"

    async def conversation() -> None:
        async with both(answers(refuses), answers(OK)) as (_one, _two, running):
            assert (await running.say(ASK)).startswith(b"HTTP/1.1 200 ")
            answer = await running.say(post("/v1/chat/completions", BODY.replace(b'"x"', b'"one/x"')))
            assert answer.startswith(b"HTTP/1.1 502 ")
            words = f"machine 'one', which has model 'one/x', does not take our key ({status[:3].decode()})"
            error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
            assert (error["message"], error["code"]) == (words, "machine_refuses_key")

    play(conversation)


def test_a_machine_that_has_the_model_no_more_is_passed_over_and_named() -> None:
    unknown = b"HTTP/1.1 404 Not Found\r\nX-ClaraCore-Error: model_not_found\r\nContent-Length: 4\r\n\r\nlist"

    async def conversation() -> None:
        async with both(answers(unknown), answers(OK)) as (_one, _two, running):
            assert (await running.say(ASK)).startswith(b"HTTP/1.1 200 ")
            answer = await running.say(post("/v1/chat/completions", BODY.replace(b'"x"', b'"one/x"')))
            assert answer.startswith(b"HTTP/1.1 404 ")
            words = "model 'one/x' cannot be used: machine 'one' does not have it any more"
            error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
            assert (error["message"], error["code"]) == (words, "model_not_found")

    play(conversation)


def test_what_the_models_server_does_not_have_is_its_answer() -> None:
    missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno path"

    async def conversation() -> None:
        async with both(answers(missing), answers(OK)) as (_one, two, running):
            assert (await running.say(ASK)).endswith(b"no path")
            assert not two.seen

    play(conversation)


def test_the_clients_own_key_is_its_own_affair() -> None:
    refuses = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nwrong"

    async def conversation() -> None:
        async with both(answers(OK), answers(refuses)) as (_one, _two, running):
            named = post("/v1/chat/completions", BODY.replace(b'"x"', b'"two/x"'))  # there is no key of ours for it
            assert (await running.say(named)).startswith(b"HTTP/1.1 401 ")

    play(conversation)


def test_an_address_where_nobody_listens_is_passed_over() -> None:
    async def conversation() -> None:
        async with (
            model_server(answers(OK)) as two,
            two_machines(Endpoint("127.0.0.1", free_port()), two.endpoint) as at,
        ):
            assert (await at.say(ASK)).startswith(b"HTTP/1.1 200 ")

    play(conversation)


def test_once_to_each_place_and_then_the_error_of_the_last() -> None:
    async def conversation() -> None:
        async with both(breaks_off, breaks_off) as (_one, _two, running):
            answer = await running.say(ASK)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"machine 'two', which has model 'two/x', did not answer" in answer
            assert len(running.supervisor.finished) == 2

    play(conversation)


def test_the_last_place_may_answer_503_itself() -> None:
    async def conversation() -> None:
        async with both(breaks_off, answers(BUSY)) as (_one, _two, running):
            assert (await running.say(ASK)).endswith(b"busy")

    play(conversation)


def test_after_the_first_byte_nothing_is_sent_again() -> None:
    async def conversation() -> None:
        async with both(breaks_off_amid, answers(OK)) as (_one, two, running):
            answer = await running.say(ASK)
            assert b"data: 1" in answer.replace(b"\r\n3\r\n", b"")
            assert b"machine 'one'" in answer
            assert not two.seen

    play(conversation)


def test_a_request_that_names_its_machine_stays_there() -> None:
    async def conversation() -> None:
        async with both(breaks_off, answers(OK)) as (_one, two, running):
            named = post("/v1/chat/completions", BODY.replace(b'"x"', b'"one/x"'))
            answer = await running.say(named)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 2" in answer.lower()
            assert b'"code":"machine_lost"' in answer.replace(b": ", b":")
            assert b"machine 'one', which has model 'one/x', did not answer" in answer
            assert not two.seen

    play(conversation)


def test_what_waits_for_a_machine_that_is_lost_moves_on() -> None:
    async def conversation() -> None:
        async with both(says_nothing, answers(OK)) as (one, two, running):
            asked = asyncio.create_task(running.say(ASK))
            await one.closed.wait()
            running.gateway.relay.machine_lost("one", "gone")
            assert (await asked).startswith(b"HTTP/1.1 200 ")
            assert len(two.seen) == 1

    play(conversation)


def test_a_stream_of_a_lost_machine_ends_after_one_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came of it before the loss is no sign of life after it."""
    monkeypatch.setattr("claracore.http.gateway.request.NODE_LOST_SECONDS", 0.05)
    monkeypatch.setattr("claracore.http.gateway.liveness.NODE_LOST_SECONDS", 600.0)

    async def conversation() -> None:
        async with both(begins_and_hangs, answers(OK)) as (_one, two, running):
            asked = asyncio.create_task(running.say(ASK))
            # Nobody says that a byte has been passed on.
            while not any(each.record.response_bytes for each in running.gateway.relay.in_flight.values()):  # noqa: ASYNC110
                await asyncio.sleep(0)
            running.gateway.relay.machine_lost("one", "gone")
            async with asyncio.timeout(60):
                answer = await asked
            assert b"machine 'one', which has model 'one/x', was lost: gone" in answer
            assert not two.seen

    play(conversation)


async def switches(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read_request(reader)
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    await asyncio.Event().wait()


def test_a_websocket_of_a_lost_machine_ends_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claracore.http.gateway.request.NODE_LOST_SECONDS", 0.05)

    async def conversation() -> None:
        async with both(switches, answers(OK)) as (_one, _two, running):
            reader, writer = await running.connect()
            writer.write(
                b"GET /upstream/one/x/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            )
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            running.gateway.relay.machine_lost("one", "gone")
            async with asyncio.timeout(60):
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
            writer.close()

    play(conversation)


def test_what_the_supervisor_refuses_goes_elsewhere_too() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as two, two_machines(None, two.endpoint) as running:
            asked = asyncio.create_task(running.say(ASK))
            await running.supervisor.came.wait()
            running.supervisor.fail("one/x", ModelFailed("one/x", "it does not start"))
            assert (await asked).startswith(b"HTTP/1.1 200 ")

    play(conversation)


def test_when_all_refuse_the_client_hears_the_last() -> None:
    async def conversation() -> None:
        async with two_machines(None, None) as running:
            asked = asyncio.create_task(running.say(ASK))
            await running.supervisor.came.wait()
            running.supervisor.came.clear()
            running.supervisor.fail("one/x", Conflict("no room on one"))
            await running.supervisor.came.wait()
            running.supervisor.fail("two/x", Conflict("no room on two"))
            assert b"no room on two" in await asked

    play(conversation)


def test_a_client_that_leaves_while_its_request_moves_on_ends_it() -> None:
    async def conversation() -> None:
        async with two_machines(None, None) as running:
            reader, writer = await running.connect()
            writer.write(ASK)
            await running.supervisor.came.wait()
            running.supervisor.fail("one/x", Conflict("no room on one"))
            writer.transport.abort()
            await running.supervisor.left.wait()
            del reader
            assert not running.gateway.in_flight

    play(conversation)


def test_what_another_machine_has_sent_on_does_not_wander() -> None:
    async def conversation() -> None:
        async with both(breaks_off, answers(OK)) as (_one, two, running):
            sent_on = post("/v1/chat/completions", BODY, more="Via: 1.1 claracore-0123456789abcdef\r\n")
            assert (await running.say(sent_on)).startswith(b"HTTP/1.1 503 ")
            assert not two.seen

    play(conversation)


def test_a_large_body_goes_on_too() -> None:
    async def conversation() -> None:
        large = json.dumps({"model": "x", "messages": ["a" * 5_000_000]}).encode()
        async with both(breaks_off, answers(OK)) as (_one, two, running):
            assert (await running.say(post("/v1/chat/completions", large))).startswith(b"HTTP/1.1 200 ")
            assert len(two.seen[0]) > 5_000_000
            assert running.gateway.relay.budget.taken == 0

    play(conversation)
