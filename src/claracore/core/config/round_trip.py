"""How is YAML written so that comments, order and quoting of what is already there stay?

Everything that needs ruamel.yaml; `edit` decides when.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import LiteralScalarString

from claracore.core.config.tree import mask, unmask

_WIDEST = 1_000_000


def written(key: str, value: object) -> list[str]:
    """Return the lines of `key: value` in block style."""
    return dumped({key: styled(value)}).rstrip("\n").split("\n")


def in_flow(value: Sequence[object]) -> str:
    """Return a list in one line."""
    yaml = _yaml()
    yaml.default_flow_style = True
    out = io.StringIO()
    yaml.dump(list(value), out)
    return out.getvalue().strip()


def styled(value: Any) -> Any:  # noqa: ANN401 - plain data
    """Write texts of several lines as blocks."""
    match value:
        case Mapping():
            return {key: styled(child) for key, child in value.items()}
        case list() | tuple():
            return [styled(child) for child in value]
        case str() if "\n" in value.strip("\n") and not value[0].isspace():
            return LiteralScalarString(value)
        case _:
            return value


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = _WIDEST
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def dumped(data: Any) -> str:  # noqa: ANN401 - plain data
    """Return data as YAML."""
    out = io.StringIO()
    _yaml().dump(data, out)
    return out.getvalue()


def round_trip(text: str, change: Callable[[Any], None]) -> str:
    """Return a text with a change made to what it says. Raises ValueError for what ruamel cannot read or write."""
    yaml = _yaml()
    yaml.composer.warn_double_anchors = False
    try:
        data = yaml.load(mask(text))
        change(data)
        return unmask(dumped(data), text)
    except YAMLError as error:
        raise ValueError(str(error)) from error
