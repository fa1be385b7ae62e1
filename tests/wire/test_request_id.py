"""What is taken out of a head for its id changes nothing else of it, and only what may be an id is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.http.wire.answers import MalformedRequest
from claracore.http.wire.head import parse_request
from claracore.http.wire.request_id import FIELD, as_theirs, chosen, taken_out, without_echo

HEAD = b"GET / HTTP/1.1\r\nHost: h\r\n%bX-A: 1\r\n\r\n"


def id_of(head: bytes) -> bytes:
    rest, taken = taken_out(head)
    return chosen(taken, parse_request(rest)[0].noted.get(FIELD))


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"", b""),
        (b"X-Request-Id: a\r\n", b"a"),
        (b"x-request-id: A.b_c:d-9\r\n", b"A.b_c:d-9"),
        (b"X-Request-ID:a\t\r\n", b"a"),
        (b"X-REQUEST-ID: a\r\n", b"a"),
        (b"X-Request-Id: %b\r\n" % (b"a" * 128), b"a" * 128),
        (b"X-Request-Id: %b\r\n" % (b"a" * 129), b""),
        (b"X-Request-Id: a b\r\n", b""),
        (b"X-Request-Id: a,b\r\n", b""),
        (b"X-Request-Id: \xc3\xbc\r\n", b""),
        (b"X-Request-Id:\r\n", b""),
        (b"X-Request-Id: a\r\nX-Request-Id: b\r\n", b""),
        (b"X-Request-Id: a b\r\nX-Request-Id: b\r\n", b""),
        (b"X-REQUEST-ID: a\r\nX-Request-Id: a\r\n", b""),
        (b"X-Request-Identity: a\r\n", b""),
        (b"My-X-Request-Id: a\r\n", b""),
    ],
)
def test_which_id_a_client_has_given(line: bytes, wanted: bytes) -> None:
    assert id_of(HEAD % line) == wanted


@given(st.from_regex(rb"[A-Za-z0-9._:\-]{1,128}", fullmatch=True))
def test_the_rest_of_a_head_is_as_if_it_had_none(id_: bytes) -> None:
    assert taken_out(HEAD % (b"X-Request-Id: %b\r\n" % id_)) == (HEAD % b"", id_)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\nX-Request-Id: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\nX-A: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\rX-A: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\nX-Request-Id: a\r\nHost: h\r\n\r\n",
    ],
)
def test_a_malformed_head_stays_malformed(head: bytes) -> None:
    with pytest.raises(MalformedRequest):
        id_of(head)


@pytest.mark.parametrize("name", [b"X-Request-Id", b"x-request-id"])
def test_an_echo_is_taken_out_of_an_answer(name: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\n"
    assert without_echo(answer % (name + b": ab1\r\n"), b"ab1") == answer % b""


@pytest.mark.parametrize("line", [b"X-Request-Id: ab12\r\n", b"X-Request-Id: xab1\r\n", b"X-Other-Nm1: ab1\r\n", b""])
def test_what_is_no_echo_stays(line: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\n" % line
    assert without_echo(answer, b"ab1") == answer


def test_an_echo_is_found_behind_what_is_like_it() -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-A: 200\r\nX-Request-Id: 200\r\n\r\n"
    assert without_echo(answer, b"200") == b"HTTP/1.1 200 OK\r\nX-A: 200\r\n\r\n"


def test_the_id_of_a_model_server_keeps_its_value() -> None:
    assert as_theirs(b"x-request-id: req_7") == b"X-Upstream-Request-Id: req_7"
