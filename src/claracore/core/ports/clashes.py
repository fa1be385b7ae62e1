"""Which models cannot be served because somebody else has the port that they name, and which only seem to?

Models that never run together may name the same port. Of those that may, the first (by id) has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from claracore.core.config.model import Config
from claracore.core.ports.findings import culprit
from claracore.core.ports.fixed import Claim
from claracore.core.scheduler.policy import Situation
from claracore.core.scheduler.policy_from_config import policy_of
from claracore.types import Finding, Place


def clashes(
    config: Config, claims: Mapping[str, Claim], own: Collection[int], places: Mapping[str, Place]
) -> dict[str, Finding]:
    """Return the models that cannot be served, because another model or ClaraCore itself (`own`) has their port."""
    found: dict[str, Finding] = {}
    coexistence: _Coexistence | None = None
    for port, models in sorted(_by_port(claims).items()):
        if port in own:
            found |= {model_id: _web_port(model_id, port, places) for model_id in models}
            continue
        starters = [model_id for model_id in models if claims[model_id].starts and model_id not in found]
        if len(starters) > 1:
            coexistence = coexistence or _Coexistence(config)
            for model_id, rival in coexistence.rivals(starters):
                found[model_id] = _same_port(model_id, port, rival, places)
    return found


def borrowed(claims: Mapping[str, Claim], places: Mapping[str, Place]) -> Iterator[Finding]:
    """Find models that start nothing and lead to a port that another model serves."""
    for port, models in sorted(_by_port(claims).items()):
        starters = [model_id for model_id in models if claims[model_id].starts]
        if len(models) > len(starters) > 0:
            yield _borrowed(port, starters[0], [name for name in models if name not in starters], places)


class _Coexistence:
    """Who may run beside whom, as the scheduler would decide."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._rule = policy_of(config).rule
        self._by_groups = config.routing.router.use == "group"

    def rivals(self, models: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield each model that may run beside one of those before it that have no rival themselves, and that one.

        Members of a group are alike for all others, so one speaks for them: a thousand models may name one port.
        """
        served: dict[str, str] = {}
        for model_id in models:
            rival = next(iter(sorted(self._beside(model_id, frozenset(served.values())))), None)
            if rival is not None:
                yield model_id, rival
            else:
                served.setdefault(self._config.group_of(model_id) if self._by_groups else model_id, model_id)

    def _beside(self, model_id: str, others: frozenset[str]) -> frozenset[str]:
        """Return which of the others may go on when the model is started, or may be started while it runs.

        Groups are not symmetric: one that is not exclusive joins one that is. In a matrix both ways are the same.
        """
        going_on = others - self._rule.evictees(Situation(model_id, others))
        if not self._by_groups:
            return going_on
        alone = frozenset({model_id})
        return going_on | {other for other in others if not self._rule.evictees(Situation(other, alone))}


def _by_port(claims: Mapping[str, Claim]) -> dict[int, list[str]]:
    wanted: dict[int, list[str]] = {}
    for model_id, claim in claims.items():
        for port in claim.ports:
            wanted.setdefault(port, []).append(model_id)
    return wanted


def _web_port(model_id: str, port: int, places: Mapping[str, Place]) -> Finding:
    path = culprit(model_id, places)
    message = f"port {port} is the one on which ClaraCore itself listens"
    out = "write ${PORT} instead of the number, or use --listen (ollama.listen)"
    return Finding("error", message, path, places.get(path), out)


def _same_port(model_id: str, port: int, rival: str, places: Mapping[str, Place]) -> Finding:
    path = culprit(model_id, places)
    message = f'port {port} is also used by model "{rival}", and both may run together'
    out = (
        "write ${PORT} in cmd instead of the number, or let them take turns: "
        "in one group with swap: true, or as `a | b` in the matrix"
    )
    return Finding("error", message, path, places.get(path), out)


def _borrowed(port: int, starter: str, guests: Sequence[str], places: Mapping[str, Place]) -> Finding:
    path = culprit(guests[0], places)
    message = (
        f'proxy leads to port {port}, which model "{starter}" serves when it runs; nothing starts it for this model'
    )
    return Finding("warning", message, path, places.get(path), f'make it an alias of "{starter}" if that is meant')
