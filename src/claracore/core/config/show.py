"""What does the configuration mean once everything is in place, and where does each value come from?

Secrets are masked: keys of clients and peers, environment entries that are named like one, and what secret environment
variables put into a command line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from claracore.core.config.command import in_place
from claracore.core.config.fields import Section, mark
from claracore.core.config.load import LoadedConfig
from claracore.core.config.model import DEFAULT_GROUP, Config, ModelConfig
from claracore.core.config.report import NodePath, dotted, node_at
from claracore.core.config.scalars import value_of
from claracore.core.config.tree import MappingNode, ScalarNode
from claracore.types import Endpoint

MASK = "***"
SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS(WORD|WD)?$|CREDENTIAL", re.IGNORECASE)
SECRET_FLAG = re.compile(
    r"(--(?:api-key|hf-token|token|password)[\"']?(?:=|\s+))(\"[^\"]*\"|'[^']*'|\S+)|(-hft[\"']?\s+)(\S+)"
)
SHORTEST_SECRET = 6
INHERITED = {
    "ttl": "globalTTL",
    "unloadTimeout": "unloadTimeout",
    "healthCheckTimeout": "healthCheckTimeout",
    "sendLoadingState": "sendLoadingState",
}


@dataclass(frozen=True, slots=True)
class ShownOption:
    """One effective value and where it comes from: a place, another option, or `default`."""

    path: NodePath
    value: Any
    origin: str

    @property
    def name(self) -> str:
        """The path as dotted text."""
        return dotted(self.path)


def shown_options(
    loaded: LoadedConfig, config: Config, *, env: Mapping[str, str], defaults: bool = False
) -> list[ShownOption]:
    """Return the effective values in the order of the declarations; those left at their default only if asked."""
    hidden = [value for name, value in env.items() if SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET]
    found = _ShownOptions(loaded.root, sorted(hidden, key=len, reverse=True))
    return [option for option in found.section(config, ()) if defaults or option.origin != "default"]


def as_yaml(shown: list[ShownOption]) -> str:
    """Write options as YAML with the origin of each value in a comment."""
    lines: list[str] = []
    above: NodePath = ()
    for option in shown:
        shared = 0
        while shared < min(len(above), len(option.path) - 1) and above[shared] == option.path[shared]:
            shared += 1
        lines += [f"{'  ' * level}{_key(option.path[level])}:" for level in range(shared, len(option.path) - 1)]
        above = option.path[:-1]
        lines.append(_line(option, "  " * len(above)))
    return "\n".join(lines) + "\n" if lines else "{}\n"


def as_json(shown: list[ShownOption]) -> str:
    """Write options as a JSON list of {path, value, origin}."""
    return json.dumps(
        [{"path": option.name, "value": option.value, "origin": option.origin} for option in shown], indent=2
    )


def _key(part: str | int) -> str:
    text = str(part)
    return text if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text) else json.dumps(text, ensure_ascii=False)


def _line(option: ShownOption, indent: str) -> str:
    key = _key(option.path[-1])
    if (
        isinstance(option.value, str)
        and "\n" in option.value.strip()
        and option.value[:1].strip()
        and option.value.isprintable() is False
    ):
        body = option.value.rstrip("\n").replace("\n", f"\n{indent}  ")
        return f"{indent}{key}: |  # {option.origin}\n{indent}  {body}"
    return f"{indent}{key}: {json.dumps(option.value, ensure_ascii=False)}  # {option.origin}"


class _ShownOptions:
    def __init__(self, root: MappingNode, hidden: list[str]) -> None:
        self.root = root
        self.hidden = hidden

    def section(self, section: Section, path: NodePath) -> Iterator[ShownOption]:
        for name, info in type(section).model_fields.items():
            if mark(info, "internal") or name == "macros":
                continue
            key_path = (*path, info.alias or name)
            value = getattr(section, name)
            if isinstance(value, Section):
                yield from self.section(value, key_path)
            elif isinstance(value, dict) and value and isinstance(next(iter(value.values())), Section):
                for key, inner in value.items():
                    yield from self.section(inner, (*key_path, key))
            else:
                unset = value == info.get_default(call_default_factory=True, validated_data={})
                yield ShownOption(key_path, self.masked(key_path, value), self.origin(key_path, unset=unset))

    def origin(self, path: NodePath, *, unset: bool) -> str:
        """Tell where the file says it, whose value it takes, or that nobody said anything."""
        place = self.place(path)
        if place:
            return place
        if path[0] == "models" and len(path) == 3 and str(path[2]) in INHERITED:
            whole = INHERITED[str(path[2])]
            place = self.place((whole,))
            return f"{whole}, {place}" if place else "default"
        if unset or path[:2] == ("groups", DEFAULT_GROUP):
            return "default"
        return "worked out"

    def place(self, path: NodePath) -> str:
        above = node_at(self.root, path[:-1])
        if isinstance(above, MappingNode) and self.reaches(path[:-1]) and path[-1] in above.entries:
            node = above.entries[str(path[-1])][1]
            empty = isinstance(node, ScalarNode) and value_of(node, node.text) is None
            return "" if empty else f"{node.place.file}:{node.place.line}"
        return ""

    def reaches(self, path: NodePath) -> bool:
        """Tell whether the file itself has a value at `path`, not only above it."""
        node: Any = self.root
        for part in path:
            if not isinstance(node, MappingNode) or part not in node.entries:
                return False
            node = node.entries[str(part)][1]
        return True

    def masked(self, path: NodePath, value: Any) -> Any:  # noqa: ANN401 - any value of the configuration
        if path[-1] in {"apiKeys", "apiKey"}:
            return MASK if isinstance(value, str) else [MASK for _ in value or ()]
        if path[-1] == "env":
            return [self.text(_without_secret(entry)) for entry in value]
        return self.inside(value)

    def inside(self, value: Any) -> Any:  # noqa: ANN401 - any value of the configuration
        match value:
            case str():
                return self.text(value)
            case tuple() | list():
                return [self.inside(item) for item in value]
            case dict():
                return {key: self.inside(item) for key, item in value.items()}
            case _:
                return value

    def text(self, value: str) -> str:
        for secret in self.hidden:
            value = value.replace(secret, MASK)
        return SECRET_FLAG.sub(lambda match: f"{match[1] or match[3]}{MASK}", value)


def _without_secret(entry: str) -> str:
    name, equals, _value = entry.partition("=")
    return f"{name}={MASK}" if equals and SECRET_NAME.search(name) else entry


def shown_command(model: ModelConfig, endpoint: Endpoint | None = None) -> str:
    """Return the command with its secrets masked, and with the port or socket in place once it has one."""
    masked = SECRET_FLAG.sub(lambda found: f"{found[1] or found[3]}***", model.cmd)
    if endpoint is None:
        return masked
    return str(in_place(masked, port=endpoint.port or None, socket=endpoint.unix_path))
