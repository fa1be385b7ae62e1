from __future__ import annotations

import pytest

from claracore.host.activity.sessions import LONGEST, header_set, session_of

WANTED = header_set(("X-Session-ID", "x-task"))


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
    assert session_of(lines, WANTED) == session


def test_nothing_is_wanted() -> None:
    assert session_of([b"X-Session-Id: a"], header_set(())) is None
