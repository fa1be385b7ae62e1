"""However bodies come and whatever ends them, together they take no more memory than they may, and give it back."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.errors import ClaraCoreError, ModelFailed, PayloadTooLarge
from claracore.http.asgi import Message, Scope
from claracore.http.gateway.budget import PIECE_BYTES, BodyBudget, Share
from claracore.http.gateway.contract import PortLimits
from claracore.http.wire.answers import NoRoomForBody
from gateway.stand import ModelServer, Receive, Send, Stage, StandIn, config, model_server, play, post, stage

MIB = 1 << 20
BUDGET = PortLimits(body_budget_bytes=4 * MIB)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LATE = b'{"image":"%b","model":"smol"}' % (b"A" * (3 * MIB))
"""Names its model at its end, so that all of it has to be kept."""
EARLY = b'{"model":"smol","image":"%b"}' % (b"A" * (3 * MIB))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), max_size=60), st.integers(0, 100))
def test_shares_never_exceed_the_budget_and_return_to_zero(steps: list[tuple[int, int]], limit: int) -> None:
    budget = BodyBudget(limit)
    shares = [budget.share() for _ in range(3)]
    for which, size in steps:
        share = shares[which % 3]
        if which == 3:
            share.give_back()
            assert share.taken == 0
        elif which == 4:
            assert not share.take_if_idle(size) or budget.taken <= limit // 4
        else:
            take(share, size)
        assert budget.taken == sum(each.taken for each in shares) <= limit
    for share in (*shares, *shares):
        share.give_back()
    assert budget.taken == 0


def take(share: Share, size: int) -> None:
    before = share.taken
    try:
        share.take(size)
    except ClaraCoreError:
        assert share.taken == before
    else:
        assert share.taken == before + size


def test_what_can_never_fit_is_told_apart_from_what_may_fit_later() -> None:
    budget = BodyBudget(100)
    one, other = budget.share(), budget.share()
    one.take(80)
    with pytest.raises(NoRoomForBody) as refusal:
        other.take(40)
    assert refusal.value.retry_after_seconds
    with pytest.raises(PayloadTooLarge):
        other.take(101)
    one.give_back(down_to=60)
    other.take(40)
    assert budget.taken == 100


class Upload:
    """A client in the middle of its upload, which has sent `body` but for its last bytes."""

    def __init__(self, here: Stage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.here, self.reader, self.writer = here, reader, writer

    @classmethod
    async def begin(cls, here: Stage, body: bytes, *, path: str = "/v1/chat/completions", less: int = 1) -> Upload:
        """Send all but `less` bytes and wait until they have come; or until they were refused."""
        upload = cls(here, *await here.connect())
        before = here.gateway.relay.budget.taken
        upload.writer.write(post(path, body)[:-less])
        while here.gateway.relay.budget.taken < before + len(body) - less and not upload.reader._buffer:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
            assert here.gateway.relay.budget.taken <= here.gateway.relay.budget.limit
        return upload

    async def answer(self, rest: bytes = b"") -> bytes:
        self.writer.write(rest)
        answer = await self.reader.read()
        self.writer.close()
        return answer


async def given_back(here: Stage) -> None:
    while here.gateway.relay.budget.taken:  # noqa: ASYNC110 - nobody tells when it is, and nobody should have to
        await asyncio.sleep(0)


async def echo_length(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await server.read_request(reader):
        writer.write(OK)


def test_uploads_without_a_model_share_one_budget() -> None:
    async def conversation() -> None:
        async with (
            model_server(echo_length) as server,
            stage(config(smol={}), StandIn(smol=server.endpoint), limits=BUDGET) as here,
        ):
            first = await Upload.begin(here, LATE)
            refused = [await Upload.begin(here, LATE) for _ in range(5)]
            for upload in refused:
                head, _, body = (await upload.answer()).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 503 ")
                assert b"\r\nRetry-After: 5\r\n" in head
                assert json.loads(body)["error"]["code"] == "no_room_for_body"
            assert 3 * MIB <= here.gateway.relay.budget.taken < 3 * MIB + 1000 * PIECE_BYTES, (
                "what was refused is free at once"
            )
            assert (await first.answer(LATE[-1:])).startswith(b"HTTP/1.1 200 ")
            assert len(server.seen[-1]) > len(LATE)
            await given_back(here)
            assert (await (await Upload.begin(here, LATE)).answer(LATE[-1:])).startswith(b"HTTP/1.1 200 ")
            await given_back(here)

    play(conversation)


def test_many_small_uploads_count_as_well_and_so_does_each_piece() -> None:
    async def conversation() -> None:
        settings = PortLimits(body_budget_bytes=20 * (1000 + PIECE_BYTES))
        async with stage(config(smol={}), StandIn(smol=None), limits=settings) as here:
            body = b'{"image":"%b' % (b"A" * 990)
            uploads = [await Upload.begin(here, body + b"x") for _ in range(30)]
            refused = [upload for upload in uploads if upload.reader._buffer]  # type: ignore[attr-defined]
            assert len(refused) == 10
            [await upload.answer() for upload in refused]
            for upload in uploads:
                upload.writer.close()
            await given_back(here)

    play(conversation)


def test_a_body_larger_than_the_whole_budget_is_too_large() -> None:
    async def conversation() -> None:
        async with stage(config(smol={}), StandIn(smol=None), limits=PortLimits(body_budget_bytes=MIB)) as here:
            assert (await (await Upload.begin(here, LATE)).answer()).startswith(b"HTTP/1.1 413 ")
            await given_back(here)

    play(conversation)


def test_a_body_that_announces_too_much_is_refused_when_it_is_clear_that_it_must_be_kept() -> None:
    async def conversation() -> None:
        settings = PortLimits(max_collected_bytes=2 * MIB)
        async with stage(config(smol={}), StandIn(smol=None), limits=settings) as here:
            upload = await Upload.begin(here, LATE, less=2 * MIB + MIB // 2)
            assert (await upload.answer()).startswith(b"HTTP/1.1 413 ")
            await given_back(here)

    play(conversation)


def test_a_body_with_its_model_in_front_passes_however_full_the_budget_is() -> None:
    async def conversation() -> None:
        async with (
            model_server(echo_length) as server,
            stage(config(smol={}), StandIn(smol=server.endpoint), limits=BUDGET) as here,
        ):
            first = await Upload.begin(here, LATE)
            assert (await here.say(post("/v1/completions", EARLY))).startswith(b"HTTP/1.1 200 ")
            assert (await first.answer(LATE[-1:])).startswith(b"HTTP/1.1 200 ")
            await given_back(here)

    play(conversation)


ENDS: dict[str, Callable[[Stage, Upload], Any]] = {
    "served": lambda here, _: here.supervisor.ready("smol", here.elsewhere),  # type: ignore[attr-defined]
    "failed": lambda here, _: here.supervisor.fail("smol", ModelFailed("smol", "exit code 1")),
    "cancelled": lambda here, _: [here.gateway.cancel(its) for its in list(here.gateway.in_flight)],
    "left": lambda _, upload: reset(upload.writer),
}


def reset(writer: asyncio.StreamWriter) -> None:
    """Leave at once: behind bytes that nobody reads, an orderly end would not be heard of."""
    client = writer.get_extra_info("socket")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("body", [b'{"model":"smol"}', EARLY, LATE], ids=["small", "early", "late"])
def test_bodies_that_wait_for_a_load_are_counted_until_that_ends(end: str, body: bytes) -> None:
    async def conversation() -> None:
        async with (
            model_server(echo_length) as server,
            stage(config(smol={}), StandIn(smol=None), limits=BUDGET) as here,
        ):
            here.elsewhere = server.endpoint  # type: ignore[attr-defined]
            upload = Upload(here, *await here.connect())
            upload.writer.write(post("/v1/completions", body))
            await here.supervisor.came.wait()
            assert here.gateway.relay.budget.taken >= min(len(body), 65_536)
            ENDS[end](here, upload)
            await given_back(here)
            upload.writer.close()

    play(conversation)


def test_an_edited_body_and_a_capture_are_counted() -> None:
    async def conversation() -> None:
        async with (
            model_server(echo_length) as server,
            stage(config(smol={"useModelName": "other"}), StandIn(smol=server.endpoint), limits=BUDGET) as here,
        ):
            here.gateway.relay.captures.resize(64 * MIB)
            upload = await Upload.begin(here, EARLY, less=2 * MIB)
            [exchange] = [its.handler for its in here.gateway.clients.connections]
            kept = exchange.record.capture.request.kept  # type: ignore[union-attr]
            assert MIB // 4 < kept < MIB
            assert here.gateway.relay.budget.taken >= 2 * kept
            answer = await upload.answer(EARLY[-2 * MIB :])
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b'"model":"other"' in server.seen[-1]
            await given_back(here)
            [record] = here.notebook.records
            assert record.capture is not None
            assert record.capture.request.cut, "the request needed the memory more"

    play(conversation)


def test_a_body_for_the_application_is_counted_until_it_has_answered() -> None:
    async def conversation() -> None:
        may_answer, gone = asyncio.Event(), asyncio.Event()

        async def app(_scope: Scope, receive: Receive, send: Send) -> None:
            body = b""
            while True:
                message: Message = await receive()
                if message["type"] == "http.disconnect":
                    gone.set()
                    raise OSError("the client left")
                body += message["body"]
                if not message["more_body"]:
                    break
            await may_answer.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"%d" % len(body)})

        async with stage(config(), StandIn(), app=app, limits=BUDGET) as here:
            first = await Upload.begin(here, LATE, path="/api/echo")
            second = await Upload.begin(here, LATE, path="/api/echo")
            assert (await second.answer()).startswith(b"HTTP/1.1 503 ")
            await gone.wait()
            first.writer.write(LATE[-1:])
            may_answer.set()
            assert (await first.answer()).endswith(b"%d" % len(LATE))
            await given_back(here)

    play(conversation)
