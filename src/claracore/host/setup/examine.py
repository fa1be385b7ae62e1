"""What should a person know about a configuration before it is used on this host?

Everything that loading finds, then the port plan, then programs and model files that are missing. `claracore config
check` and `POST /api/config/check` ask here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from claracore.core.config.check_memory import memory_instead
from claracore.core.config.load import LoadedConfig, load_many
from claracore.core.config.not_here import without_joined
from claracore.core.config.own_names import findings_of_names
from claracore.core.garbage import no_collection
from claracore.core.ports.listen import Listen
from claracore.host.setup.presence import missing_things
from claracore.host.sockets.host import plan_here
from claracore.types import SEVERITY_ORDER, Finding


@dataclass(frozen=True, slots=True)
class Examined:
    """What loading gave, and all findings in order of weight."""

    loaded: LoadedConfig
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether no finding is an error."""
        return not any(finding.severity == "error" for finding in self.findings)


@no_collection()
def examine(
    sources: Sequence[tuple[str, str]],
    *,
    env: Mapping[str, str],
    listen: Listen,
    strict: bool = False,
    ollama: bool = False,
    joined: Collection[str] = (),
) -> Examined:
    """Load (file, text) sources and look for everything that could go wrong with them here; `ollama` as of `plan`.

    `joined` are the names of the machines that have joined this one.
    """
    loaded = load_many(sources, env=env, strict=strict)
    findings = list(without_joined(loaded.findings, joined))
    if loaded.config is not None:
        followed = [name for name, peer in loaded.config.peers.items() if peer.follows]
        findings += findings_of_names(loaded.config, {*followed, *joined})
        findings += plan_here(loaded.config, listen, places=loaded.places, ollama=ollama).findings
        findings += missing_things(loaded.config, loaded.places)
        findings += memory_instead(loaded.config, loaded.places)
    return Examined(loaded, tuple(sorted(findings, key=lambda finding: SEVERITY_ORDER[finding.severity])))
