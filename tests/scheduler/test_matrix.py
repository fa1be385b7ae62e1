from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from claracore.core.config.load import load
from claracore.core.config.matrix import BadExpression, Either, Expression, One, Together, read_sets
from claracore.core.scheduler.matrix import DEFAULT_COST, Matrix
from claracore.core.scheduler.policy import Situation
from claracore.core.scheduler.policy_from_config import policy_of

MODELS = list("abcdefg")


def rule(costs: dict[str, int] | None = None, **sets: str) -> Matrix:
    read = read_sets(sets, {}, MODELS)
    return Matrix(tuple(found for found in read.values() if not isinstance(found, BadExpression)), costs or {})


def evictees(its: Matrix, target: str, *running: str) -> str:
    return "".join(sorted(its.evictees(Situation(target, frozenset(running)))))


@pytest.mark.parametrize(
    ("text", "target", "running", "gone"),
    [
        ("a & b & c", "a", "bc", ""),
        ("a & b", "a", "bc", "c"),
        ("a | b", "a", "b", "b"),
        ("a & (b | c)", "a", "bc", "c"),
        ("(a | b) & (c | d)", "a", "bcd", "bd"),
        ("a & b", "c", "ab", "ab"),
        ("a & b", "a", "a", ""),
        ("a & b", "a", "", ""),
    ],
)
def test_what_is_in_no_common_expansion_goes(text: str, target: str, running: str, gone: str) -> None:
    assert evictees(rule(it=text), target, *running) == gone


def test_the_cheapest_expansion_is_taken() -> None:
    assert evictees(rule(it="a & (b | c)"), "a", "b", "c") == "c"
    assert evictees(rule({"b": 1, "c": 5}, it="a & (b | c)"), "a", "b", "c") == "b"


def test_among_equals_the_set_that_is_read_first_wins_and_included_sets_are_read_first() -> None:
    assert evictees(rule(one="a & b", two="a & c"), "a", "b", "c") == "c"
    assert evictees(rule(one="a & b | +two", two="a & c"), "a", "b", "c") == "b"


def test_a_model_in_no_set_runs_alone() -> None:
    assert evictees(rule(it="a & b"), "g", "a", "b") == "ab"


def test_a_model_that_is_no_longer_configured_goes() -> None:
    assert evictees(rule(it="a & b"), "a", "b", "removed") == "removed"


EXPRESSIONS = some.recursive(
    some.sampled_from(MODELS).map(One),
    lambda inner: some.lists(inner, min_size=2, max_size=3).flatmap(
        lambda parts: some.sampled_from([Together(tuple(parts)), Either(tuple(parts))])
    ),
    max_leaves=8,
)


def expansions(part: Expression) -> list[frozenset[str]]:
    match part:
        case One(model_id):
            return [frozenset({model_id})]
        case Either(parts):
            return [found for inner in parts for found in expansions(inner)]
        case Together(parts):
            return [frozenset().union(*those) for those in itertools.product(*map(expansions, parts))]


@given(
    some.lists(EXPRESSIONS, min_size=1, max_size=3),
    some.dictionaries(some.sampled_from(MODELS), some.integers(1, 4)),
    some.sampled_from(MODELS),
    some.frozensets(some.sampled_from([*MODELS, "removed"])),
)
def test_the_answer_is_that_of_listing_all_expansions(
    sets: list[Expression], costs: dict[str, int], target: str, running: frozenset[str]
) -> None:
    possible = [found for part in sets for found in expansions(part) if target in found]

    def cost(gone: frozenset[str]) -> int:
        return sum(costs.get(model, DEFAULT_COST) for model in gone)

    expected = min((running - found for found in possible), key=cost, default=running)
    assert Matrix(tuple(sets), costs).evictees(Situation(target, running)) == (
        frozenset() if target in running else expected
    )


@given(
    some.lists(EXPRESSIONS, min_size=1, max_size=3),
    some.sampled_from(MODELS),
    some.frozensets(some.sampled_from(MODELS), min_size=1),
)
def test_models_that_have_gone_do_not_change_the_choice(
    sets: list[Expression], target: str, running: frozenset[str]
) -> None:
    its = Matrix(tuple(sets))
    gone = its.evictees(Situation(target, running))
    for model in gone:
        assert its.evictees(Situation(target, running - {model})) == gone - {model}


def test_a_hundred_thousand_expansions_are_not_listed() -> None:
    names = [f"m{number}" for number in range(50)]
    text = " & ".join(f"({' | '.join(names[at : at + 10])})" for at in range(0, 50, 10))
    found = read_sets({"it": text}, {}, names)["it"]
    assert not isinstance(found, BadExpression)
    its = Matrix((found,))
    assert its.evictees(Situation("m0", frozenset({"m1", "m10", "m20", "m30", "m40"}))) == {"m1"}


def test_the_configuration_chooses_the_rule() -> None:
    text = """
models:
  a: {cmd: 'x --port ${PORT}'}
  org/b:1: {cmd: 'x --port ${PORT}'}
  c: {cmd: 'x --port ${PORT}'}
matrix:
  vars: {b: org/b:1}
  evict_costs: {b: 9}
  sets: {pair: a & (b | c)}
"""
    loaded = load(text, env={})
    assert loaded.findings == ()
    assert loaded.config is not None
    policy = policy_of(loaded.config)
    assert policy.rule.evictees(Situation("a", frozenset({"org/b:1", "c"}))) == {"c"}
    assert policy.rule.evictees(Situation("c", frozenset({"a", "org/b:1"}))) == {"org/b:1"}
