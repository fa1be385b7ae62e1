"""What is given as the address of a server, and is none, is refused in a sentence."""

from __future__ import annotations

import pytest

from claracore.cli.client import Server
from claracore.errors import BadRequest


@pytest.mark.parametrize(
    "given", ["http://fd00::2:15802", "http://[fd00", "http://h:99999", "h:x", "http://", "http://h:0"]
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(BadRequest, match="is no address: write it like http://127"):
        Server(given)


@pytest.mark.parametrize(
    ("given", "url", "address"),
    [
        ("desk", "http://desk", "desk:80"),
        ("https://desk", "https://desk", "desk:443"),
        ("http://[fd00::2]:5800", "http://[fd00::2]:5800", "[fd00::2]:5800"),
    ],
)
def test_what_is_one(given: str, url: str, address: str) -> None:
    server = Server(given)
    assert (server.url, server.address) == (url, address)
