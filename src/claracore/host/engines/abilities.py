"""What can an engine do, going by what it prints?

Pure text in, values out; who runs the binary is find.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from claracore.core.fit.flags import SAVED_CHECKPOINTS
from claracore.host.engines.states import MARK

ROUTER_FLAG = "--models-dir"
"""A llama-server that has this can be a router, so it may know how to be a router's child."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What is known of an engine's binary."""

    flags: frozenset[str] = frozenset()
    tells_state: bool = False
    """Whether it tells on stdout how far it has loaded, as the child of llama.cpp's router does."""


INDENT = re.compile(r" {0,12}")
"""Old builds indent long flags that have no short form; descriptions start at column 24 or later."""

FLAG = re.compile(r"-{1,2}[A-Za-z][A-Za-z0-9-]*")
SEPARATOR = re.compile(r"(?: [^ ,]+)?, *(?=-)")
"""Old builds name the argument after each form: `-c N, --ctx-size N`."""

DRAFTING = re.compile(r" {0,12}(--spec-type) +(\[?[a-z0-9-]+(?:[,|][a-z0-9-]+)+\]?)")
"""The one flag whose values decide what may be written."""

BUILD = re.compile(r"(?:build )?(\d{3,})\b")
CHECKPOINTS_SINCE = 11549
"""The first build that was seen to keep checkpoints in the files of saved slots; b11434 was seen not to."""

VERSION = re.compile(r"^version:\s*(?P<version>.+)$", re.MULTILINE)


def flags(help_text: str) -> frozenset[str]:
    """Return every flag that llama-server's help defines, short and long forms.

    A definition is a comma-separated list of flags at the start of a line; what a description mentions is far indented
    (llama.cpp common/arg.cpp, `common_arg::to_string`).
    """
    found: set[str] = set()
    for line in help_text.splitlines():
        found.update(defined_in(line))
    return frozenset(found)


def drafting_kinds(help_text: str) -> frozenset[str]:
    """Return what llama-server's help lists as values of `--spec-type`, each as a word of its own behind the flag."""
    found = next(filter(None, map(DRAFTING.match, help_text.splitlines())), None)
    return frozenset(f"{found[1]} {kind}" for kind in re.findall(r"[a-z0-9-]+", found[2])) if found else frozenset()


def saved_checkpoints(version: str) -> frozenset[str]:
    """Return whether a llama-server of this version brings sliding windows back from saved slots, as `flags` do."""
    build = BUILD.search(version)
    return frozenset({SAVED_CHECKPOINTS} if build is not None and int(build[1]) >= CHECKPOINTS_SINCE else ())


def defined_in(line: str) -> list[str]:
    """Return the flags that a line of help defines; none for a line of description."""
    names = []
    indent = INDENT.match(line)
    position = indent.end() if indent is not None else 0
    while match := FLAG.match(line, position):
        names.append(match.group())
        separator = SEPARATOR.match(line, match.end())
        if separator is None:
            break
        position = separator.end()
    return names


def version(output: str) -> str:
    """Return what --version says after `version:`, or its first line; empty for silence."""
    match = VERSION.search(output)
    if match is not None:
        return match["version"].strip()
    return next((line.strip() for line in output.splitlines() if line.strip()), "")


def tells_state(output: str) -> bool:
    """Whether one of these lines is a report of llama-server's state to its router."""
    return any(line.startswith(MARK) for line in output.splitlines())
