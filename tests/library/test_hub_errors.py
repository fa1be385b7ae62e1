"""Why could somebody not be reached?"""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket

import httpx2
import pytest

from claracore.host.library.hub_errors import why


def caused(*errors: BaseException) -> BaseException:
    """Return the first error, whose cause is the second, and so on."""
    for error, cause in itertools.pairwise(errors):
        error.__cause__ = cause
    return errors[0]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            caused(
                httpx2.ConnectError("[Errno -3] Temporary failure in name resolution"),
                socket.gaierror(-3, "Temporary failure in name resolution"),
            ),
            "its name could not be found: is there no network, or no DNS?",
        ),
        (
            caused(
                httpx2.ConnectError("All connection attempts failed"),
                OSError("All connection attempts failed"),
                ExceptionGroup("several", [ConnectionRefusedError(111, "Connect call failed"), OSError()]),
            ),
            "nothing listens there",
        ),
        (caused(httpx2.ReadTimeout(""), TimeoutError()), "it did not answer in time"),
        (caused(httpx2.ConnectError("x"), OSError(errno.ENETUNREACH, "[x]")), "Network is unreachable"),
        (httpx2.RemoteProtocolError("Server disconnected"), "Server disconnected"),
        (httpx2.ReadError(""), "ReadError"),
    ],
)
def test_why(error: BaseException, words: str) -> None:
    assert why(error) == words


def test_a_real_refusal() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen

        async def ask() -> None:
            async with httpx2.AsyncClient(trust_env=False) as client:
                await client.get(f"http://127.0.0.1:{taken.getsockname()[1]}")

        with pytest.raises(httpx2.TransportError) as caught:
            asyncio.run(ask())
    assert why(caught.value) == "nothing listens there"
