"""When a server counts as ready (supervisor/health.py)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from claracore.errors import ModelFailed, NotReadyInTime
from claracore.host.supervisor import health
from claracore.host.supervisor.health import Loading, ReadyDeadline, loading, wait_until_ready
from claracore.types import Endpoint
from fakes import command
from fakes.running import LOOPS, control, fake, line_with, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from claracore.host.logs.output import OutputRing
    from claracore.host.supervisor.child import Child
    from fakes.running import Run

loops = pytest.mark.parametrize("run", LOOPS)


async def wait(
    endpoint: Endpoint,
    child: Child,
    output: OutputRing,
    *,
    timeout_seconds: float = 30,
    on_progress: Callable[[Loading], None] | None = None,
    verify: Callable[[], bool] | None = None,
    path: str = "/health",
    hint: asyncio.Event | None = None,
) -> None:
    await wait_until_ready(
        endpoint,
        path,
        child=child,
        deadline=ReadyDeadline(timeout_seconds),
        model="qwen",
        output=output,
        on_progress=on_progress,
        verify=verify,
        hint=hint,
    )


@loops
def test_a_hint_is_acted_upon_at_once_and_not_believed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "HINTED_SECONDS", 3_600.0)

    async def story() -> None:
        async with fake("--loading") as (child, output, endpoint):
            news: list[Loading] = []
            asked = asyncio.Event()

            def on_progress(loading: Loading) -> None:
                news.append(loading)
                asked.set()

            hint = asyncio.Event()
            waiting = asyncio.create_task(wait(endpoint, child, output, on_progress=on_progress, hint=hint))
            await asked.wait()
            hint.set()  # too early: it is asked again and again from now on
            await control(endpoint, "wait?key=connections_total&at_least=6")
            assert not waiting.done()
            await control(endpoint, "ready")
            await waiting

    run(story())


@loops
def test_a_server_that_loads_first(run: Run) -> None:
    async def story() -> None:
        async with fake("--loading") as (child, output, endpoint):
            news: list[Loading] = []
            heard = asyncio.Event()

            def on_progress(loading: Loading) -> None:
                news.append(loading)
                heard.set()

            waiting = asyncio.create_task(wait(endpoint, child, output, on_progress=on_progress))
            await heard.wait()
            assert not waiting.done()
            await control(endpoint, "ready")
            await waiting
            assert news == [Loading("Loading model", 0.5)]

    run(story())


@loops
def test_a_server_that_does_not_even_listen_yet(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        path = f"{tmp_path}/model.sock"
        flags = ("--unix", path, "--listen-file", f"{tmp_path}/go", "--print", "up")
        async with running(*command(*flags)) as (child, output):
            await line_with(output, "up")
            waiting = asyncio.create_task(wait(Endpoint(unix_path=path), child, output))
            await asyncio.sleep(0)
            (tmp_path / "go").touch()
            await waiting

    run(story())


@loops
@pytest.mark.parametrize("when", ["start", "loading"])
def test_the_end_of_the_child_wins_at_once(run: Run, when: str) -> None:
    async def story() -> None:
        flags = (
            "--port",
            "0",
            "--crash",
            when,
            "--loading",
            "--print",
            "no kernel image is available",
            "--exit-code",
            "17",
        )
        async with running(*command(*flags)) as (child, output):
            endpoint = Endpoint(port=1)
            if when == "loading":
                line = await line_with(output, "listening")
                endpoint = Endpoint(port=int(line.rpartition(":")[2]))
            with pytest.raises(ModelFailed, match="exit code 17") as caught:
                await wait(endpoint, child, output)
            assert "no kernel image is available" in caught.value.message

    run(story())


@loops
@pytest.mark.parametrize("hang", ["health", "accept"])
def test_a_poll_never_hangs(run: Run, hang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "POLL_SECONDS", 0.02)

    async def story() -> None:
        async with fake("--hang", hang) as (child, output, endpoint):
            with pytest.raises(
                NotReadyInTime, match=r"not ready within 0.5 s: GET /health .* accepted but not answered"
            ):
                await wait(endpoint, child, output, timeout_seconds=0.5)

    run(story())


@loops
def test_a_server_that_gets_further_has_its_time_again_from_then(run: Run) -> None:
    async def story() -> None:
        async with fake("--ready-after", "2") as (child, output, endpoint):
            await wait(endpoint, child, output, timeout_seconds=1.0)

    run(story())


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ((), 4.0),
        ((Loading("model", 0.1),), 10.0),
        ((Loading("model", 0.1), None, Loading("model", 0.1)), 9.0),
        ((Loading("model", 0.5), None, Loading("model", 0.4)), 9.0),
        ((Loading("model", 0.5), None, Loading("projector", 0.0)), 10.0),
        ((Loading("still loading"), Loading("still loading, after 2 s")), 4.0),
        (
            (
                *(Loading(f"block {number}", 0.0) for number in range(health.MOST_STAGES)),
                None,
                Loading("one more", 0.9),
            ),
            9.0,
        ),
    ],
)
def test_what_counts_as_getting_further(said: tuple[Loading | None, ...], left: float) -> None:
    now = 100.0
    deadline = ReadyDeadline(10.0, clock=lambda: now)
    now += 6
    for news in said:
        if news is None:
            now += 1
        else:
            deadline.progressed(news)
    assert deadline.left_seconds == left


@loops
def test_a_server_that_gets_no_further_is_told_with_what_it_was_at(run: Run) -> None:
    async def story() -> None:
        async with fake("--loading") as (child, output, endpoint):
            with pytest.raises(
                NotReadyInTime, match=r"got no further within 0.5 s \(Loading model: 50%\): GET /health"
            ):
                await wait(endpoint, child, output, timeout_seconds=0.5)

    run(story())


@loops
def test_other_statuses_are_not_ready_and_are_named(run: Run) -> None:
    async def story() -> None:
        async with fake("--health-status", "404") as (child, output, endpoint):
            with pytest.raises(NotReadyInTime, match="answered 404"):
                await wait(endpoint, child, output, timeout_seconds=0.5)

    run(story())


@loops
def test_a_stranger_on_the_port_does_not_count(run: Run) -> None:
    async def story() -> None:
        async with fake() as (child, output, endpoint):
            answers = iter([False, False, True])
            await wait(endpoint, child, output, verify=lambda: next(answers))
            assert next(answers, None) is None
            with pytest.raises(NotReadyInTime, match="not our process"):
                await wait(endpoint, child, output, timeout_seconds=0.5, verify=lambda: False)

    run(story())


@loops
def test_a_stranger_answers_but_our_child_could_not_bind(run: Run) -> None:
    async def story() -> None:
        async with fake() as (_, _, endpoint), running(*command("--port", str(endpoint.port))) as (child, output):
            with pytest.raises(ModelFailed, match="couldn't bind HTTP server socket"):
                await wait(endpoint, child, output, verify=lambda: False)

    run(story())


@loops
@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200", b"\0" * 100_000])
def test_what_is_not_http_is_not_ready(run: Run, answer: bytes) -> None:
    async def story() -> None:
        async def rude(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

        server = await asyncio.start_server(rude, "127.0.0.1", 0)
        endpoint = Endpoint(port=server.sockets[0].getsockname()[1])
        async with server, running(*command("--port", "0")) as (child, output):
            with pytest.raises(NotReadyInTime, match="failed"):
                await wait(endpoint, child, output, timeout_seconds=0.5)

    run(story())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}', Loading("Loading model")),
        (b'{"error":{"message":"Loading model","progress":0.25}}', Loading("Loading model", 0.25)),
        (b'{"message":"loading","progress":3}', Loading("loading", 1.0)),
        (b'{"message":"loading","progress":true}', Loading("loading")),
        (b"[]", None),
        (b"busy", None),
        (b"", None),
    ],
)
def test_what_a_loading_server_says(body: bytes, expected: Loading | None) -> None:
    assert loading(body) == expected


@loops
def test_without_a_check_it_is_enough_that_our_process_listens(run: Run) -> None:
    async def story() -> None:
        async with fake("--hang", "health") as (child, output, endpoint):
            answers = iter([False, False, True])
            await wait(endpoint, child, output, verify=lambda: next(answers), path="none")
            assert next(answers, None) is None
            with pytest.raises(NotReadyInTime, match="it does not listen on"):
                await wait(endpoint, child, output, verify=lambda: False, path="none", timeout_seconds=0.05)

    run(story())
