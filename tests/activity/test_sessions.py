from __future__ import annotations

import pytest

from claracore.host.activity.sessions import LONGEST, SessionReader

WANTED = ("X-Session-ID", "x-task")


@pytest.mark.parametrize(
    ("lines", "session"),
    [
        ([], None),
        ([b"Host: h", b"X-Other: 1"], None),
        ([b"x-session-id:a"], "a"),
        ([b"X-SESSION-ID:  a b ", b"X-Task: c"], "a b"),
        ([b"X-Session-Id: ", b"X-Task: c"], "c"),
        ([b"X-Task: \xe4"], "ä"),
        ([b"X-Task: " + b"a" * 1000], "a" * LONGEST),
    ],
)
def test_the_first_header_that_says_something(lines: list[bytes], session: str | None) -> None:
    assert SessionReader(WANTED).session_of(lines) == session


def test_nothing_is_wanted() -> None:
    assert SessionReader().session_of([b"X-Session-Id: a"], b"mine") is None


def test_the_id_of_a_request_is_its_session_where_the_configuration_names_its_header() -> None:
    lines = [b"Host: h"]
    sessions = SessionReader(["X-Request-ID", "X-Task"])
    asked: list[tuple[list[bytes], bytes]] = [(lines, b"one"), (lines, b""), (lines, b"two"), ([b"X-Task: a"], b"one")]
    assert [sessions.session_of(*each) for each in asked] == ["one", None, "two", "a"]
    assert SessionReader(WANTED).session_of(lines, b"one") is None


def test_each_request_has_its_own() -> None:
    sessions = SessionReader(WANTED)
    one, another, none = [b"X-Task: one"], [b"X-Task: another"], [b"Host: h"]
    asked = [one, one, another, none, one]
    assert [sessions.session_of(lines) for lines in asked] == ["one", "one", "another", None, "one"]
