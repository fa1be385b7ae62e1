"""When is a model's server ready to answer?

Asks its check endpoint until it answers 200 and the answer provably comes from our child. The child's end wins over any
poll, at once. With `checkEndpoint: none` nothing is asked of the server; that it listens, and is ours, is seen to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from claracore.core.loading.failure_kinds import FailureKind
from claracore.errors import Explained, ModelFailed, NotReadyInTime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from claracore.host.logs.output import OutputRing
    from claracore.host.supervisor.child import Child, Exit
    from claracore.types import Endpoint

NO_CHECK = "none"
"""What a configuration says whose server has nothing to ask for its health."""

INTERVALS_SECONDS = ((2.0, 0.02), (15.0, 0.05), (float("inf"), 0.1))
"""Until this long after the start: this long between two polls. A poll costs us about 0.3 ms of CPU."""

HINTED_SECONDS = 0.1
"""Between two polls of a server that says by itself when it is ready: the polls would only take its processor."""

POLL_SECONDS = 2.0
"""A server that accepts and stays silent is asked again after this time."""

MOST_STAGES = 64
"""What a server is at while it loads changes a few times. One that has ever new names for it is not waited for."""

BODY_LIMIT_BYTES = 65_536
MORE_TIME = "Give it more time (healthCheckTimeout) where it only needs longer; its log says what it was at"
LAST_LINES = 12
"""How many of the last lines that a server has printed stand in the message about its failure."""


@dataclass(frozen=True, slots=True)
class Loading:
    """What a server says while it loads: a sentence, and the fraction done (0 to 1) if it tells."""

    message: str
    progress: float | None = None


@dataclass(slots=True)
class ReadyDeadline:
    """How long a server may still take: so many seconds from its start, or from when it last got further.

    It got further when it tells a larger fraction of what it is at, or of something new; a sentence alone is none.
    """

    seconds: float
    clock: Callable[[], float] = time.monotonic
    since: float = field(init=False)
    reached: dict[str, float] = field(default_factory=dict)
    """The largest fraction by what the server was at."""

    def __post_init__(self) -> None:
        self.since = self.clock()

    def progressed(self, news: Loading) -> None:
        """Take in what the server says of its loading."""
        before = self.reached.get(news.message)
        if news.progress is None or (before is not None and news.progress <= before):
            return
        if before is None and len(self.reached) >= MOST_STAGES:
            return
        self.reached[news.message] = news.progress
        self.since = self.clock()

    @property
    def left_seconds(self) -> float:
        """How long it may take until it is ready or gets further; not positive when its time is over."""
        return self.since + self.seconds - self.clock()

    def __str__(self) -> str:
        if not self.reached:
            return f"was not ready within {self.seconds:g} s"
        stage, fraction = list(self.reached.items())[-1]
        return f"got no further within {self.seconds:g} s ({stage}: {fraction:.0%})"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the check endpoint."""

    status: int
    body: bytes


async def wait_until_ready(
    endpoint: Endpoint,
    path: str,
    *,
    child: Child,
    deadline: ReadyDeadline,
    model: str,
    output: OutputRing,
    on_progress: Callable[[Loading], None] | None = None,
    verify: Callable[[], bool] | None = None,
    hint: asyncio.Event | None = None,
) -> None:
    """Return as soon as GET `path` answers 200 and `verify()` (is it our child that listens there?) is true.

    The path "none" asks nothing and leaves it to `verify`. Refused connections, silence, 503 and every other status
    mean "not yet". `on_progress` is called with each change of what a 503 says, which may also postpone the `deadline`.
    When `hint` is set the next poll comes at once: the server itself has said that it is ready, which is no proof.
    Raises ModelFailed when the child ends first (how, and its last lines), NotReadyInTime with what was seen last at
    the deadline.
    """

    def hear(news: Loading) -> None:
        deadline.progressed(news)
        if on_progress is not None:
            on_progress(news)

    polls = _Polls(endpoint, path, hear, verify, hint)
    task = asyncio.create_task(polls.run(), name=f"health of {model}")
    try:
        racers: set[asyncio.Future[None] | asyncio.Future[Exit]] = {task, child.exited}
        while not (task.done() or child.exited.done()) and (left := deadline.left_seconds) > 0:
            await asyncio.wait(racers, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if child.exited.done():
            reason = f"its server ended before it was ready: {child.exited.result()}"
            raise ModelFailed(model, reason, output.tail(LAST_LINES))
        if not task.done():
            tail = "".join(f"\n  | {line}" for line in output.tail(LAST_LINES))
            late = NotReadyInTime(f"model {model!r} {deadline}: {polls.last_seen}{tail}")
            late.explained = Explained(FailureKind.TIME, f"it {deadline}", polls.last_seen, MORE_TIME)
            raise late
        task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})


