"""What may stand in a configuration file, as a JSON schema and as a page to read?

Both are made from the declarations in model.py and routing.py, so they cannot disagree with the loader.
"""

from __future__ import annotations

import copy
from typing import Any

from claracore.core.config.fields import Section, mark
from claracore.core.config.model import Config
from claracore.core.config.routing import RouterSettings
from claracore.core.config.typed import OLD_SPELLINGS, section_in

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MARKS = ("default_text", "later", "deprecated", "secret", "internal")
MACRO_TEXT = {"type": "string", "pattern": r"^\$\{[A-Za-z0-9_.-]+\}$"}
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
}
INTRODUCTION = """\
# Configuration

<!-- Made from src/claracore/config by `claracore config schema --markdown`; a test keeps it up to date. -->

ClaraCore reads one YAML file: `--config FILE`, else `./config.yaml`, else
[the user's own](setup.md#where-things-are-kept). Files of llama-swap and of the first ClaraCore load as they are
([what is different](llama-swap.md)). `claracore config check` tells what is wrong with a file, with line and column;
`claracore config show` prints what it means once macros and defaults are in place; `claracore config
schema` prints a JSON schema for editors:

```yaml
# yaml-language-server: $schema=./config.schema.json
models:
  qwen:
    cmd: llama-server --port ${PORT} -m /models/qwen3-8b.gguf
    ttl: 10m
```

**Durations** are seconds (`30`) or text (`30s`, `5m`, `1h30m`, `250ms`). A key with no value is unset. Keys that start
with `x-` are ignored everywhere; other unknown keys are a warning when serving and an error for `config check`
and `--strict`.

**Macros.** `${name}` is replaced in every value by what `macros` declares, at the top or in a model (which overrides).
A macro may use those declared before it; a value that is exactly one macro keeps the macro's type. `${MODEL_ID}` is the
model's key. `${env.NAME}` is an environment variable. `${PORT}` (a port of the range), `${SOCKET}` (a Unix socket, with
`transport: unix`) and, in `cmdStop`, `${PID}` are known when the model starts and may stand in `cmd`, `cmdStop`,
`proxy`, `env` and `checkEndpoint`. In `name`, `description`, `aliases`, `useModelName` and `filters`, `${PORT}` is the
port that is planned.

**Commands** (`cmd`, `cmdStop`) are split with the quotes and backslashes of POSIX and run without a shell. What only a
shell understands gets a warning with the way out: `NAME=value server` (`env:`), `$HOME` and `~` (`${env.HOME}`, or the
whole path), `&&`, `|` and `>` (the output is kept; see `claracore logs`). So does what leaves the server running and
returns: `docker run -d`, `setsid`, `tmux new -d`, `systemctl start` and the like. The script of a `sh -c '...'` may
say what it likes.

**A server that says nothing** may be at work: before the first byte of an answer that is not streamed, a long prompt
on a slow machine takes an hour. So there is no limit by default, but a look. When a request has had no byte for 10
minutes, the server is asked for its `checkEndpoint`, and the processor time of its processes is read, for 30 s. Any
answer, or 1 % of one core, and the request waits on until the next look. Neither, and it ends with 504, so that a
server that hangs does not keep other models from being loaded for ever. `timeouts.responseHeader` sets a limit for the
head of the answer instead (`5m`), or none, without any look (`0`).

Options marked *later* load and are checked, but nothing acts on them yet.
"""


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (2020-12) of a configuration file. Keys are spelled as in the file."""
    schema = Config.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    for part in (schema, *definitions.values()):
        _tidy(part)
    schema = {
        "$schema": DIALECT,
        "title": "ClaraCore configuration",
        **{k: v for k, v in schema.items() if k != "title"},
    }
    return copy.deepcopy(schema)


def _tidy(part: dict[str, Any]) -> None:
    """Say what the loader accepts beyond the declared type: no value, a macro, `x-` keys, old spellings."""
    properties = part.get("properties")
    if properties is None:
        return
    for name, value in list(properties.items()):
        if value.get("internal"):
            del properties[name]
            continue
        properties[name] = _value(value)
    for old, new in OLD_SPELLINGS.items():
        if new in properties:
            properties[old] = {**properties[new], "deprecated": True, "description": f"Old spelling of {new}."}
    part.pop("required", None)
    part["patternProperties"] = {"^x-": {}}
    part["additionalProperties"] = False
    part.pop("title", None)


def _value(value: dict[str, Any]) -> dict[str, Any]:
    documented: dict[str, Any] = {key: value.pop(key) for key in ("description", "default") if key in value}
    deprecated = value.pop("deprecated", False)
    if value.pop("later", False):
        documented["description"] = f"{documented.get('description', '')} (Later: nothing acts on it yet.)"
    default_text = value.pop("default_text", None)
    if default_text:
        documented.pop("default", None)
        documented["description"] = f"{documented['description']} Default: {default_text}."
    value = {key: inner for key, inner in value.items() if key not in {*MARKS, "title"}}
    choices = value.pop("anyOf", None) or [value]
    kinds = [*map(_also_numbers, choices)]
    if not any(choice.get("type") == "null" for choice in choices):
        kinds.append({"type": "null"})
    if any(choice.get("type") in {"integer", "number", "boolean"} or "enum" in choice for choice in choices):
        kinds.append(MACRO_TEXT)
    if any(choice.get("type") == "string" and len(choice) == 1 for choice in choices):
        kinds.append({"type": ["number", "boolean"]})
    return {**documented, **({"deprecated": True} if deprecated else {}), "anyOf": kinds}


def _also_numbers(choice: dict[str, Any]) -> dict[str, Any]:
    """Accept numbers in a list of texts, as the loader does."""
    if choice.get("items") == {"type": "string"}:
        return {**choice, "items": {"type": ["string", "number", "boolean"]}}
    return choice


def reference_page() -> str:
    """Return docs/configuration.md: every option with its type, default and meaning."""
    parts = [INTRODUCTION, *_tables(Config, "", "Top level")]
    return "\n".join(parts).rstrip() + "\n"


def _tables(section: type[Section], prefix: str, title: str) -> list[str]:
    """Return the table of a section, and then those of the sections in it."""
    schema = section.model_json_schema(by_alias=True)["properties"]
    lines = [f"## {title}", "", section.__doc__ or "", "", "| key | type | default | meaning |", "|---|---|---|---|"]
    inner: list[str] = []
    for name, info in section.model_fields.items():
        if mark(info, "internal"):
            continue
        key = info.alias or name
        below, many = section_in(info.annotation)
        meaning = f"{'*later* ' if mark(info, 'later') else ''}{info.description}"
        default = mark(info, "default_text") or _default(info.get_default(call_default_factory=True, validated_data={}))
        kind = "section" if below and not many else "sections by name" if below else _type(schema[key])
        lines.append(f"| `{prefix}{key}` | {kind} | {default} | {_cell(meaning)} |")
        if below is not None and (section is not RouterSettings or name == "memory"):
            path = f"{prefix}{key}.{'NAME.' if many else ''}"
            inner += _tables(below, path, f"`{path[:-1]}`")
    return [*lines, "", *inner]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(value: Any) -> str:  # noqa: ANN401 - a default of any type
    match value:
        case Section() | None | "" | () | {}:
            return ""
        case bool():
            return "`true`" if value else "`false`"
        case float():
            return f"`{value:g}`"
        case tuple():
            return _cell(", ".join(f"`{item}`" for item in value))
        case _:
            return f"`{value}`"


def _type(schema: dict[str, Any]) -> str:
    choices = [choice for choice in schema.get("anyOf", [schema]) if choice.get("type") != "null"]
    if "pattern" in choices[-1]:
        return "duration"
    words: list[str] = []
    for choice in choices:
        if "enum" in choice or "const" in choice:
            words.append(", ".join(map(str, choice.get("enum", [choice.get("const")]))))
        elif choice.get("type") == "array":
            words.append("list")
        else:
            words.append(TYPES.get(choice.get("type", ""), "mapping"))
    return " or ".join(dict.fromkeys(words))
