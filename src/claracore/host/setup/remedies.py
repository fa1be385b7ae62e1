"""What can be changed so that a model starts that did not, and what is the configuration then? Blocking."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from claracore.core.config.command import split
from claracore.core.config.edit import put
from claracore.core.config.lines import LineEdit, value_at
from claracore.core.config.model import ModelConfig
from claracore.core.fit.model_paths import model_paths
from claracore.core.fit.server_flags import server_flags
from claracore.core.loading.failure_kinds import FailureKind
from claracore.core.loading.remedies import FileBeside, Remedy, changed_command, less_memory, of_kind, other_files
from claracore.errors import ClaraCoreError, Conflict
from claracore.host.supervisor.named_files import shards
from claracore.host.supervisor.ran_out import RanOutOfMemory

OF_ANOTHER_FILE = frozenset(
    {FailureKind.NO_FILE, FailureKind.CUT, FailureKind.SHARD, FailureKind.NOT_A_MODEL, FailureKind.OLD_ENGINE}
)
"""Another quantization that lies beside it may be whole, or known to the engine."""
MOST_BESIDE = 500


def remedies_of(model: ModelConfig, failure: ClaraCoreError) -> list[Remedy]:
    """Return what may help a model whose start failed like this, the best first; none where nothing is known."""
    explained = failure.explained
    if explained is None or not model.cmd.strip():
        return []
    found = list(of_kind(explained.kind, explained.evidence, model.health_check_timeout_seconds))
    short = explained.kind == FailureKind.MEMORY
    if short:
        ways = failure.ways if isinstance(failure, RanOutOfMemory) else ()
        found += less_memory(((way.values, way.change) for way in ways), _context(model))
    path = model_paths({model.id: model.cmd}).get(model.id)
    if path is not None and (short or explained.kind in OF_ANOTHER_FILE):
        found += other_files(path, _beside(path), smaller=short)
    return found


def with_remedy(text: str, model_id: str, remedy: Remedy) -> str:
    """Return the text of a configuration with a remedy; all else stays. Raises Conflict, Unreadable."""
    path = ("models", model_id)
    if remedy.health_seconds is not None:
        return put(text, (*path, "healthCheckTimeout"), int(remedy.health_seconds))
    cmd = value_at(LineEdit(text).wanted, (*path, "cmd"))
    if not isinstance(cmd, str):
        raise Conflict(f"the file has no command of model {model_id!r}: it stands in another one")
    return put(text, (*path, "cmd"), changed_command(cmd, remedy))


def _context(model: ModelConfig) -> int | None:
    try:
        flags = server_flags(split(model.cmd), {})
    except ValueError:
        return None
    context = flags.values.get("context", "") if flags is not None else ""
    return int(context) if context.isdecimal() else None


def _beside(path: str) -> Iterator[FileBeside]:
    """Yield the models in a file's folder; one of several shards by its first."""
    try:
        names = [entry.path for entry in os.scandir(Path(path).parent) if entry.name.lower().endswith(".gguf")]
    except OSError:
        return
    for name in sorted(names)[:MOST_BESIDE]:
        parts = list(shards(name))
        if parts[0] != name:
            continue
        try:
            yield FileBeside(name, sum(os.stat(part).st_size for part in parts))  # noqa: PTH116 - paths are texts here
        except OSError:
            continue  # a shard is missing
