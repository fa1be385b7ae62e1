from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.errors import BadRequest
from claracore.http.wire.json_spans import DuplicateKey, Span, outermost, spans_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def test_members_and_items_by_position() -> None:
    body = b' { "a" : 1 , "b":[ true,{} ]} '
    assert outermost(body) == (1, len(body) - 1)
    spans = spans_of(body, 1, len(body) - 1)
    assert spans["a"] == Span(body.index(b'"a"'), body.index(b"1"), body.index(b"1") + 1)
    assert spans["b"] == Span(body.index(b'"b"'), body.index(b"["), body.index(b"]") + 1)
    inside = spans_of(body, *spans["b"][1:])
    assert {key: body[span.start : span.end] for key, span in inside.items()} == {"0": b"true", "1": b"{}"}


@given(st.dictionaries(st.text(), JSON) | st.lists(JSON), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_every_value_is_where_its_span_says(value: object, indent: int | str | None, ascii_only: bool) -> None:  # noqa: FBT001 - given
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    spans = spans_of(body, *outermost(body))
    read = json.loads(body)
    expected = list(read.values()) if isinstance(read, dict) else read
    assert [json.loads(body[span.start : span.end]) for span in spans.values()] == expected


def test_what_cannot_be_edited() -> None:
    with pytest.raises(DuplicateKey):
        spans_of(b'{"a":1,"a":2}', 0, 13)
    with pytest.raises(BadRequest, match="UTF-8"):
        spans_of(b'{"\xff":1}', 0, 7)
