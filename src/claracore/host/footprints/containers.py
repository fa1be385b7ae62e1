"""Which processes run in the container that a model's command has started?

They are no descendants of ours. The runtime knows the first of them, its control group all others. Blocking.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence

from claracore.core.config.command import split
from claracore.core.config.model import ModelConfig
from claracore.core.ports.containers import container_of
from claracore.host.hardware.cgroup import parse_membership
from claracore.host.hardware.tree import Tree
from claracore.host.hardware.usage import family

ASK_SECONDS = 10.0
GROUPS = "/sys/fs/cgroup"


def is_container(model: ModelConfig) -> bool:
    """Whether a model's command runs a container."""
    try:
        return container_of(split(model.cmd)) is not None
    except ValueError:
        return False


def container_pids(model: ModelConfig, tree: Tree | None = None, *, argvs: Iterable[Sequence[str]] = ()) -> list[int]:
    """Return the processes of the container; none where it has no name, or they are in another machine.

    `argvs` are the command lines of the processes that its command has started: one of them is the runtime's client,
    which knows the name that was given when it started.
    """
    found = (container for argv in argvs if (container := container_of(argv)) is not None and container.name)
    container = next(found, None) or container_of(split(model.cmd))
    if container is None or not container.name:
        return []
    words = [container.runtime, "inspect", "--format", "{{.State.Pid}}", container.name]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return []
    first = done.stdout.strip()
    return _with(int(first), tree or Tree()) if first.isdecimal() and int(first) > 1 else []


def _with(pid: int, tree: Tree) -> list[int]:
    """Return all processes of a process's control group; its family where there is no such group (version 1)."""
    group = parse_membership(tree.text(f"/proc/{pid}/cgroup") or "").get("", "")
    listed = tree.text(f"{GROUPS}{group}/cgroup.procs") if group not in {"", "/"} else None
    members = [int(word) for word in (listed or "").split() if word.isdecimal()]
    return members if pid in members else family(pid)
