"""Where are the ports that models had kept, from one start to the next?

One JSON file in the state directory, for all configurations that use it: `{"configs": {"/a/config.yaml": {"qwen":
8100}}}`. Losing it is no harm beyond new ports for some models, so it is neither locked for reading nor trusted: what
does not look right is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from claracore.core.ports.history import remember
from claracore.core.ports.ranges import LAST_PORT, PortPlan
from claracore.host.disk import keep_private, private_folder
from claracore.host.locks import locked

FILE = "ports.json"
REMEMBERED_CONFIGS = 50
PATIENCE_SECONDS = 1.0


def load_history(state_dir: Path | None, config_key: str) -> dict[str, int]:
    """Return the ports that the models of a configuration had, departed models first; empty when nothing is known.

    `config_key` tells configurations apart: the absolute path of the file or folder.
    """
    return _read(state_dir / FILE).get(config_key, {}) if state_dir is not None else {}


def save_history(state_dir: Path | None, config_key: str, plan: PortPlan) -> None:
    """Remember the ports of a plan that is being followed, where there is a place to. Raises OSError."""
    if state_dir is None:
        return
    private_folder(state_dir)
    path = state_dir / FILE
    # Without the lock (its owner is frozen) another instance's change may be lost, which is no harm: see above.
    with locked(state_dir / "ports.lock", patience_seconds=PATIENCE_SECONDS):
        configs = _read(path)
        history = remember(configs.pop(config_key, {}), plan)
        recent = dict([*configs.items(), (config_key, history)][-REMEMBERED_CONFIGS:])
        keep_private(path, json.dumps({"configs": recent}, indent=1).encode(), flush=False)


def _read(path: Path) -> dict[str, dict[str, int]]:
    with suppress(OSError, ValueError, AttributeError):
        configs = json.loads(path.read_text(encoding="utf-8")).get("configs", {})
        return {str(key): _ports(history) for key, history in configs.items()}
    return {}


def _ports(history: Mapping[object, object]) -> dict[str, int]:
    return {
        str(model_id): port
        for model_id, port in history.items()
        if isinstance(port, int) and not isinstance(port, bool) and 0 < port <= LAST_PORT
    }
