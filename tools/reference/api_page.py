"""Which calls does the HTTP interface have: paths, scopes, fields of bodies and answers?"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from claracore.http.access.guard import is_open, right_for
from claracore.http.api.create import create_app
from reference.tables import table

Schema = Mapping[str, Any]

HEAD = """\
# API calls

<!-- Made from the OpenAPI description by tools/docs_reference.py; a test keeps it up to date. -->

Every call of `/openapi.json`, which a running ClaraCore shows at `/docs`. What does not fit into a schema is in
[the HTTP interface](../api.md).

*Scope* is what a key must have, where keys are needed: `inference`, `read`, `admin`, any of them, or no key at all.
Beside what stands at a call, every one may answer 400, 401, 403, 404, 405, 413 and 503: [errors](errors.md) has the
codes with causes and ways out. Fields in **bold** must be there.
"""
MODELS = "models: "


def description() -> dict[str, Any]:
    """Return the OpenAPI description, of models' calls too."""
    return create_app(()).openapi()


def page() -> str:
    """Return docs/reference/api-calls.md."""
    found = description()
    shapes = found["components"]["schemas"]
    by_tag: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            text = _call(method.upper(), path, operation, shapes)
            by_tag[operation["tags"][0]][text].append(f"`{method.upper()} {path}`")
    parts = [HEAD]
    for tag in sorted(by_tag, key=lambda tag: (not tag.startswith(MODELS), tag)):
        parts.append(f"\n## {_heading(tag)}\n")
        parts += [f"\n### {calls[0]}\n{_also(calls[1:])}{text}" for text, calls in by_tag[tag].items()]
    parts += ["\n## Shapes\n", *(_shape(name, shapes[name]) for name in sorted(_used("".join(parts))))]
    return "".join(_with_all_shapes(parts, shapes))


def _with_all_shapes(parts: list[str], shapes: Schema) -> list[str]:
    """Return the parts with the shapes that shapes name, and so on."""
    start = next(number for number, part in enumerate(parts) if part == "\n## Shapes\n")
    known: set[str] = set()
    named = _used("".join(parts))
    while named - known:
        known |= named
        named |= _used("".join(_shape(name, shapes[name]) for name in known))
    return [*parts[: start + 1], *(_shape(name, shapes[name]) for name in sorted(known))]


def _used(text: str) -> set[str]:
    return set(re.findall(r"\[(\w+)\]\(#shape-\w+\)", text))


def _heading(tag: str) -> str:
    return f"Models, as {tag.removeprefix(MODELS)} has them" if tag.startswith(MODELS) else tag[0].upper() + tag[1:]


def _call(method: str, path: str, operation: Schema, shapes: Schema) -> str:
    says = operation.get("description") or operation.get("summary", "")
    lines = [f"\n{_prose(says)}\n", f"\nScope: {_scope(method, path, operation)}."]
    answer = _answer(operation)
    lines.append(f" Answer: {answer}.\n" if answer else "\n")
    if rows := [*_parameters(operation), *_body(operation, shapes)]:
        lines.append("\n" + table(("field", "in", "type", "meaning"), rows))
    return "".join(lines)


def _also(calls: list[str]) -> str:
    return f"\nAlso {', '.join(calls)}.\n" if calls else ""


def _scope(method: str, path: str, operation: Schema) -> str:
    if operation["tags"][0].startswith(MODELS):
        return "`inference`"
    if is_open(method, path):
        return "none"
    right = right_for(method, path)
    return "any" if right is None else f"`{right.value}`"


def _parameters(operation: Schema) -> Iterator[tuple[str, str, str, str]]:
    for one in operation.get("parameters", ()):
        yield (
            _named(one["name"], required=one.get("required", False)),
            one["in"],
            _kind(one.get("schema", {})),
            _meaning({**one.get("schema", {}), **one}),
        )


def _body(operation: Schema, shapes: Schema) -> Iterator[tuple[str, str, str, str]]:
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        for schema in _alternatives(content.get("schema", {})):
            yield from _fields(_resolved(schema, shapes), "form" if "form" in media else "body")


def _answer(operation: Schema) -> str:
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            content = answer.get("content", {})
            for media, what in content.items():
                kind = _kind(what.get("schema", {}))
                return kind if kind != "anything" else f"`{media}`"
    return ""


def _fields(schema: Schema, where: str) -> Iterator[tuple[str, str, str, str]]:
    required = schema.get("required", ())
    for name, one in schema.get("properties", {}).items():
        yield _named(name, required=name in required), where, _kind(one), _meaning(one)


def _shape(name: str, schema: Schema) -> str:
    says = _prose(schema.get("description", ""))
    values = ", ".join(f"`{value}`" for value in schema.get("enum", ()))
    rows = [(field, kind, meaning) for field, _where, kind, meaning in _fields(schema, "")]
    fields = "\n" + table(("field", "type", "meaning"), rows) if rows else ""
    return (
        f"\n### Shape {name}\n" + (f"\n{says}\n" if says else "") + (f"\nOne of {values}.\n" if values else "") + fields
    )


def _resolved(schema: Schema, shapes: Schema) -> Schema:
    return shapes[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _alternatives(schema: Schema) -> list[Schema]:
    return [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]


def _named(name: str, *, required: bool) -> str:
    return f"**`{name}`**" if required else f"`{name}`"


def _kind(schema: Schema) -> str:
    """Return a type in words; a shape is a link to it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#shape-{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(_kind, schema[several])))
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if schema.get("items") else "list"
    inside = schema.get("additionalProperties")
    if schema.get("type") == "object" and isinstance(inside, dict):
        return f"by name: {_kind(inside)}"
    kind = schema.get("type", "anything")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _meaning(schema: Schema) -> str:
    says = " ".join(schema.get("description", "").split())
    default = schema.get("default")
    if default in (None, [], {}, ""):
        return says
    return f"{says} Default: `{default}`.".strip()


def _prose(text: str) -> str:
    """Return sentences as one line a paragraph; nothing in them is HTML."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n\n".join(part.replace("<", "&lt;") for part in paragraphs)
