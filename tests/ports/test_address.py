from __future__ import annotations

import pytest

from claracore.core.ports.address import address_of, is_address, is_localhost, is_loopback, is_this_host


@pytest.mark.parametrize(
    ("host", "address", "loopback", "localhost", "this_host"),
    [
        ("127.0.0.1", "127.0.0.1", True, True, True),
        ("127.8.8.8", "127.8.8.8", True, True, True),
        ("::1", "::1", True, True, True),
        ("::ffff:127.0.0.1", "127.0.0.1", True, True, True),
        ("0.0.0.0", "0.0.0.0", False, False, True),
        ("::", "::", False, False, True),
        ("::2", "::2", False, False, False),
        ("192.168.1.5", "192.168.1.5", False, False, False),
        ("fe80::1%eth0", "fe80::1", False, False, False),
        ("localhost", None, False, True, True),
        ("a.localhost", None, False, True, False),
        ("localhost.evil.example", None, False, False, False),
        ("127.0.0.1.evil.example", None, False, False, False),
        ("127.0.0.1%evil.example", None, False, False, False),
        ("desk.lan", None, False, False, False),
        ("", None, False, False, False),
    ],
)
def test_what_a_host_means(host: str, address: str | None, *, loopback: bool, localhost: bool, this_host: bool) -> None:
    assert is_address(host) is (address is not None)
    if address is not None:
        assert str(address_of(host)) == address
    assert is_loopback(host) is loopback
    assert is_localhost(host) is localhost
    assert is_this_host(host) is this_host


def test_names_and_addresses_of_this_host_are_given() -> None:
    assert is_this_host("Desk.LAN", {"desk.lan"})
    assert is_this_host("192.168.1.5", {"192.168.1.5"})
    with pytest.raises(ValueError, match="localhost"):
        address_of("localhost")
