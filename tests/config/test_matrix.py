from __future__ import annotations

import pytest

from claracore.core.config.matrix import BadExpression, Either, Expression, One, Together, read_sets

MODELS = ["a", "b", "c", "org/x:1"]
VARS = {"X": "org/x:1"}
A, B, C, X = One("a"), One("b"), One("c"), One("org/x:1")


def read(text: str, **others: str) -> Expression | BadExpression:
    return read_sets({**others, "it": text}, VARS, MODELS)["it"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        ("X", X),
        ("a & b", Together((A, B))),
        ("a | b & c", Either((A, Together((B, C))))),
        ("(a | b) & c", Together((Either((A, B)), C))),
        ("a&b&c", Together((A, B, C))),
        (" ( ( a ) ) ", A),
        ("+pair | c", Either((Together((A, B)), C))),
    ],
)
def test_and_binds_tighter_than_or(text: str, expected: Expression) -> None:
    assert read(text, pair="a & b") == expected


def test_sets_may_be_included_before_they_are_declared() -> None:
    found = read_sets({"one": "+two & a", "two": "b | c"}, {}, MODELS)
    assert found["one"] == Together((Either((B, C)), A))


def test_includes_that_multiply_stay_small() -> None:
    sets = {"s0": "a & b"} | {f"s{n}": f"+s{n - 1} & +s{n - 1}" for n in range(1, 30)}
    assert not isinstance(read_sets(sets, {}, MODELS)["s29"], BadExpression)


def test_includes_that_go_too_deep_are_refused() -> None:
    sets = {f"s{n}": f"+s{n + 1}" for n in range(200)} | {"s200": "a"}
    assert isinstance(read_sets(sets, {}, MODELS)["s0"], BadExpression)
