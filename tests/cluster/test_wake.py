"""The packet that wakes a machine."""

from __future__ import annotations

import socket

import pytest

from claracore.host.cluster.wake import magic_packet, send_magic_packet

MAC = bytes.fromhex("aabbccddeeff")


@pytest.mark.parametrize("text", ["aa:bb:cc:dd:ee:ff", "AA-BB-CC-DD-EE-FF"])
def test_the_packet_has_the_address_sixteen_times(text: str) -> None:
    assert magic_packet(text) == b"\xff" * 6 + MAC * 16


@pytest.mark.parametrize("text", ["", "aa:bb", "no address at all"])
def test_what_is_no_address_makes_no_packet(text: str) -> None:
    with pytest.raises(ValueError, match=r"hexadecimal|no hardware address"):
        magic_packet(text)


def test_the_packet_arrives() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        send_magic_packet("aa:bb:cc:dd:ee:ff", "127.0.0.1", listener.getsockname()[1])
        assert listener.recv(200) == magic_packet("aa:bb:cc:dd:ee:ff")
