from __future__ import annotations

import pytest

from claracore.http.wire.multipart import boundary_of, fields_of

BODY = (
    b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\nqwen\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n'
    b"--B\r\nX-Other: 1\r\n\r\n\r\n"
    b'--B\r\ncontent-disposition: form-data; name=a\\"b\r\n\r\n\xff\r\n--B--\r\n'
)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=B", b"B"),
        (b'multipart/form-data; charset=utf-8; BOUNDARY="a b"', b"a b"),
        (b"multipart/form-data", b""),
        (b"multipart/form-data; boundary=" + b"x" * 71, b"x" * 70),
        (b"multipart/form-data; xboundary=B", b""),
    ],
)
def test_boundary(content_type: bytes, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


def test_fields_are_found_where_they_lie() -> None:
    found = list(fields_of(BODY, b"B"))
    assert [(field.name, field.is_file, field.body) for field in found] == [
        ("model", False, b"qwen"),
        ("file", True, b""),
        ("", False, b""),
        ('a"b', False, b"\xff"),
    ]
    assert [BODY[field.start : field.end] for field in found] == [b"qwen", b"RIFF", b"", b"\xff"]


def test_of_an_incomplete_body_only_complete_fields_are_given() -> None:
    counts = [len(list(fields_of(BODY[:length], b"B"))) for length in range(len(BODY) + 1)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 4)


def test_what_stands_before_the_first_part_is_passed_over() -> None:
    assert next(fields_of(b"preamble\r\n" + BODY, b"B")).name == "model"
    assert list(fields_of(b"no parts", b"B")) == []
