"""Which machines run a model together with this one, and why not the others?

Pure. Rank 0 is here; each other rank has a machine of its own. Those that cannot are left out, each with its reason in
words; of the others the ones that are preferred come first, then those with the most memory free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from claracore.core.cluster.model import NodeKind, NodeMemory, NodeState
from claracore.core.cluster.place import PlacementWish
from claracore.core.units import gib


@dataclass(frozen=True, slots=True)
class CrewNeed:
    """What a model wants of each machine."""

    others: int
    """How many machines besides this one."""
    memory: Mapping[str, int] = field(default_factory=dict)
    """Bytes by device, as far as the configuration says it."""
    is_open: bool = False
    """Whether whoever reaches a rank may use it: not at public addresses."""


@dataclass(frozen=True, slots=True)
class CrewOffer:
    """A machine, as it is at this moment."""

    node: str
    address: str
    """As it is reached from here."""
    state: NodeState
    why: str = ""
    """Why it is not up."""
    kind: NodeKind | None = None
    """None: it has not said yet."""
    drained: bool = False
    taken_by: str = ""
    """The model of which it runs a rank already, for us."""
    memory: tuple[NodeMemory, ...] = ()


@dataclass(frozen=True, slots=True)
class Crew:
    """Who may run ranks, the best first, and who may not, with the reason."""

    able: tuple[str, ...]
    unable: Mapping[str, str]


def crew_of(offers: Iterable[CrewOffer], need: CrewNeed, wish: PlacementWish) -> Crew:
    """Sort the machines into those that can run a rank and those that cannot."""
    preferred = {node: number for number, node in enumerate(wish.prefer)}
    able: list[CrewOffer] = []
    unable: dict[str, str] = {}
    for offer in offers:
        why = why_not(offer, need)
        if why is None:
            able.append(offer)
        else:
            unable[offer.node] = why
    able.sort(
        key=lambda each: (
            each.node in wish.avoid,
            preferred.get(each.node, len(preferred)),
            -_free(each.memory),
            each.node,
        )
    )
    return Crew(tuple(offer.node for offer in able), unable)


def why_not(offer: CrewOffer, need: CrewNeed) -> str | None:
    """Say why a machine cannot run a rank now; None when it can, as far as is known here."""
    if offer.drained:
        return "it is drained"
    if offer.state is not NodeState.UP:
        return f"it is {offer.state.value}" + (f": {offer.why}" if offer.why else "")
    if offer.kind is not NodeKind.CLARACORE:
        runs = "" if offer.kind is None else f" ({offer.kind.value})"
        return f"it is no ClaraCore{runs}: nothing can be started there"
    if offer.taken_by:
        return f"it runs a rank of model {offer.taken_by!r}"
    if need.is_open and _is_public(offer.address):
        return (
            f"it is reached at a public address ({offer.address}), and an RPC server has no keys: put the machines "
            "into a tunnel (WireGuard, Tailscale)"
        )
    return _too_small(offer.memory, need.memory)


def missing(model: str, need: CrewNeed, crew: Crew) -> str:
    """Say that there are too few machines, and of each that there is why it is none of them."""
    others = "1 other machine" if need.others == 1 else f"{need.others} other machines"
    can = f"only {len(crew.able)} can run a part of it ({', '.join(map(repr, crew.able))})" if crew.able else ""
    known = [f"{node!r}: {why}" for node, why in sorted(crew.unable.items())]
    none = [] if can or known else ["none has joined, and no peer is followed"]
    return f"model {model!r} needs {others}, and {can or 'has not got them'}{_after_colon(known or none)}"


def _after_colon(reasons: Sequence[str]) -> str:
    return f": {'; '.join(reasons)}" if reasons else ""


def _is_public(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_global
    except ValueError:
        return False  # a name: what it means is found out when it is used


def _too_small(memory: Sequence[NodeMemory], needed: Mapping[str, int]) -> str | None:
    """Compare what is declared with all that a machine has: what is free now its own scheduler knows best."""
    by_device = {each.device: each.total for each in memory}
    gpus = [total for device, total in by_device.items() if device.startswith("gpu")]
    if gpus:
        by_device["gpu"] = max(gpus)
    for device, count in needed.items():
        there = by_device.get(device, 0 if by_device and device.startswith("gpu") else None)
        if there is not None and there < count:
            return f"it has {gib(there)} of {device}, and {gib(count)} are needed"
    return None


def _free(memory: Sequence[NodeMemory]) -> int:
    gpus = [each.free for each in memory if each.device.startswith("gpu")]
    return sum(gpus) if gpus else sum(each.free for each in memory)
