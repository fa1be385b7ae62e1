"""What is there to say about ports where no server runs: the plan of a configuration, and what the kernel says?"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from claracore.core.config.model import Config
from claracore.core.ports.listen import Listen, parse_listen
from claracore.core.ports.ranges import PortPlan
from claracore.core.ports.report import AVAILABLE, ReportView, report
from claracore.errors import ClaraCoreError, ConfigError
from claracore.host.cluster.ray_seen import expected_role, ray_pids
from claracore.host.places import config_file
from claracore.host.sockets.history import load_history
from claracore.host.sockets.host import plan_here
from claracore.host.sockets.ledger import default_folder, living_instances
from claracore.host.sockets.observe import observe, reasons, why
from claracore.host.state import default_state_dir
from claracore.host.supervisor.configuration import Sources


def planned_report(config: Path | None, config_dir: Path | None, listen: Listen) -> ReportView:
    """Return the plan for `listen` and the kernel's view of it.

    Raises ConfigError or FileUnusable for a configuration that cannot be read.
    """
    loaded, made = _planned(config, config_dir, listen)
    folder = default_state_dir()
    return report(made, loaded, observe(made, default_folder(folder), ray_pids(folder) if made.ray else ()))


def explain(port: int, config: Path | None, config_dir: Path | None, listen: str | None) -> tuple[bool, list[str]]:
    """Return whether a port is free, and sentences that say who has it and why."""
    seen, sentence = why(port, living_instances(default_folder(default_state_dir())))
    plan = None
    with suppress(ClaraCoreError):
        plan = _planned(config, config_dir, parse_listen(listen or "5800"))[1]
    return seen.state in AVAILABLE, [sentence, *reasons(port, plan)]


def _planned(config: Path | None, config_dir: Path | None, listen: Listen) -> tuple[Config, PortPlan]:
    """Return the configuration and its plan on this host, as the next start would make it; the plan may have errors."""
    file = config_file(config)
    sources = Sources(file if file.exists() or config_dir is None else None, config_dir, strict=False)
    loaded = sources.read(os.environ)
    if loaded.config is None:
        raise ConfigError([finding for finding in loaded.findings if finding.severity == "error"])
    history = load_history(default_state_dir(), sources.key)
    ray = expected_role(default_state_dir())
    return loaded.config, plan_here(loaded.config, listen, places=loaded.places, history=history, ray=ray)
