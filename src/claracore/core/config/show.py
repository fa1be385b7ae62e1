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

from claracore.core.config.fields import Section, mark
from claracore.core.config.load import LoadedConfig
from claracore.core.config.model import DEFAULT_GROUP, Config
from claracore.core.config.report import Path, dotted, node_at
from claracore.core.config.scalars import value_of
from claracore.core.config.tree import Branch, Leaf

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
class Row:
    """One effective value and where it comes from: a place, another option, or `default`."""

    path: Path
    value: Any
    origin: str

    @property
    def name(self) -> str:
        """The path as dotted text."""
        return dotted(self.path)


def rows(loaded: LoadedConfig, config: Config, *, env: Mapping[str, str], defaults: bool = False) -> list[Row]:
    """Return the effective values in the order of the declarations; those left at their default only if asked."""
    hidden = [value for name, value in env.items() if SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET]
    found = _Rows(loaded.root, sorted(hidden, key=len, reverse=True))
    return [row for row in found.section(config, ()) if defaults or row.origin != "default"]


def as_yaml(shown: list[Row]) -> str:
    """Write rows as YAML with the origin of each value in a comment."""
    lines: list[str] = []
    above: Path = ()
    for row in shown:
        shared = 0
        while shared < min(len(above), len(row.path) - 1) and above[shared] == row.path[shared]:
            shared += 1
        lines += [f"{'  ' * level}{_key(row.path[level])}:" for level in range(shared, len(row.path) - 1)]
        above = row.path[:-1]
        lines.append(_line(row, "  " * len(above)))
    return "\n".join(lines) + "\n" if lines else "{}\n"


def as_json(shown: list[Row]) -> str:
    """Write rows as a JSON list of {path, value, origin}."""
    return json.dumps([{"path": row.name, "value": row.value, "origin": row.origin} for row in shown], indent=2)


def _key(part: str | int) -> str:
    text = str(part)
    return text if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text) else json.dumps(text, ensure_ascii=False)


def _line(row: Row, indent: str) -> str:
    key = _key(row.path[-1])
    if (
        isinstance(row.value, str)
        and "\n" in row.value.strip()
        and row.value[:1].strip()
        and row.value.isprintable() is False
    ):
        body = row.value.rstrip("\n").replace("\n", f"\n{indent}  ")
        return f"{indent}{key}: |  # {row.origin}\n{indent}  {body}"
    return f"{indent}{key}: {json.dumps(row.value, ensure_ascii=False)}  # {row.origin}"


class _Rows:
    def __init__(self, root: Branch, hidden: list[str]) -> None:
        self.root = root
        self.hidden = hidden

    def section(self, section: Section, path: Path) -> Iterator[Row]:
        for name, info in type(section).model_fields.items():
            if mark(info, "internal") or name == "macros":
                continue
            here = (*path, info.alias or name)
            value = getattr(section, name)
            if isinstance(value, Section):
                yield from self.section(value, here)
            elif isinstance(value, dict) and value and isinstance(next(iter(value.values())), Section):
                for key, inner in value.items():
                    yield from self.section(inner, (*here, key))
            else:
                unset = value == info.get_default(call_default_factory=True, validated_data={})
                yield Row(here, self.masked(here, value), self.origin(here, unset=unset))

    def origin(self, path: Path, *, unset: bool) -> str:
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

    def place(self, path: Path) -> str:
        above = node_at(self.root, path[:-1])
        if isinstance(above, Branch) and self.reaches(path[:-1]) and path[-1] in above.entries:
            node = above.entries[str(path[-1])][1]
            empty = isinstance(node, Leaf) and value_of(node, node.text) is None
            return "" if empty else f"{node.place.file}:{node.place.line}"
        return ""

    def reaches(self, path: Path) -> bool:
        """Tell whether the file has every part of `path`."""
        node: Any = self.root
        for part in path:
            if not isinstance(node, Branch) or part not in node.entries:
                return False
            node = node.entries[str(part)][1]
        return True

    def masked(self, path: Path, value: Any) -> Any:  # noqa: ANN401 - any value of the configuration
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
