from __future__ import annotations

from claracore.host.activity.captures import REDACTED, Captures


def test_bodies_are_kept_and_secrets_are_not() -> None:
    captures = Captures(1_000_000)
    lines = [b"Authorization: Bearer sk-1", b"Cookie: a=b", b"X-Api-Key:sk-2", b"Content-Type: application/json"]
    lines.append(b"Content-Length: 1")
    capture = captures.begin("POST", "/v1/x", lines)
    capture.request.add(b'{"a"')
    capture.request.add(b": 1}")
    capture.answered(200, [b"Content-Type: text/event-stream", b"Set-Cookie: s=1"], in_chunks=True)
    capture.response.add(b"data: 1\n\n")
    assert captures.keep(7, capture)
    found = captures.get(7)
    assert found is not None
    assert found.request.data == b'{"a": 1}'
    assert found.request_headers == [
        ("authorization", REDACTED),
        ("cookie", REDACTED),
        ("x-api-key", REDACTED),
        ("content-type", "application/json"),
    ]
    assert found.response_headers == [("content-type", "text/event-stream"), ("set-cookie", REDACTED)]
    assert not found.response.cut


def test_what_is_kept_is_bounded_each_and_together() -> None:
    captures = Captures(1000)
    for number in range(10):
        capture = captures.begin("POST", "/x", [])
        capture.request.add(b"x" * 10_000)
        assert (len(capture.request.data), capture.request.cut) == (250, True)
        assert captures.keep(number, capture)
    assert [number for number in range(10) if captures.get(number)] == [6, 7, 8, 9]
    captures.resize(300)
    assert captures.get(9) is not None
    assert captures.get(8) is None
    captures.resize(0)
    assert not captures.enabled
    assert captures.get(9) is None


def test_sounds_and_pictures_are_not_kept() -> None:
    captures = Captures(1000)
    capture = captures.begin("POST", "/x", [b"Content-Type: multipart/form-data; boundary=x"])
    capture.request.add(b"RIFF")
    capture.answered(200, [b"Content-Type: audio/wav"], in_chunks=False)
    capture.response.add(b"RIFF")
    assert (capture.request.data, capture.request.cut) == (b"", True)
    assert (capture.response.data, capture.response.cut) == (b"", True)
