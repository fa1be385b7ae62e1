from __future__ import annotations

import pytest

from claracore.core.ports.listen import EVERYWHERE, LOOPBACK, Listen, parse_listen
from claracore.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8096", Listen(LOOPBACK, 8096)),
        (":8096", Listen(EVERYWHERE, 8096)),
        ("*:8096", Listen(EVERYWHERE, 8096)),
        ("localhost:5800", Listen(LOOPBACK, 5800)),
        ("192.168.1.100:5800", Listen(("192.168.1.100",), 5800)),
        ("0.0.0.0:5800", Listen(("0.0.0.0",), 5800)),
        ("[::1]:5800", Listen(("::1",), 5800)),
        ("[::]:5800", Listen(EVERYWHERE, 5800)),
        ("[0:0::0]:auto", Listen(EVERYWHERE, 5800, auto=True)),
        ("[::ffff:127.0.0.1]:5800", Listen(("127.0.0.1",), 5800)),
        ("[fe80::1%eth0]:5800", Listen(("fe80::1%eth0",), 5800)),
        ("myhost.lan:5800", Listen(("myhost.lan",), 5800)),
        (":0", Listen(EVERYWHERE, 0)),
        ("0", Listen(LOOPBACK, 0)),
        ("auto", Listen(LOOPBACK, 5800, auto=True)),
        (":auto", Listen(EVERYWHERE, 5800, auto=True)),
        (" 8096 ", Listen(LOOPBACK, 8096)),
    ],
)
def test_forms(text: str, expected: Listen) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "host",
        "1.2.3.4",
        "65536",
        ":65536",
        "-1",
        "::1:5800",
        "[::1]",
        "[zz]:1",
        "http://x:5800",
        "5_8",
        "\u0665",
    ],
)
def test_other_texts_are_refused_with_the_forms_that_work(text: str) -> None:
    with pytest.raises(BadRequest, match=r"192\.168\.1\.100:5800") as caught:
        parse_listen(text)
    assert caught.value.param == "listen"


def test_the_default_is_loopback_on_5800() -> None:
    assert str(Listen()) == "127.0.0.1:5800, [::1]:5800"
    assert Listen().url == "http://127.0.0.1:5800"


def test_the_url_of_all_interfaces_can_be_opened() -> None:
    assert parse_listen(":8096").url == "http://127.0.0.1:8096"
    assert parse_listen("[::1]:8096").url == "http://[::1]:8096"


def test_the_opened_port_replaces_the_wanted_one() -> None:
    assert parse_listen("auto").at(5803) == Listen(LOOPBACK, 5803)
