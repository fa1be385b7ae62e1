"""Edits of the bytes: what is not edited keeps its bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.errors import BadRequest
from claracore.http.gateway.filters import Members, edited, keys_of, with_value, without
from claracore.http.gateway.targets import targets_of
from gateway.stand import config
from gateway.test_asked import JSON

KEYS = st.text(min_size=1).filter(lambda key: not key.isdigit())


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        ('{"a":1}', "a", 2, '{"a":2}'),
        ('{"a":1}', "b", 2, '{"a":1,"b":2}'),
        ("{}", "b", 2, '{"b":2}'),
        ("{ }", "b", 2, '{"b":2}'),
        ('{ "a" : 1.0 , "b":2e5 }', "b", "x", '{ "a" : 1.0 , "b":"x" }'),
        ('{"a":{"b":1,"c":2}}', "a.b", 9, '{"a":{"b":9,"c":2}}'),
        ('{"a":{"b":1}}', "a.c", 9, '{"a":{"b":1,"c":9}}'),
        ('{"a":1}', "b.c.d", 9, '{"a":1,"b":{"c":{"d":9}}}'),
        ('{"a":1}', "a.b", 9, '{"a":{"b":9}}'),
        ('{"a":{"b":1}}', "a", {"c": 1}, '{"a":{"c":1}}'),
        ('{"a":[1,2]}', "a.1", 9, '{"a":[1,9]}'),
        ('{"a":[1,2]}', "a.-1", 9, '{"a":[1,2,9]}'),
        ('{"a":[1,2]}', "a.7", 9, '{"a":[1,2]}'),
        ('{"a":[{"b":1}]}', "a.0.b", 9, '{"a":[{"b":9}]}'),
        ('{"a.b":1}', r"a\.b", 9, '{"a.b":9}'),
        ('{"\\u0061":1}', "a", 9, '{"\\u0061":9}'),
        ('\n{"a":1}\n', "b", None, '\n{"a":1,"b":null}\n'),
    ],
)
def test_set(before: str, path: str, value: object, after: str) -> None:
    assert with_value(before.encode(), keys_of(path), value).decode() == after


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [
        ('{"a":1}', "a", "{}"),
        ('{"a":1,"b":2}', "a", '{"b":2}'),
        ('{"a":1, "b":2}', "b", '{"a":1}'),
        ('{"a":1, "b":[1,{"x":"}"}] ,"c":3}', "b", '{"a":1, "c":3}'),
        ('{"a":{"b":1}}', "a.b", '{"a":{}}'),
        ('{"a":[1,2,3]}', "a.1", '{"a":[1,3]}'),
        ('{"a":1}', "b", '{"a":1}'),
        ('{"a":1}', "a.b", '{"a":1}'),
    ],
)
def test_strip(before: str, path: str, after: str) -> None:
    assert without(before.encode(), keys_of(path)).decode() == after


@given(st.dictionaries(KEYS, JSON, max_size=5), KEYS, JSON, st.sampled_from([None, 1, "\t"]))
def test_setting_any_key(body: dict[str, Any], key: str, value: object, indent: int | str | None) -> None:
    text = json.dumps(body, indent=indent).encode()
    assert json.loads(with_value(text, (key,), value)) == {**body, key: value}
    assert list(json.loads(with_value(text, (key,), value))) == list({**body, key: value})


@given(st.dictionaries(KEYS, JSON, min_size=1, max_size=5), st.data(), st.sampled_from([None, 2]))
def test_stripping_any_key(body: dict[str, Any], data: st.DataObject, indent: int | None) -> None:
    key = data.draw(st.sampled_from(sorted(body)))
    text = json.dumps(body, indent=indent).encode()
    assert json.loads(without(text, (key,))) == {name: value for name, value in body.items() if name != key}


@given(st.dictionaries(KEYS, JSON, max_size=5), KEYS)
def test_setting_what_is_there_changes_nothing_else(body: dict[str, Any], key: str) -> None:
    text = json.dumps({**body, key: 1, "end": 2}).encode()
    if key != "end":
        again = with_value(with_value(text, (key,), "changed"), (key,), 1)
        assert again == text


SHORT = st.sampled_from(["a", "b", "c", "d"])


@given(
    st.dictionaries(SHORT, st.dictionaries(SHORT, st.integers(), max_size=2) | st.lists(st.integers(), max_size=2)),
    st.lists(st.tuples(st.lists(SHORT, min_size=1, max_size=2), st.none() | st.integers())),
    st.sampled_from([None, 2]),
)
def test_many_edits_at_once_are_the_same_as_one_after_another(
    body: dict[str, Any], edits: list[tuple[list[str], int | None]], indent: int | None
) -> None:
    text = json.dumps(body, indent=indent).encode()
    at_once = Members(text)
    for keys, value in edits:
        if value is None:
            at_once.drop(tuple(keys))
            text = without(text, tuple(keys))
        else:
            at_once.put(tuple(keys), value)
            text = with_value(text, tuple(keys), value)
        assert at_once.text() == text


def test_a_key_given_twice_is_not_guessed_at() -> None:
    with pytest.raises(BadRequest, match="twice"):
        with_value(b'{"a":1,"b":2,"a":3}', ("b",), 1)


@pytest.mark.parametrize(
    ("body", "after"),
    [
        (
            b' {"a":1, "model" : "auto" ,"a":2, "b":{"model":"x"}} ',
            b' {"a":1, "model" : "m" ,"a":2, "b":{"model":"x"}} ',
        ),
        (b'{"a":{"model":"]}"},"a":["model", "}"],"x":"model","mod\\u0065l":"au\\"to"}', None),
        (b'{"a":"model","a":1.5e3,"model":null}', b'{"a":"model","a":1.5e3,"model":"m"}'),
        (b' {"a":1,"a":[{"model":"x"}]}', b' {"model":"m","a":1,"a":[{"model":"x"}]}'),
    ],
)
def test_the_model_alone_is_written_beside_a_key_given_twice(body: bytes, after: bytes | None) -> None:
    target = replace(targets_of(config(m={})).by_name["m"], use_model_name="m")
    assert edited(body, b"", target) == (after or body.replace(b'"au\\"to"', b'"m"'))


@given(st.dictionaries(st.text(), JSON), st.sampled_from([None, 2]))
def test_any_json_beside_a_key_given_twice(more: dict[str, Any], indent: int | None) -> None:
    target = replace(targets_of(config(m={})).by_name["m"], use_model_name="new")
    first = json.dumps({"twice": 1, **more, "model": "old"}, indent=indent)
    text = first[: first.rindex("}")] + ',"twice":{"model":"inner"}}'
    pairs = json.loads(text, object_pairs_hook=list)
    after = json.loads(edited(text.encode(), b"", target), object_pairs_hook=list)
    assert after == [[key, "new" if key == "model" else value] for key, value in pairs] or after == [
        (key, "new" if key == "model" else value) for key, value in pairs
    ]


def test_filters_do_not_guess_at_a_key_given_twice() -> None:
    target = targets_of(config(m={"filters": {"stripParams": "seed"}})).by_name["m"]
    with pytest.raises(BadRequest, match="twice"):
        edited(b'{"model":"m","a":1,"a":2}', b"", target)


def test_the_order_of_the_filters() -> None:
    targets = targets_of(
        config(
            m={
                "useModelName": "real",
                "filters": {
                    "stripParams": "temperature, seed, model",
                    "setParams": {"top_k": 1, "model": "no", "a.b": 2},
                    "setParamsByID": {"m:fast": {"top_k": 2, "seed": 5}},
                },
                "aliases": ["m:fast"],
            }
        )
    )
    body = b'{"model":"m", "temperature":1, "seed":3, "messages":[ ]}'
    assert edited(body, b"", targets.by_name["m"]) == (b'{"model":"real", "messages":[ ],"top_k":1,"a":{"b":2}}')
    assert edited(body, b"", targets.by_name["m:fast"]) == (
        b'{"model":"real", "messages":[ ],"top_k":2,"a":{"b":2},"seed":5}'
    )


def test_other_parts_of_a_form_keep_their_bytes() -> None:
    targets = targets_of(config(m={"useModelName": "real"}))
    before = b'--b\r\nContent-Disposition: form-data; name="file"; filename="m"\r\n\r\n\r\n\x00m\r\n--bx\r\n'
    after = b'\r\n--b\r\ncontent-disposition: form-data; NAME="model"\r\n\r\n%b\r\n--b--\r\nepilogue'
    assert edited(before + after % b"m", b"multipart/form-data; boundary=b", targets.by_name["m"]) == (
        before + after % b"real"
    )


def test_edits_are_frozen() -> None:
    target = targets_of(config(m={})).by_name["m"]
    assert not target.edits
    assert target.set_params == MappingProxyType({})
