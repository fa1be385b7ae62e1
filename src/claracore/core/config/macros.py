"""What is a value once its macros are in place?

`${name}` is a macro of the file, `${env.NAME}` an environment variable, `${MODEL_ID}` the model's key. `${PORT}` and
`${SOCKET}` stay as they are in a model, `${PID}` in its cmdStop: they are bound when the model starts (command.py). A
macro may use those declared before it. A value that is exactly one macro keeps the macro's type.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from claracore.core.config.command import open_quotation
from claracore.core.config.ranks import RANK_MACROS
from claracore.core.config.report import Hints, NodePath, Report
from claracore.core.config.scalars import Scalar, as_text, value_of
from claracore.core.config.tree import MappingNode, Node, ScalarNode, SequenceNode, Unreadable

Value = Scalar | list["Value"] | dict[str, "Value"]

USE = re.compile(r"\$\{([A-Za-z0-9_-]+)\}")
ENV_USE = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}")
FOR_A_SHELL = re.compile(r'["\\]')
NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
RESERVED = {"PID": "the process id", "PORT": "the port", "MODEL_ID": "the model's id"}
LATE = frozenset({"PORT", "SOCKET"})
LATE_IN = {
    "cmdStop": LATE | {"PID"},
    "cmd": LATE | RANK_MACROS,
    "rankCmd": frozenset({"PORT"}) | RANK_MACROS,
    "env": LATE | RANK_MACROS,
}
"""What is bound when a model starts, by the option in which it stands; in all others `LATE`."""
LONGEST_EXPANSION = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro as declared, environment variables in place, and where that is."""

    value: Scalar
    path: NodePath
    node: ScalarNode


@dataclass(frozen=True, slots=True)
class Scope:
    """The macros a value may use. `values` have the macros declared before them in place already."""

    declared: Mapping[str, Macro] = field(default_factory=dict)
    values: Mapping[str, Scalar] = field(default_factory=dict)
    model_id: str | None = None
    late: frozenset[str] = frozenset()
    in_command: bool = False
    """Whether the value is a command line, which is split by a shell's rules."""


