"""Which changes of a model's configuration may make it start that did not, and how are they made?

Each changes what is written, so that comments and macros stay; none is made before a person has seen it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from claracore.core.fit.step_down import with_values
from claracore.core.gguf.names import SHARD_FILE
from claracore.core.gguf.quantization import names_in, without_quantization
from claracore.core.loading.failure_kinds import FailureKind
from claracore.core.units import gb
from claracore.errors import Conflict

MOST_FILES: Final = 2
"""Of other quantizations no more are offered."""
LEAST_CONTEXT: Final = 1024
USUAL_CONTEXT: Final = 8192
"""What is offered where the command leaves it to the model, whose longest may be far more than anybody needs."""
OF_A_FLAG: Final = frozenset({FailureKind.FLAG, FailureKind.VALUE, FailureKind.DEVICE})
VALUE: Final = r"(?:(?:[ \t]+|=)(?![-\s])(?:\"[^\"]*\"|'[^']*'|\S+))?"
"""What may follow a flag in a command."""
LONGEST_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change that a person may choose."""

    id: str
    label: str
    """A button's words."""
    words: str
    """What it brings and costs."""
    values: Mapping[str, int] = field(default_factory=dict)
    """Other values of flags, as `step_down.with_values` takes them."""
    without_flag: str = ""
    """A flag to take out of the command."""
    file: tuple[str, str] | None = None
    """A file's path, and the one to put in its place."""
    health_seconds: float | None = None
    """Another healthCheckTimeout."""


@dataclass(frozen=True, slots=True)
class FileBeside:
    """A model's file in the same folder."""

    path: str
    bytes: int


def less_memory(ways: Iterable[tuple[Mapping[str, int], str]], context: int | None) -> Iterator[Remedy]:
    """Yield remedies for a shortage of memory: what fits as it is counted, else half of the `context` in tokens.

    `ways` are other values of flags and what is less with them; `context` is None where the command says none.
    """
    found = list(ways)
    for values, change in found:
        in_ram = bool(values.keys() - {"context"})
        label = "Move a part to RAM" if in_ram else f"Context of {values['context']} tokens"
        words = f"{change[:1].upper()}{change[1:]}; {'slower' if in_ram else 'as fast as before'}"
        yield Remedy("ram" if in_ram else "context", label, words, values)
    if not found:
        less = USUAL_CONTEXT if not context else context // 2 // 256 * 256
        if less >= LEAST_CONTEXT:
            before = f"instead of {context}" if context else "instead of the model's longest"
            yield Remedy("context", f"Context of {less} tokens", f"{less} tokens {before}", {"context": less})


def other_files(path: str, beside: Iterable[FileBeside], *, smaller: bool) -> Iterator[Remedy]:
    """Yield other quantizations of the model at `path` that lie beside it, the largest first.

    `smaller`: only files that are; the model's own is among `beside`, unless it is not there.
    """
    files = list(beside)
    own, stem = next((file.bytes for file in files if file.path == path), None), _stem(path)
    fitting = [
        file
        for file in files
        if file.path != path and _stem(file.path) == stem and not (smaller and own and file.bytes >= own)
    ]
    for file in sorted(fitting, key=lambda each: -each.bytes)[:MOST_FILES]:
        name = PurePath(file.path).name
        quantization = next(iter(names_in(name)), name)
        size = gb(file.bytes, 2) + (f" instead of {gb(own, 2)}" if own else "")
        yield Remedy(f"file:{name}", f"Use {quantization}", f"{name}, {size}; it lies beside", file=(path, file.path))


def of_kind(kind: str, evidence: str, health_seconds: float) -> Iterator[Remedy]:
    """Yield remedies that follow from what a failure is, by the line that says so."""
    if kind in OF_A_FLAG and (flag := _flag_in(evidence)):
        yield Remedy("flag", f"Take {flag} out", f"The command without {flag}", without_flag=flag)
    if kind is FailureKind.TIME and 0 < health_seconds < LONGEST_SECONDS:
        more = min(LONGEST_SECONDS, 2 * health_seconds)
        yield Remedy("time", f"Give it {more:g} s", f"{more:g} s instead of {health_seconds:g} s", health_seconds=more)


def changed_command(cmd: str, remedy: Remedy) -> str:
    """Return a command, as it is written, with a remedy. Raises Conflict where it stands in another place."""
    if remedy.values:
        return with_values(cmd, remedy.values)
    if remedy.without_flag:
        changed = re.sub(rf"(?<!\S){re.escape(remedy.without_flag)}(?![\w-]){VALUE}[ \t]*", "", cmd)
    else:
        old, new = remedy.file or ("", "")
        changed = cmd.replace(old, new) if old else cmd
    if changed == cmd:
        raise Conflict("what is to change does not stand in the command itself, but in a macro: change it there")
    return changed


def _flag_in(evidence: str) -> str:
    found = re.search(r"(?<![^\s\"])(--?[A-Za-z][\w-]*)", evidence)
    return found[1] if found is not None else ""


def _stem(path: str) -> str:
    """Return what quantizations of one model have in common; shards are one model."""
    name = PurePath(path).name
    shard = SHARD_FILE.match(name)
    return without_quantization(shard["stem"] if shard is not None else PurePath(name).stem).lower()
