"""Whether who answers is still the server that was verified: what must not be taken for a change."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claracore.host.sockets.kernel import other_end
from claracore.host.sockets.owner import verify
from claracore.host.supervisor import verified
from claracore.host.supervisor.verified import OwnerCheck
from claracore.types import Endpoint

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems are not told what listens so cheaply")


MANY = 1500
"""Looks."""


def check_of(endpoint: Endpoint, *, can_be_sealed: bool = True) -> OwnerCheck:
    """Return the check of a server that runs in this very process."""
    return OwnerCheck(
        endpoint,
        os.getpid(),
        look=lambda: verify(endpoint.port, os.getpid()),
        seal=lambda _: can_be_sealed,
        take=lambda _: None,
    )


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open nothing more."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        listener.setblocking(False)
        yield listener


def test_a_server_on_a_unix_socket_that_accepts_nobody_for_a_while_is_still_there(tmp_path: Path) -> None:
    """Looking must take no place in its queue, and a full queue must not look as if nobody were there."""
    path = tmp_path / "a.sock"
    with listening(path) as listener, contextlib.ExitStack() as clients:
        check = check_of(Endpoint(unix_path=str(path)))
        assert check.verify()
        with contextlib.suppress(BlockingIOError):
            while True:
                listener.accept()[0].close()
        assert all(check.unchanged() for _ in range(20))
        with pytest.raises(BlockingIOError):
            listener.accept()
        with contextlib.suppress(BlockingIOError):
            while True:
                client = clients.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        assert check.unchanged()


def test_another_server_at_the_same_path_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    check = check_of(Endpoint(unix_path=str(path)))
    with listening(path):
        assert check.verify()
        path.unlink()
        with listening(path):
            assert not check.unchanged()
    assert not check.unchanged()


def test_that_no_more_files_can_be_opened_is_no_change(tmp_path: Path) -> None:
    """Nothing can be seen then: that is said, and not that nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server, listening(tmp_path / "a.sock"):
        for endpoint in (
            Endpoint("127.0.0.1", server.getsockname()[1]),
            Endpoint(unix_path=str(tmp_path / "a.sock")),
        ):
            check = check_of(endpoint)
            assert check.verify()
            with no_more_files(), pytest.raises(OSError, match="Too many open files"):
                check.unchanged()
            assert check.unchanged()


def test_who_has_accepted_is_waited_for_however_long_that_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that cannot be shut off against others, and computes: it is no stranger because it accepts nobody."""
    looks, looked = itertools.count(1), asyncio.Event()

    def look(connection: socket.socket) -> int:
        if next(looks) == MANY:
            looked.set()
        return other_end(connection)

    monkeypatch.setattr(verified, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(verified, "other_end", look)

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            check = check_of(Endpoint("127.0.0.1", server.getsockname()[1]), can_be_sealed=False)
            assert check.verify()
            with socket.create_connection(server.getsockname()) as connection:
                asked = asyncio.ensure_future(check.reaches(connection))
                await asyncio.wait({asked, asyncio.ensure_future(looked.wait())}, return_when=asyncio.FIRST_COMPLETED)
                assert not asked.done()
                with server.accept()[0]:
                    assert await asked

    asyncio.run(story())