@dataclass(slots=True)
class Expander:
    """Turns nodes into values. `env` is the environment; findings go to `report`."""

    env: Mapping[str, str]
    report: Report
    _produced: int = 0
    _blamed: set[tuple[NodePath, str]] = field(default_factory=set)

    def value(self, node: Node, scope: Scope, path: NodePath) -> Value:
        """Return the value of `node` with all macros in place."""
        if isinstance(node, ScalarNode):
            return self.scalar(node, scope, path)
        if isinstance(node, SequenceNode):
            return self._list(node, scope, path)
        return {key: self.value(child, scope, (*path, key)) for key, (_key, child) in node.entries.items()}

    def _list(self, node: SequenceNode, scope: Scope, path: NodePath) -> list[Value]:
        """Return the items; in `[${env.KEYS}]` the commas of a variable separate, as if it were written there."""
        values: list[Value] = []
        for index, item in enumerate(node.items):
            value = self.value(item, scope, (*path, index))
            several = node.flow and isinstance(item, ScalarNode) and item.plain and ENV_USE.search(item.text)
            if several and isinstance(value, str) and "," in value:
                values += [part.strip() for part in value.split(",") if part.strip()]
            else:
                values.append(value)
        return values

    def scalar(self, node: ScalarNode, scope: Scope, path: NodePath) -> Scalar:
        """Return the value of a scalar."""
        text = node.text
        if "${" not in text:
            return value_of(node, text)
        text = self._with_env(text, node, path, protected=scope.in_command and not node.escaped)
        whole = USE.fullmatch(text)
        if whole and whole[1] in scope.values:
            found = scope.values[whole[1]]
            return self._inside(whole[1], scope) if isinstance(found, str) else found
        return value_of(node, self.text(text, node, scope, path))

    def text(self, text: str, node: Node, scope: Scope, path: NodePath) -> str:
        """Return `text`, which stands at `node`, with macros in place (environment variables excepted)."""
        if "${" not in text:
            return text

        def replacement(match: re.Match[str]) -> str:
            name = match[1]
            if name in scope.values:
                return self._inside(name, scope)
            if name == "MODEL_ID" and scope.model_id is not None:
                return scope.model_id
            if name not in scope.late:
                self._unknown(name, scope, path, node)
            return match[0]

        return self._bounded(USE.sub(replacement, text), node)

    def scope(self, outer: Scope, node: Node | None, path: NodePath, model_id: str | None = None) -> Scope:
        """Return `outer` and the macros that `node` declares; an overridden one keeps its place in the order."""
        late = LATE if model_id is not None else frozenset()
        own = self._declared(node, path) if node is not None else {}
        if not own:
            return Scope(outer.declared, outer.values, model_id, late)
        if outer.declared.keys().isdisjoint(own):
            # Those behind all others change nothing before them: a thousand models with macros of their own need not
            # work out the thousand macros of the file each.
            values: ChainMap[str, Scalar] = ChainMap({}, cast("dict[str, Scalar]", outer.values))
            for name, macro in own.items():
                values[name] = self._with_earlier(macro, values)
            return Scope(ChainMap(own, cast("dict[str, Macro]", outer.declared)), values, model_id, late)
        declared = {**outer.declared, **own}
        again: dict[str, Scalar] = {}
        for name, macro in declared.items():
            again[name] = self._with_earlier(macro, again)
        return Scope(declared, again, model_id, late)

    def name_keys(self, root: MappingNode) -> MappingNode:
        """Return the tree with environment variables in place in its keys, where macros may not stand."""
        return self._keys_of(root, ())

    def _keys_of(self, mapping: MappingNode, path: NodePath) -> MappingNode:
        entries = {
            self._with_env(key, key_node, (*path, key)): (key_node, self._below(child, (*path, key)))
            for key, (key_node, child) in mapping.entries.items()
        }
        return replace(mapping, entries=entries)

    def _below(self, node: Node, path: NodePath) -> Node:
        match node:
            case MappingNode():
                return self._keys_of(node, path)
            case SequenceNode():
                return replace(node, items=[self._below(item, (*path, at)) for at, item in enumerate(node.items)])
            case _:
                return node

    def _declared(self, node: Node, path: NodePath) -> dict[str, Macro]:
        if not isinstance(node, MappingNode):
            if not (isinstance(node, ScalarNode) and node.plain and value_of(node, node.text) is None):
                self.report.error("found no mapping", path, node, "expected lines such as `name: value`")
            return {}
        macros: dict[str, Macro] = {}
        for name, (key, value) in node.entries.items():
            key_path = (*path, name)
            problem, way_out = _problem_with(name, value)
            if problem or not isinstance(value, ScalarNode):
                self.report.error(problem, key_path, value if NAME.fullmatch(name) else key, way_out)
                continue
            found = value_of(value, self._with_env(value.text, value, key_path))
            macros[name] = Macro(found, key_path, value)
        return macros

    def _with_earlier(self, macro: Macro, earlier: Mapping[str, Scalar]) -> Scalar:
        text = macro.value
        if not isinstance(text, str) or "${" not in text:
            return text
        whole = USE.fullmatch(text)
        if whole and whole[1] in earlier:
            return earlier[whole[1]]
        put = USE.sub(lambda match: as_text(earlier[match[1]]) if match[1] in earlier else match[0], text)
        return self._bounded(put, macro.node)

    def _with_env(self, text: str, node: ScalarNode, path: NodePath, *, protected: bool = False) -> str:
        """Return `text` with environment variables in place; `protected`: what splits a command takes them as they are.

        Text in double quotes is left alone, as llama-swap does: there a variable may bring quotes that count.
        """
        if "${env." not in text:
            return text

        def replacement(match: re.Match[str]) -> str:
            name = match[1]
            found = self.env.get(name)
            if found is None:
                way_out = self.report.hints.nearest(name, self.env.keys()) or f"set {name} before starting"
                self.report.error(f"environment variable {name!r} is not set", path, node, way_out)
                return ""
            if any(letter in found for letter in "\n\r\0"):
                message = f"environment variable {name!r} contains a line break or NUL"
                self.report.error(message, path, node, "give it a value of one line")
                return ""
            # In single quotes everything is as it is written.
            plain = not protected or open_quotation(match.string[: match.start()]) == "'"
            return found if plain else FOR_A_SHELL.sub(r"\\\g<0>", found)

        return ENV_USE.sub(replacement, text)

    def _inside(self, name: str, scope: Scope) -> str:
        """Return a macro's text. What it leaves open is bound late, or its declaration is to blame, once."""
        macro = scope.declared[name]

        def replacement(match: re.Match[str]) -> str:
            inner = match[1]
            if inner == "MODEL_ID" and scope.model_id is not None:
                return scope.model_id
            if inner not in scope.late and (macro.path, inner) not in self._blamed:
                self._blamed.add((macro.path, inner))
                message, way_out = _open_end(inner, scope, self.report.hints)
                self.report.error(message, macro.path, macro.node, way_out)
            return match[0]

        text = as_text(scope.values[name])
        return USE.sub(replacement, text) if "${" in text else text

    def _unknown(self, name: str, scope: Scope, path: NodePath, node: Node) -> None:
        if name == "PID":
            message, way_out = "${PID} is known in cmdStop only", "remove it here"
        elif name in RESERVED:
            message, way_out = f"${{{name}}} is known inside a model only", "remove it here"
        else:
            message = f"unknown macro ${{{name}}}"
            way_out = (
                self.report.hints.nearest(name, [*scope.values, *scope.late]) or f"declare {name!r} under `macros`"
            )
        self.report.error(message, path, node, way_out)

    def _bounded(self, text: str, node: Node) -> str:
        self._produced += len(text)
        if self._produced > LONGEST_EXPANSION:
            raise Unreadable(
                "macros multiply the text to more than can be read", node.place, "use fewer macros of macros"
            )
        return text


def late_in(key: str) -> frozenset[str]:
    """Return the macros that an option of a model may leave open until the model starts."""
    return LATE_IN.get(key, LATE)


def _problem_with(name: str, value: Node) -> tuple[str, str]:
    """Return what is wrong with a macro's declaration and what would be right; two empty texts if it is fine."""
    if not NAME.fullmatch(name):
        return f"{name[:80]!r} cannot name a macro", "use letters, digits, _ and -, fewer than 64"
    if name in RESERVED:
        return f"the name {name} is reserved: it stands for {RESERVED[name]}", "choose another name"
    if not isinstance(value, ScalarNode):
        return "found a list or mapping as the value of a macro", "use a text, a number, true or false"
    if f"${{{name}}}" in value.text:
        return f"macro {name!r} uses itself", "remove the reference"
    return "", ""


def _open_end(inner: str, scope: Scope, hints: Hints) -> tuple[str, str]:
    if inner in scope.declared:
        line = scope.declared[inner].node.place.line
        return f"uses ${{{inner}}}, which is declared after it in line {line}", f"move {inner!r} up"
    if inner in RESERVED:
        return f"uses ${{{inner}}}, which is not known where this macro is used", "use it inside models only"
    way_out = hints.nearest(inner, scope.values) or f"declare {inner!r} before it"
    return f"uses ${{{inner}}}, which is unknown", way_out
