"""What does a model server read in a request for a name that stands for its model?

What a pin or a selector stands for is written into the request, as llama-swap does; an alias stays as it is.
"""

from __future__ import annotations

import asyncio

import pytest

from claracore.core.config.load import load
from claracore.core.config.model import Config
from gateway.stand import StandIn, answers, model_server, play, post, stage

OK = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
TEXT = """
models:
  a: {cmd: "x ${PORT}", aliases: [bee], filters: {setParamsByID: {sea: {top_k: 1}}}}
  b: {cmd: "x ${PORT}", useModelName: real}
selectors:
  auto: {strategy: pin, targets: [bee]}
  told: {strategy: pin, targets: [b]}
  with params: {strategy: pin, targets: [sea]}
profiles:
  day: {pins: {gpt-4: a, gpt-5: bee, gpt-6: auto, gpt-7: b}}
"""


def loaded() -> Config:
    config = load(TEXT, env={}).config
    assert config is not None
    return config


def json_of(name: str) -> bytes:
    return b'{"model": "%b", "x": 1}' % name.encode()


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("a", "a"),
        ("bee", "bee"),
        ("auto", "bee"),
        ("told", "real"),
        ("gpt-4", "a"),
        ("gpt-5", "bee"),
        ("gpt-6", "bee"),
        ("gpt-7", "real"),
    ],
)
def test_the_model_in_the_request(asked: str, written: str) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n--b--\r\n'

    async def conversation() -> None:
        async with (
            model_server(OK) as server,
            stage(loaded(), StandIn(a=server.endpoint, b=server.endpoint), profile="day") as here,
        ):
            await here.say(post("/v1/chat/completions", json_of(asked)))
            assert server.seen.pop().endswith(b"\r\n\r\n" + json_of(written))
            upload = post("/v1/audio/transcriptions", form % asked.encode(), kind="multipart/form-data; boundary=b")
            await here.say(upload)
            assert server.seen.pop().endswith(b"\r\n\r\n" + form % written.encode())
            line = f"GET /v1/audio/voices?x=1&model={asked} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            await here.say(line.encode())
            assert server.seen.pop().startswith(b"GET /v1/audio/voices?x=1&model=%b HTTP/1.1\r\n" % written.encode())
            assert {record.requested for record in here.notebook.records} == {asked}

    play(conversation)


def test_filters_by_id_follow_the_target_and_the_record_names_the_selector() -> None:
    async def conversation() -> None:
        async with (
            model_server(OK) as server,
            stage(loaded(), StandIn(a=server.endpoint, b=server.endpoint)) as here,
        ):
            await here.say(post("/v1/chat/completions", json_of("with params")))
            assert server.seen[-1].endswith(b'\r\n\r\n{"model": "sea", "x": 1,"top_k":1}')
            await here.say(post("/v1/chat/completions", json_of("bee")))
            assert [record.selector for record in here.notebook.records] == ["with params", ""]
            assert [record.priority for record in here.notebook.records] == [0, 0]

    play(conversation)


def test_paths_that_do_not_load_a_model_are_looked_at_as_they_mean() -> None:
    text = r"upstream: {ignorePaths: ['^/\pL+\.js\z']}" + '\nmodels: {a: {cmd: "x ${PORT}"}}'
    config = load(text, env={}).config
    assert config is not None

    async def conversation() -> None:
        async with stage(config, StandIn(a=None)) as here:
            for path, ignored in (("/a.js", True), ("/%C3%A4%2Ejs", True), ("/a1.js", False), ("/a.js%0A", False)):
                reader, writer = await here.connect()
                writer.write(f"GET /upstream/a{path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                if ignored:
                    assert (await reader.readline()).startswith(b"HTTP/1.1 409 "), path
                else:
                    await here.supervisor.came.wait()
                    here.supervisor.came.clear()
                writer.close()
            assert here.supervisor.arrived == 2

    play(conversation)


def test_a_model_in_a_query_or_form_is_found_however_its_letters_are_written() -> None:
    async def conversation() -> None:
        async with (
            model_server(OK) as server,
            stage(loaded(), StandIn(a=server.endpoint, b=server.endpoint)) as here,
        ):
            await here.say(
                b"GET /v1/audio/voices?x=model=1&%6Dodel=auto HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            )
            assert server.seen.pop().startswith(b"GET /v1/audio/voices?x=model=1&%6Dodel=bee HTTP/1.1\r\n")
            form = post("/v1/audio/voices", b"a=?&mode%6c=auto&b", kind="application/x-www-form-urlencoded")
            await here.say(form)
            assert server.seen.pop().endswith(b"\r\n\r\na=?&mode%6c=bee&b")

    play(conversation)


@pytest.mark.parametrize("name", ["auto", "gpt-4"])
def test_a_request_that_waits_keeps_its_name_when_the_configuration_changes(name: str) -> None:
    async def conversation() -> None:
        async with (
            model_server(OK) as server,
            stage(loaded(), StandIn(a=None, b=None), profile="day") as here,
        ):
            line = f"GET /v1/audio/voices?model={name} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            answer = asyncio.create_task(here.say(line.encode()))
            await here.supervisor.came.wait()
            here.gateway.reconfigure(loaded())
            here.supervisor.ready("a", server.endpoint)
            await answer
            written = {"auto": b"bee", "gpt-4": b"a"}[name]
            assert server.seen.pop().startswith(b"GET /v1/audio/voices?model=" + written + b" HTTP/1.1\r\n")

    play(conversation)