async def is_healthy(endpoint: Endpoint, path: str) -> bool:
    """Whether GET `path` answers 200 now; true for the path "none", which asks nothing."""
    if path == NO_CHECK:
        return True
    try:
        async with asyncio.timeout(POLL_SECONDS):
            return (await get(endpoint, path)).status == 200
    except (OSError, EOFError, ValueError):
        return False


class _Polls:
    """The polls for one start, and what the last one saw."""

    def __init__(
        self,
        endpoint: Endpoint,
        path: str,
        on_progress: Callable[[Loading], None],
        verify: Callable[[], bool] | None,
        hint: asyncio.Event | None,
    ) -> None:
        self._hint = hint
        self._endpoint = endpoint
        self._path = path
        self._on_progress = on_progress
        self._verify = verify
        self._last_loading: Loading | None = None
        self.last_seen = "it was not asked yet"

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        while not await self._is_ready():
            await self._pause(loop.time() - started)

    async def _pause(self, age: float) -> None:
        """Wait for the next poll: for the hint where there is one to come, so long as `age` asks for else."""
        if self._hint is None or self._hint.is_set():
            await asyncio.sleep(next(pause for until, pause in INTERVALS_SECONDS if age < until))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HINTED_SECONDS):
                await self._hint.wait()

    async def _is_ready(self) -> bool:
        if self._path == NO_CHECK:
            self.last_seen = f"it does not listen on {self._endpoint}"
            return self._verify is None or self._verify()
        where = f"GET {self._path} on {self._endpoint}"
        try:
            async with asyncio.timeout(POLL_SECONDS):
                answer = await get(self._endpoint, self._path)
        except TimeoutError:
            self.last_seen = f"{where} was accepted but not answered"
        except (OSError, EOFError, ValueError) as error:
            self.last_seen = f"{where} failed: {error}"
        else:
            return self._judge(where, answer)
        return False

    def _judge(self, where: str, answer: Answer) -> bool:
        if answer.status != 200:
            self.last_seen = f"{where} answered {answer.status}"
            if answer.status == 503:
                self._note_loading(loading(answer.body))
            return False
        if self._verify is not None and not self._verify():
            self.last_seen = f"{where} answered 200, but it is not our process that listens there"
            return False
        return True

    def _note_loading(self, news: Loading | None) -> None:
        if news is not None and news != self._last_loading:
            self._last_loading = news
            self._on_progress(news)


def loading(body: bytes) -> Loading | None:
    """Read llama-server's 503 body, `{"error": {"message": "Loading model", ...}}`, and `progress` if it tells."""
    try:
        outer = json.loads(body)
    except ValueError:
        return None
    inner = outer.get("error", outer) if isinstance(outer, dict) else None
    if not isinstance(inner, dict):
        return None
    message = inner.get("message", "")
    progress = inner.get("progress", outer.get("progress"))
    known = isinstance(progress, int | float) and not isinstance(progress, bool)
    return Loading(str(message), min(max(float(progress), 0.0), 1.0) if known else None)


async def get(endpoint: Endpoint, path: str) -> Answer:
    """Do one GET; raises OSError, EOFError or ValueError (not HTTP). Sets no time limit; reads no body of a 200."""
    return await ask(endpoint, "GET", path, reads_ok=False)


async def ask(
    endpoint: Endpoint,
    method: str,
    path: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    most_bytes: int = BODY_LIMIT_BYTES,
    reads_ok: bool = True,
) -> Answer:
    """Do one request, with a JSON body or without one, on a connection of its own; else as `get`.

    Of the answer's body no more than `most_bytes` are read, and of a 200 only if it `reads_ok`.
    """
    if endpoint.unix_path is not None:
        reader, writer = await asyncio.open_unix_connection(endpoint.unix_path, limit=BODY_LIMIT_BYTES)
    else:
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, limit=BODY_LIMIT_BYTES)
    of_body = {"Content-Type": "application/json", "Content-Length": str(len(body))} if body else {}
    lines = {"Host": endpoint.authority, "Connection": "close", **of_body, **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    try:
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        status = _status(await reader.readuntil(b"\r\n"))
        answer_head = await reader.readuntil(b"\r\n\r\n") if status != 200 or reads_ok else b""
        return Answer(status, await _body(reader, answer_head, most_bytes))
    except asyncio.LimitOverrunError as error:
        raise ValueError(str(error)) from error
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ValueError(f"this is not HTTP: {line[:40]!r}")
    return int(rest[:3])


async def _body(reader: asyncio.StreamReader, head: bytes, most_bytes: int) -> bytes:
    """Read as much of a body as its Content-Length says; without one, none (only a plain body tells progress)."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return await reader.readexactly(min(int(value), most_bytes))
    return b""
