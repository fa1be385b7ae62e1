"""Finding the model in every kind of body."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.errors import BadRequest
from claracore.host.activity.answer_ends import AnswerEnds
from claracore.http.gateway.asked import Asked, asked_early, asked_in_query, reader_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1)


@given(st.dictionaries(st.text(), JSON), NAMES, st.booleans(), st.booleans())
def test_any_json(more: dict[str, object], name: str, stream: bool, ascii_only: bool) -> None:  # noqa: FBT001 - given
    body = {**more, "model": name, "stream": stream}
    text = json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert reader_of(b"application/json")(text) == Asked(name, stream)


@given(st.dictionaries(st.text(), JSON), NAMES, st.integers(min_value=0))
def test_early_is_never_wrong(more: dict[str, object], name: str, cut: int) -> None:
    text = json.dumps({"a": 1, **more, "model": name, "z": 1}).encode()
    early = asked_early(text[: cut % (len(text) + 1)], b"application/json")
    assert early is None or early.model == name
    whole = asked_early(text, b"application/json")
    assert whole is not None
    assert whole.model == name


@pytest.mark.parametrize(
    ("prefix", "asked"),
    [
        (b'{"model":"m","image":"AAAA', Asked("m", stream=False)),
        (b'{"stream":true,"model":"m","image":"AAAA', Asked("m", stream=True)),
        (b' {\n "messages" : [{"model":"x", "a":"]}\\""}] , "model" : "m" , "i', Asked("m", stream=False)),
        (b'{"model":"m', None),
        (b'{"model":"m"', None),
        (b'{"messages":[{"content":"AAAA', None),
        (b'{"model":5,"a":"AA', None),
        (b'["model","m",', None),
        (b"", None),
    ],
)
def test_early(prefix: bytes, asked: Asked | None) -> None:
    assert asked_early(prefix, b"application/json") == asked


MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n\x00\x01'
)


def test_early_in_multipart() -> None:
    assert asked_early(MULTIPART, b"multipart/form-data; boundary=b") == Asked("m", stream=False)
    assert asked_early(MULTIPART[:55], b"multipart/form-data; boundary=b") is None


def test_multipart() -> None:
    assert reader_of(b'multipart/form-data; boundary="b"')(MULTIPART + b"\r\n--b--") == Asked("m", stream=False)
    file_named_model = MULTIPART.replace(b'"model"', b'"model"; filename="x"')
    assert reader_of(b"multipart/form-data; boundary=b")(file_named_model) == Asked("", stream=False)
    with pytest.raises(BadRequest, match="more than once"):
        reader_of(b"multipart/form-data; boundary=b")(MULTIPART + b"\r\n" + MULTIPART)


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (b"model=m", Asked("m", stream=False)),
        (b"a=b&model=org%2Fm&stream=true", Asked("org/m", stream=True)),
        (b"model=a+b", Asked("a b", stream=False)),
        (b"", Asked("", stream=False)),
        (b"model=&stream=true", Asked("", stream=True)),
        (b"models=a", Asked("", stream=False)),
    ],
)
def test_query(query: bytes, asked: Asked) -> None:
    assert asked_in_query(query) == asked


@pytest.mark.parametrize("query", [b"model=a&model=b", b"\xff"])
def test_bad_query(query: bytes) -> None:
    with pytest.raises(BadRequest):
        asked_in_query(query)


@pytest.mark.parametrize(
    "value", [b"1", b" 7 ", b"-0", b"1.5", b"1e2", b"true", b"[]", b'["m"]', b"{}", b'{"model":"m"}']
)
@pytest.mark.parametrize("padding", [b"", b'"pad":"' + b"x" * 70_000 + b'",'], ids=["short", "long"])
def test_a_model_that_is_no_text_is_refused(value: bytes, padding: bytes) -> None:
    text = b"{" + padding + b'"model":' + value + b',"z":1}'
    assert asked_early(text, b"application/json") is None, "the whole body says what is wrong"
    with pytest.raises(BadRequest, match="'model' must be a string"):
        reader_of(b"application/json")(text)


def test_an_escaped_second_model_is_found() -> None:
    with pytest.raises(BadRequest, match="more than once"):
        reader_of(b"application/json")(b'{"model":"a","mod\\u0065l":"b"}')


@pytest.mark.parametrize("stream", [b"1", b'"true"', b"null", b"false", b"[true]"])
def test_only_true_is_a_stream(stream: bytes) -> None:
    assert reader_of(b"")(b'{"model":"m","stream":' + stream + b"}") == Asked("m", stream=False)


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([b'{"error":{"code":501,"message":"no \\"embeddings\\"","type":"x"}}'], 'no "embeddings"'),
        ([b'5e\r\n{"object":"error","message":"too long"}\r\n0\r\n\r\n'], "too long"),
        ([b'{"error":', b'"plain text"}'], "plain text"),
        ([b'{"detail":"Not Found"}'], "Not Found"),
        ([b'{"detail":[{"msg":"x"}]}'], ""),
        ([b"<html>Bad Gateway</html>"], ""),
        ([b'{"message":"cut'], ""),
        ([b'{"message":"' + b"a" * 9000 + b'"}'], "a" * 500),
        ([b'{"message":"half \\ud800 a pair"}'], "half ? a pair"),
        ([b'{"message":"the first"}', *[b"x" * 20_000] * 9], "the first"),
    ],
)
def test_what_an_error_says(pieces: list[bytes], error: str) -> None:
    ends = AnswerEnds(pieces[0])
    for piece in pieces[1:]:
        ends.see(piece)
    assert ends.error() == error


TOO_DEEP = b"[" * 5000 + b"]" * 5000
OBJECTS = [
    (b'{PAD"a":1,"a":2,"x":"\xff","model":"m"}', Asked("m", stream=False)),
    (b'{PAD"a":1,"a":2,"x":' + b"9" * 5000 + b',"model":"m"}', Asked("m", stream=False)),
    (b'{PAD"a":1,"a":2,"x":' + TOO_DEEP + b',"model":"m"}', "the JSON body is nested too deeply"),
    (b'{PAD"model":"a","mod\\u0065l":"b"}', "'model' is given more than once"),
    (b'{PAD"a":1,"a":2,"model":"a","model":"b"}', "'model' is given more than once"),
    (b'{PAD"mod\\u0065l":"b","stream":true} \n', Asked("b", stream=True)),
    (b' \n{PAD"model" : "b" , "stream" : true }', Asked("b", stream=True)),
    (b'{PAD"model":"x","n":{"model":"y"}}', Asked("x", stream=False)),
    (b'{PAD"model":"x","n":"\\"model\\""}', Asked("x", stream=False)),
    (b'{PAD"model":5}', "'model' must be a string"),
    (b'{PAD"model":[1]}', "'model' must be a string"),
    (b'{PAD"model":"\xff"}', "'model' is not valid UTF-8"),
    (b'{PAD"messages":[]}', Asked("", stream=False)),
    (b'{PAD"model":""}', Asked("", stream=False)),
    (b'[{PAD"model":"m"}]', "the body must be a JSON object: Expected `object`, got `array`"),
    (b'{PAD"model":"x"', "the body is not valid JSON: input data was truncated"),
]


@pytest.mark.parametrize("padding", [b"", b'"pad":"' + b"x" * 70_000 + b'",'], ids=["short", "long"])
@pytest.mark.parametrize("kind", [bytes, memoryview])
@pytest.mark.parametrize(("text", "expected"), OBJECTS, ids=range(len(OBJECTS)))
def test_short_and_long_bodies_say_the_same(
    text: bytes, expected: Asked | str, kind: type[bytes | memoryview], padding: bytes
) -> None:
    body = kind(text.replace(b"PAD", padding))
    if isinstance(expected, Asked):
        assert reader_of(b"application/json")(body) == expected
    else:
        with pytest.raises(BadRequest) as told:
            reader_of(b"application/json")(body)
        assert told.value.message.startswith(expected)
