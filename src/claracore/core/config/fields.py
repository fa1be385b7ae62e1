"""Which kinds of value does a configuration file hold, beyond what pydantic knows?

Durations (`durations.py`), sizes of memory (`sizes.py`), lists of names that may be written as one comma-separated
text, and the base of all sections. The options themselves are in model.py and routing.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from annotated_types import Ge
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.fields import FieldInfo

from claracore.core.config.durations import DURATION_PATTERN, parse_seconds
from claracore.core.config.sizes import LEAST_BARE, SIZE_PATTERN, parse_bytes


def names_of(value: object) -> object:
    """Split a comma-separated text into sorted, distinct names; leave lists as they are."""
    if isinstance(value, str):
        return sorted({name.strip() for name in value.split(",")} - {""})
    return value


def header_names_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of headers without spaces around them, each once whatever its case."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name.strip().lower(), name.strip())
    found.pop("", None)
    return tuple(found.values())


_SECONDS_SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": DURATION_PATTERN}]}
_NOT_NEGATIVE_SCHEMA = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": DURATION_PATTERN}]}
_NAMES_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

Seconds = Annotated[float, Ge(0), BeforeValidator(parse_seconds), WithJsonSchema(_NOT_NEGATIVE_SCHEMA)]
SecondsOrUnset = Annotated[
    Annotated[float, Ge(0)] | None, BeforeValidator(parse_seconds), WithJsonSchema(_NOT_NEGATIVE_SCHEMA)
]
SecondsOrInherit = Annotated[float, BeforeValidator(parse_seconds), WithJsonSchema(_SECONDS_SCHEMA)]
_BYTES_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": SIZE_PATTERN},
        {"type": "integer", "enum": [0]},
        {"type": "integer", "minimum": LEAST_BARE},
    ]
}
Bytes = Annotated[int, BeforeValidator(parse_bytes), WithJsonSchema(_BYTES_SCHEMA)]
Place = Annotated[
    Literal["memory", "disk", "off"],
    BeforeValidator(lambda value: "off" if value is False else value),
    WithJsonSchema({"enum": ["memory", "disk", "off", False]}),
]
"""A bare `off` is false to YAML 1.1, by whose rules editors write."""
HeaderNames = Annotated[tuple[str, ...], AfterValidator(header_names_of)]
Names = Annotated[tuple[str, ...], BeforeValidator(names_of), WithJsonSchema(_NAMES_SCHEMA)]


class Section(BaseModel):
    """Base of every mapping in the file: frozen, keys spelled as in the file, `key:` with no value means unset."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_unset(cls, data: object) -> object:
        if isinstance(data, dict) and None in data.values():
            return {key: value for key, value in data.items() if value is not None}
        return data


def option(
    default: Any,  # noqa: ANN401 - the declared type of the field is checked where it stands
    doc: str,
    *,
    key: str | None = None,
    default_text: str | None = None,
    later: bool = False,
    deprecated: bool = False,
    secret: bool = False,
    internal: bool = False,
    ge: float | None = None,
    le: float | None = None,
) -> Any:  # noqa: ANN401 - as pydantic's own Field
    """Declare one option: its default, what it means, its `key` in the file.

    `default_text` is shown in place of the default when the real one is taken from elsewhere. `later`: loads, but
    nothing acts on it yet. `internal`: filled in by the loader and not a key of the file.
    """
    extra: dict[str, str | bool | None] = {
        "default_text": default_text,
        "later": later,
        "deprecated": deprecated,
        "secret": secret,
        "internal": internal,
    }
    marks: dict[str, Any] = {name: value for name, value in extra.items() if value}
    if callable(default):
        field = Field(default_factory=default, alias=key, description=doc, json_schema_extra=marks, ge=ge, le=le)
    else:
        field = Field(default=default, alias=key, description=doc, json_schema_extra=marks, ge=ge, le=le)
    return cast("FieldInfo", field)


def mark(field: FieldInfo, name: str) -> Any:  # noqa: ANN401 - marks are text or bool
    """Return what `option` noted about `field` under `name`, or None."""
    extra = field.json_schema_extra
    return extra.get(name) if isinstance(extra, dict) else None
