"""What may change about the pages and names that are allowed, and what is said about those that are not."""

from __future__ import annotations

import logging

import pytest

from claracore.errors import Forbidden
from claracore.http.access.origins import MOST_REMEMBERED, Origins, Rules

PAGE = {b"origin": b"https://chat.example", b"host": b"localhost:5800"}


def test_the_configuration_allows_beside_the_command_line_and_takes_back_only_its_own() -> None:
    origins = Origins(Rules(False, frozenset({"ai.example"}), frozenset({"https://told.example"})))
    assert not origins.allows(b"https://chat.example", b"localhost")
    origins.configure(["Box.example"], ["https://Chat.example/"])
    assert origins.allows(b"https://chat.example", b"localhost")
    assert origins.allows(b"https://told.example", b"localhost")
    assert origins.rules.knows_host("box.example:443")
    assert origins.rules.knows_host("ai.example")
    origins.configure([], [])
    assert not origins.allows(b"https://chat.example", b"localhost")
    assert not origins.rules.knows_host("box.example")
    assert origins.allows(b"https://told.example", b"localhost")
    assert origins.rules.knows_host("ai.example")


def test_the_first_refused_page_of_an_origin_is_a_line_with_the_way_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    origins = Origins(Rules())
    for _ in range(3):
        with pytest.raises(Forbidden):
            origins.check(b"POST", PAGE, has_key=False)
    (line,) = caplog.messages
    assert "--cors-origin https://chat.example" in line
    assert "cors_origins" in line
    for number in range(2 * MOST_REMEMBERED):
        with pytest.raises(Forbidden):
            origins.check(b"POST", PAGE | {b"origin": b"https://%d.example" % number}, has_key=False)
    assert len(caplog.messages) == MOST_REMEMBERED


def test_a_page_cannot_forge_lines_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with pytest.raises(Forbidden):
        Origins(Rules()).check(b"POST", PAGE | {b"origin": b"https://a\x85fake line\x1b[2J"}, has_key=False)
    assert caplog.messages[0].isprintable()
