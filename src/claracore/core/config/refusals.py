"""How is a value that pydantic refuses told to a person: what was found, and what would be right?"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from claracore.core.config.report import NodePath, Report, node_at
from claracore.core.config.tree import Node

SECRET_KEYS = frozenset({"apiKey", "apiKeys"})
EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number that is not infinite",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping, lines such as `key: value`",
    "model_type": "a mapping, lines such as `key: value`",
    "none_required": "nothing",
}


def tell(error: ValidationError, node: Node, path: NodePath, report: Report) -> None:
    """Report every problem in `error`, which is about the value at `node` and `path`."""
    for problem in error.errors(include_url=False):
        inner: NodePath = tuple(part for part in problem["loc"] if part != "[key]")
        whole = (*path, *inner)
        if report.has_error(whole):
            continue
        found = "a secret" if SECRET_KEYS & set(map(str, whole)) else shown(problem["input"])
        report.error(f"found {found}", whole, node_at(node, inner), f"expected {expected(problem)}")


def expected(problem: ErrorDetails) -> str:
    """Return what would be right in the place of the problem."""
    kind, context = problem["type"], problem.get("ctx", {})
    match kind:
        case "greater_than_equal":
            return f"at least {_number(context['ge'])}"
        case "less_than_equal":
            return f"at most {_number(context['le'])}"
        case "literal_error":
            return f"one of {context['expected']}"
        case "value_error":
            return str(context["error"]).removeprefix("expected ")
        case _:
            return EXPECTED.get(kind, problem["msg"])


def _number(value: Any) -> str:  # noqa: ANN401 - pydantic's context is untyped
    return f"{value:g}" if isinstance(value, float) else str(value)


def shown(value: object) -> str:
    """Write a found value briefly."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case str():
            return repr(value if len(value) <= 60 else value[:57] + "...")
        case _:
            return str(value)[:60]
