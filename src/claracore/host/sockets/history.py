"""Where are the ports that models had kept, from one start to the next?

One JSON file in the state directory, for all configurations that use it: `{"configs": {"/a/config.yaml": {"qwen":
8100}}}`. Losing it is no harm beyond new ports for some models, so it is not trusted: what does not look right is left
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claracore.core.ports.history import remember
from claracore.core.ports.ranges import LAST_PORT, PortPlan
from claracore.host.state_file import StateFile

FILE = "ports.json"
REMEMBERED_CONFIGS = 50

Configs = dict[str, dict[str, int]]


def load_history(state_dir: Path | None, config_key: str) -> dict[str, int]:
    """Return the ports that the models of a configuration had, departed models first; empty when nothing is known.

    `config_key` tells configurations apart: the absolute path of the file or folder.
    """
    return (_file(state_dir).read() or {}).get(config_key, {})


def save_history(state_dir: Path | None, config_key: str, plan: PortPlan) -> None:
    """Remember the ports of a plan that is being followed, where there is a place to."""

    def edit(kept: Configs | None) -> Configs:
        configs = kept or {}
        history = remember(configs.pop(config_key, {}), plan)
        return dict([*configs.items(), (config_key, history)][-REMEMBERED_CONFIGS:])

    _file(state_dir).change(edit)


def _file(state_dir: Path | None) -> StateFile[Configs]:
    path = state_dir / FILE if state_dir is not None else None
    return StateFile(path, _of_json, encode=lambda configs: {"configs": configs}, without="models may get other ports")


def _of_json(found: Any) -> Configs:  # noqa: ANN401 - whatever is there
    """Return what a file says. Raises AttributeError."""
    return {str(key): _ports(history) for key, history in found.get("configs", {}).items()}


def _ports(history: Mapping[object, object]) -> dict[str, int]:
    return {
        str(model_id): port
        for model_id, port in history.items()
        if isinstance(port, int) and not isinstance(port, bool) and 0 < port <= LAST_PORT
    }
